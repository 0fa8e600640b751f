"""Basins where nothing is observed, and forcing that one has as a table of one's own."""

import shutil

import numpy as np
import pytest

from small_files import (  # isort: skip
    GAUGES, caravan_frame, flow_path, forcing_path, forcing_rows, forcing_text, load, refused, write, write_caravan,
)  # fmt: skip

import hydrodata_tf as hd

SWE = "swe=swe/{number}.csv:uaz_swe"
LAYER = "volumetric_soil_water_layer_1_mean"


# Where nothing is observed


def opened(root, tmp_path, concepts=(), **options):
    options = {"attributes": "none", "cache_dir": tmp_path / "cache", "unobserved": True} | options
    return hd.open_data(root, concepts=concepts, **options)


def test_a_basin_without_streamflow_and_a_concept_without_file_are_missing(camels, tmp_path):
    """Forcing and what is observed elsewhere stay what they are, bit for bit; forcing goes on to its end."""
    before = opened(camels, tmp_path, [SWE])
    assert before.observed.to_dict("list") == {"streamflow": [36] * 3, "swe": [40] * 3}
    assert before.report == "3 basins, 2001-01-01 to 2001-02-10"
    flow_path(camels, "02046000").unlink()
    (camels / "swe" / "2046000.csv").unlink()
    (camels / "swe" / "11230500.csv").unlink()
    data = opened(camels, tmp_path, [SWE, "soil=nowhere/{basin}.csv:x[mm]"])
    assert data.basins == before.basins and data.left_out == {} and data.targets == ["streamflow", "swe", "soil"]
    counts = {"streamflow": [36, 0, 36], "swe": [40, 0, 0], "soil": [0, 0, 0]}
    assert data.observed.to_dict("list") == counts and set(data.observed.dtypes.map(str)) == {"int64"}
    assert data.select([2, 1]).observed.to_numpy().tolist() == [[36, 0, 0], [0, 0, 0]]
    assert data.report.split("\n")[1] == "observed: streamflow in 2 of 3 basins, swe in 1, soil in 0"
    first = data.days(1, data.first_day, 41)
    np.testing.assert_array_equal(first[:40, :5], hd.load_forcing(camels, "02046000"))
    assert np.isnan(first[:, 5:]).all() and str(data.last_day) == "2001-02-10"
    for b in (0, 2):
        now, then = data.days(b, data.first_day, 41), before.days(b, data.first_day, 41)
        np.testing.assert_array_equal(now[:, :6], then[:, :6])
    assert np.isfinite(data.days(0, data.first_day, 41)[1:, 6]).all()
    refused("no streamflow file for 1 of 3 basins: 02046000", hd.open_data, camels, basins=before.basins)
    words = "no file nowhere/{basin}.csv for any of the 2 basins in .*; --concepts without a word after it trains"
    refused(words, load, camels, tmp_path, concepts=["soil=nowhere/{basin}.csv:x[mm]"])


def test_a_folder_without_any_streamflow_is_simulated_and_not_trained(camels, tmp_path):
    shutil.rmtree(camels / "usgs_streamflow")
    data = opened(camels, tmp_path, used_in=("2001-01-01", "2001-01-31"))
    assert data.basins == ["01022500", "02046000", "11230500"] and (data.observed["streamflow"] == 0).all()
    assert data.report.split("\n")[1:] == ["observed: streamflow in 0 of 3 basins"]
    ds = load(camels, tmp_path, unobserved=True)
    assert ds["streamflow"].isnull().all() and ds["prcp"].notnull().all()
    refused("no folder usgs_streamflow", load, camels, tmp_path)
    forcing_path(camels, "02046000").unlink()
    refused("no daymet forcing file for 1 of 1 basins: 02046000", opened, camels, tmp_path, basins=["2046000"])
    assert opened(camels, tmp_path).basins == ["01022500", "11230500"]


def test_what_is_observed_later_is_read_then(camels, tmp_path):
    """In one cache; and what was observed is missing again when its files are gone."""
    flow, swe = flow_path(camels, "02046000"), camels / "swe" / "2046000.csv"
    kept = {path: path.read_bytes() for path in (flow, swe)}
    for files in ((), (flow,), (flow, swe), (swe,), ()):
        for path in kept:
            path.unlink(missing_ok=True)
        for path in files:
            write(path, kept[path])
        data = opened(camels, tmp_path, [SWE], basins=["2046000"])
        days = {"streamflow": 36 if flow in files else 0, "swe": 40 if swe in files else 0}
        assert data.observed.loc["02046000"].to_dict() == days
        values = data.days(0, data.first_day, int(data.lengths[0]))
        assert np.isfinite(values[:, 5:]).sum(axis=0).tolist() == list(days.values())


@pytest.mark.parametrize("lacks", [["streamflow"], [LAYER], ["streamflow", LAYER]])
@pytest.mark.parametrize("how", ["no column", "nothing in it"])
def test_a_caravan_gauge_without_streamflow_or_soil(caravan, tmp_path, lacks, how):
    """The file of a gauge that is there for its forcing alone."""
    frame = caravan_frame()
    frame = frame.drop(columns=lacks) if how == "no column" else frame.assign(**dict.fromkeys(lacks, np.nan))
    write_caravan(caravan, GAUGES[1], frame)
    theta = f"theta=caravan:{LAYER}"
    data = opened(caravan, tmp_path, [theta], forcing="caravan")
    full, days = {"streamflow": 342, "theta": 400}, {"streamflow": "streamflow", "theta": LAYER}
    expected = {name: [full[name], 0 if column in lacks else full[name]] for name, column in days.items()}
    assert data.observed.to_dict("list") == expected
    alone = opened(caravan, tmp_path, [theta], forcing="caravan", basins=[GAUGES[1]])
    assert alone.has_forcing("2001-05-01", "2001-05-01") and alone.observed.sum().sum() == sum(
        counts[1] for counts in expected.values()
    )
    if how == "no column" and "streamflow" in lacks:
        refused("no column streamflow in the file of 1 gauges", load, caravan, tmp_path, forcing="caravan")
    write_caravan(caravan, GAUGES[1], frame.drop(columns=hd.PET))
    refused(f"no column {hd.PET} in the file of 1 gauges", opened, caravan, tmp_path, forcing="caravan")


def test_whether_a_period_has_forcing(camels, tmp_path):
    rows = [row.replace("204.25", "-999") for row in forcing_rows("2001-01-01", 40)]
    write(forcing_path(camels), forcing_text(rows))
    data = opened(camels, tmp_path, [SWE], basins=["1022500"])
    assert not data.has_forcing("2001-01-05", "2001-01-05") and data.has_forcing("2001-01-05", "2001-01-06")
    assert not data.has_forcing("2001-02-10", "2001-02-20")  # the snow goes on for a day, the forcing does not
    refused("has no day in the data", data.has_forcing, "2001-02-11", "2001-02-20")
