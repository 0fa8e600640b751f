"""What is printed fits a screen of 100 columns, whatever the names of runs, concepts and members."""

import numpy as np
import pandas as pd
import pytest

from cn_loss import score, shown_summary, summarise
from probing import report
from probing.cell_states import MEMORY
from probing.probes import BASINS, PERIOD, REAL, SCORES, SEASON, SHIFTED, UNTRAINED
from writing.screen import shortened, show_table

LONG = "cell states of a run with a name of more than forty letters"


@pytest.fixture
def printed(capsys):
    """Function: the lines that were printed, none of them longer than 100 columns."""

    def lines():
        shown = capsys.readouterr().out.splitlines()
        assert max(map(len, shown)) <= 100, max(shown, key=len)
        return shown

    return lines


def test_a_wide_table_goes_on_below_and_names_lose_their_middle(printed):
    show_table(pd.DataFrame(np.arange(60.0).reshape(2, 30), ["first", "second"]), float_format="{:.3f}".format)
    lines = printed()
    assert sum(line.startswith("second") for line in lines) > 1 and any("59.000" in line for line in lines)
    assert shortened("cell states") == "cell states" and shortened("abcdefghij", 5) == "ab…ij"
    assert len(shortened(LONG)) == 32 and shortened(LONG).startswith("cell states")


def test_the_summary_of_scores_shows_the_median_first_and_no_mean_that_one_dry_river_decides(printed):
    rng = np.random.default_rng(0)
    observed = rng.gamma(2, 1, (6, 400))
    names = ["NSE", "KGE", "RMSE", "FHV", "FLV", "FMS", "PBIAS"]
    summary = summarise(score(observed, observed * rng.gamma(2, 0.5, (6, 400)), names))
    shown = shown_summary(summary)
    assert list(shown)[:2] == ["median", "mean"]
    pd.testing.assert_frame_equal(shown.drop(columns="mean"), summary.drop(columns="mean"))
    assert shown["mean"].isna().tolist() == [False] * 3 + [True] * 4 and summary["mean"].notna().all()
    of_members = {(f"a_concept_of_quite_some_length_{k}", f"{LONG} seed {k}"): summary for k in range(2)}
    table = shown_summary(pd.concat(of_members, names=["target", "member", "metric"]))
    assert table["mean"].isna().sum() == 8
    show_table(table, float_format="{:.3f}".format, na_rep="–")
    lines = printed()
    assert sum("–" in line for line in lines) == 8


def test_the_tables_of_probes_fit_however_bad_the_scores(printed):
    """Seven figures below zero, a long run beside it, thirty cell states that carry a concept of a long name."""
    rows, readers = [], [REAL, LONG, UNTRAINED, SHIFTED, SEASON]
    for split in (PERIOD, BASINS):
        for reader in readers:
            for metric in [*SCORES, "gap"]:
                row = {"split": split, "concept": "a_concept_of_quite_some_length", "reader": reader, "metric": metric}
                row |= {"median": -1234567.8, "low": -7654321.0, "high": -12.3456, "basins": 7}
                rows.append(row | {"selectivity": np.nan if reader == REAL else 99.123})
    report.show_scores(pd.DataFrame(rows), {"a_concept_of_quite_some_length": "mm"})
    lines = printed()
    assert "a_concept_of_quite_some_length in mm, median of 7 basins [95 % interval]" in lines
    real = [word for line in lines if line.startswith("cell states  ") for word in line.split()[2:]]
    assert real == ["-1e+06", *["-1e+06", "[-8e+06", "-12]"] * 2, "–", "-1e+06", "-1e+06"]

    table = {"concept": "a_concept_of_quite_some_length", "cell_state": np.arange(1, 31), "weight": 1.0}
    table |= {"sparse_weight": np.linspace(-3, 4, 30), "median_r": np.linspace(-0.9, 0.1, 30)}
    table = pd.DataFrame(table | {"memory_stored_days": np.linspace(1, 400, 30)})
    nothing = table.assign(concept="none", sparse_weight=0.0)
    report.show_cell_states(pd.concat([table, nothing]))
    lines = printed()
    assert MEMORY in " ".join(lines) and "+cn_30 (400), +cn_29 (386)" in " ".join(lines)
    assert "  none: 0 of 30; best single one cn_1 (1), median r -0.90" in lines
