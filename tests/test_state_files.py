"""State files: runs that are joined by one equal one run; a file that does not fit is refused."""

import numpy as np
import pytest
import xarray as xr

import LSTM_output_Cn
import LSTM_test
from running import runs, state_files
from writing.messages import InputError


def states_of(run_dir, out, period, **options):
    """What LSTM_output_Cn.py writes for a period, and the state file of its last day."""
    options |= {"period": period, "out_dir": str(out), "format": "netcdf", "save_state": True}
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), **options))
    with xr.open_dataset(out / "Cn.nc") as file:
        return file.load(), out / f"state_{period[1]}.nc"


@pytest.fixture(scope="module")
def joined(run_dir, tmp_path_factory):
    """One run over four years, and two runs of two years, the second from the state of the first."""
    root = tmp_path_factory.mktemp("joined")
    whole, _ = states_of(run_dir, root / "whole", ("2003-10-01", "2007-09-30"))
    first, state = states_of(run_dir, root / "first", ("2003-10-01", "2005-09-30"))
    second, _ = states_of(run_dir, root / "second", ("2005-10-01", "2007-09-30"), begin_with=str(state))
    return whole, first, second, state


def test_two_runs_joined_by_a_state_file_are_one_run(joined):
    whole, first, second, _ = joined
    both = xr.concat([first, second], "date")
    assert (both["date"] == whole["date"]).all() and len(both["date"]) == 1461
    for name in ("c", "h", "streamflow", "soil1", "swe"):
        np.testing.assert_allclose(both[name], whole[name], atol=1e-6 * float(abs(whole[name]).max()), rtol=0)


def test_the_file_names_day_model_and_statistics_and_holds_the_last_day(joined, run_dir):
    _, first, _, state = joined
    with xr.open_dataset(state) as file:
        assert str(file["date"].values[0])[:10] == "2005-09-30" and file["h"].dims == ("basin", "date", "unit")
        assert {"model", "statistics", "git_commit"} <= set(file.attrs) and file.attrs["seed"] == 1
        for name in ("c", "h"):
            np.testing.assert_array_equal(file[name][:, 0], first[name][:, -1])
    run = runs.load_run(run_dir)
    marks = [state_files.identity(run.model(seed)) for seed in (1, 2)]
    assert marks[0]["statistics"] == marks[1]["statistics"] and marks[0]["model"] != marks[1]["model"]


def test_a_score_from_states_is_that_of_the_whole_run(joined, run_dir, tmp_path):
    """All basins of the file or some of them, in any order; every member has its own file."""
    whole, _, _, state = joined
    _, other = states_of(run_dir, tmp_path / "second member", ("2003-10-01", "2005-09-30"), seed=2)
    basins, period = [str(basin) for basin in whole["basin"].values[[2, 0]]], ("2005-10-01", "2006-09-30")
    LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir), period=period, basins=tuple(basins), metrics=("NSE",),
                   begin_with=(str(state), str(other)), out_dir=str(tmp_path)))  # fmt: skip
    with xr.open_dataset(tmp_path / "series.nc") as file:
        scored, wanted = (part.sel(basin=basins, date=slice(*period)) for part in (file.sel(member="seed 1"), whole))
        for name in ("streamflow", "swe"):
            atol = 2e-6 * float(abs(whole[name]).max())
            np.testing.assert_allclose(scored[f"{name}_simulated"], wanted[name], atol=atol, rtol=0)


def test_what_began_with_states_does_not_replace_what_began_with_a_spin_up(joined, copy):
    *_, state = joined
    asked = {"run_dir": str(copy), "period": ("2005-10-01", "2005-10-31")}
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(**asked))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(**asked, begin_with=str(state)))
    states = "states_2005-10-01_2005-10-31"
    assert {path.name for path in copy.glob("states_2005*")} == {states, f"{states}_begun_with_states"}


def test_a_file_that_does_not_fit_is_refused(joined, run_dir, tmp_path):
    *_, state = joined
    run, period = runs.load_run(run_dir), ("2005-10-01", "2007-09-30")
    model, data = run.model(1), run.data(*period)
    first_day = data.dates(*period)[0]

    def refused(sentence, path=state, model=model, data=data, first_day=first_day):
        with pytest.raises(InputError, match=sentence):
            state_files.read_state(path, model, data, first_day)

    refused("states of another model .*seed 1.*: write them anew", model=run.model(2))
    day = "end of 2005-09-30, the period begins on 2005"
    refused(f"{day}-10-02: .*begin the period on 2005-10-01", first_day=first_day + 1)
    refused(f"{day}-09-30", first_day=first_day - 1)
    data.basins = [*data.basins[:-1], "00000001"]
    refused("lacks the basins 00000001: ")
    data.basins = run.data(*period).basins
    other = run.model(1)
    other.target_scale.std.assign(other.target_scale.std * 2)
    refused("states of another statistics", model=other)
    with xr.open_dataset(state) as file:
        (file * np.nan).assign_attrs(file.attrs).to_netcdf(tmp_path / "nan.nc")
        file.drop_vars("h").to_netcdf(tmp_path / "half.nc")
        file.isel(unit=slice(5)).to_netcdf(tmp_path / "few.nc")
        file.isel(basin=[0, 0, 1, 2, 3]).to_netcdf(tmp_path / "twice.nc")
    refused("few.nc holds 5 of 6 cell states", path=tmp_path / "few.nc")
    refused("twice.nc holds basin 96000001 twice", path=tmp_path / "twice.nc")
    refused("not finite numbers", path=tmp_path / "nan.nc")
    for path in (tmp_path / "half.nc", tmp_path / "none.nc", run_dir / "settings.json"):
        refused("is not a state file", path=path)
