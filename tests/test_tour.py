"""What a newcomer follows: the tour in docs/tour.ipynb, run from top to bottom, and the page for one's own basins.

uv run python tests/test_tour.py        # runs the tour anew and keeps its outputs
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parent.parent
TOUR = ROOT / "docs" / "tour.ipynb"
# In a process of its own, as `jupyter execute` does it, but without the time of each cell, so that a new run of the
# same numbers makes the same file.
EXECUTE = """
import nbclient, nbformat, sys
notebook = nbformat.read(sys.argv[1], 4)
docs = {"metadata": {"path": "docs"}}
nbclient.NotebookClient(notebook, record_timing=False, coalesce_streams=True, resources=docs).execute()
for cell in notebook.cells:  # TensorFlow's lines on the machine; an error has ended the run before
    if "outputs" in cell:
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
nbformat.write(notebook, sys.argv[1])
"""


def run_through(folder):
    """The tour, run from top to bottom in a copy of the code that is made in `folder`."""
    others = shutil.ignore_patterns(".*", "__pycache__", "tests", "bench", "runs", "demo", "trained", "figures")
    code = shutil.copytree(ROOT, Path(folder) / "code", ignore=others)
    more = {"PYTHONUTF8": "1", "UV_RUN_RECURSION_DEPTH": "1", "HYDRODATA_CACHE": str(code / "cache")}
    words = [sys.executable, "-c", EXECUTE, "docs/tour.ipynb"]
    done = subprocess.run(words, cwd=code, env=os.environ | more, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return code


def printed(path):
    """Of each code cell that has outputs their kinds, and all that was printed, without numbers, as words."""
    found = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        kinds = [kind for one in cell.get("outputs", ()) for kind in sorted(one.get("data", {"stream": 0}))]
        text = "".join("".join(one.get("text", ())) for one in cell.get("outputs", ()))
        found[cell["id"]] = kinds, re.sub(r"[-+.,\d]+", " ", text.replace("\\", "/")).split()
    return {name: outputs for name, outputs in found.items() if outputs[0]}


def test_the_tour_runs_from_top_to_bottom_and_finds_what_it_says(tmp_path):
    code = run_through(tmp_path)
    assert printed(code / "docs" / "tour.ipynb") == printed(TOUR), "run anew: uv run python tests/test_tour.py"
    run = code / "runs" / "tour"
    scores = pd.read_csv(run / "test_2011-10-01_2013-09-30" / "summary.csv").set_index(["target", "metric"])["median"]
    assert scores["streamflow", "NSE"] > 0.75 and scores["swe", "NSE"] > 0.75 and scores["soil2", "NSE"] > 0.75
    summary = pd.read_csv(run / "probe_2011-10-01_2013-09-30" / "summary.csv")
    summary = summary[(summary["split"] == "other period") & (summary["metric"] == "NSE anomaly")]
    table = summary.pivot(index="concept", columns="reader", values="median")
    assert (table["joint probe"] > table["untrained LSTM"] + 0.3).all()
    # Without the snow's cell state the melt of the snowy basins fails.
    none, same = (
        np.mean([pd.read_csv(path)["streamflow simulated (mm/day)"].sum() for path in (run / name).glob("Cn_98*.csv")])
        for name in ("none", "same")
    )
    assert none < 0.95 * same
    assert (run / "states_2011-10-01_2013-09-30" / "Cn.html").stat().st_size > 1e6


def test_the_tour_can_be_read_without_running_it():
    text = TOUR.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    assert 20 <= len(cells) <= 32 and len(text) < 1.5e6
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [one for cell in code for one in cell["outputs"]]
    assert sum("image/png" in one.get("data", {}) for one in outputs) >= 8
    assert all(one["output_type"] != "error" and one.get("name") != "stderr" for one in outputs)
    shown = json.dumps(outputs)
    assert "Warning" not in shown and not re.search(r"/(home|root|tmp|Users|usr)/|[A-Z]:\\\\", shown)
    for cell in code:  # what a reader types, no helper of the notebook's own
        assert not re.search(r"^\s*(def|class) |import (probing|running|reading|writing)", "".join(cell["source"]))


# The page for one's own basins


def blocks(page):
    """The blocks of a page in their order: its kind ("python", "text" or "") and its text, seven years earlier."""
    text = re.sub(r"\b20(\d\d)(?=-\d\d-\d\d)", lambda year: f"20{int(year[1]) - 7:02d}", page)
    return re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def own(demo, run_dir, tmp_path, monkeypatch):
    """A folder with what docs/your_basin.md begins with, of two of the demo's basins: the one with snow, and another.

    In the place of the weights of the 531 stands the demo's own run.
    """
    from hydrodata_tf import load_attributes, load_forcing, load_streamflow

    monkeypatch.chdir(tmp_path)
    shutil.copytree(run_dir, tmp_path / "trained" / "camels_531", ignore=shutil.ignore_patterns("*_20*"))
    basins = {"crystal": "98000003", "north_fork": "96000001"}
    for name, basin in basins.items():
        weather = load_forcing(demo, basin).astype(float).assign(vp=lambda table: table["vp"] / 100)
        new = dict(prcp="precipitation", tmin="t_min", tmax="t_max", srad="radiation", vp="vapour_pressure")
        weather.rename(columns=new).to_csv(f"{name}_weather.csv")
    load_streamflow(demo, basins["crystal"]).rename("runoff").to_csv("crystal_runoff.csv", index_label="date")
    table = load_attributes(demo, list(basins.values())).set_axis(list(basins))
    table.assign(gauge_lat=45.0, gauge_lon=-100.0).to_csv("catchments.csv", index_label="basin_id")
    return basins


def test_the_page_for_own_basins_does_what_it_says(own, demo, run_dir, tmp_path, command):
    found, said = {}, {}
    for kind, text in blocks((ROOT / "docs" / "your_basin.md").read_text(encoding="utf-8")):
        if kind == "python":
            exec(text, found)
        for line in text.splitlines() if not kind else ():
            script, *words = shlex.split(line.replace("--epochs 20", "--epochs 1"))[2:]
            code, said[len(said)], error = command(script, *words)
            assert (code, error) == (0, ""), error
    look, states, mean, page, test, train, tested = said.values()
    assert "station: 2 basins, 1 of them with streamflow" in look
    assert "observed: streamflow in 1 of 2 basins, soil1 in 0, swe in 0" in states and "Cn.html" in page
    # What is simulated without any observation is what the run gives of its own data, to the last digit.
    asked = ["--basins", *own.values(), "--period", "2002-10-01", "2007-09-30", "--out-dir", "known"]
    assert command("LSTM_output_Cn.py", "--run-dir", run_dir, *asked)[0] == 0
    for name, basin in own.items():
        mine, known = (Path(folder) / f"Cn_{one}.csv" for folder, one in (("my_basins/states", name), ("known", basin)))
        assert mine.read_bytes() == known.read_bytes()
    assert len(found["states"]) == len(found["flow"]) == 1826
    assert "so nothing is scored.\nThe simulated series of 1 basin are in" in mean
    first = found["states"]["streamflow simulated (mm/day)"]
    assert 0.5 < found["flow"].corr(first) < 0.9999  # of two members whose first is that of the table
    # The gauge alone is scored, then learned from.
    scores = [
        pd.read_csv(Path(folder) / "scores.csv")
        for folder in ("my_basins/as_it_comes", "runs/crystal/test_2005-10-01_2007-09-30")
    ]
    for table in scores:
        assert (
            set(table["basin"]) == {"crystal"} and np.isfinite(table.loc[table["target"] == "streamflow", "NSE"]).all()
        )
    settings = json.loads(Path("runs/crystal/settings.json").read_text(encoding="utf-8"))["settings"]
    assert settings["forcing"] == ["station"] and settings["attributes"] == "my_basins/attributes.csv"
    assert "Seed 1:" in train and "1 basin," in tested and "1 basin," in test


def test_a_run_is_simulated_with_another_product_and_table_of_attributes(data, run_dir, tmp_path, command, refused):
    """What is written says so."""
    from hydrodata_tf import load_attributes, load_forcing, open_data
    from running.runs import load_run

    basins = open_data(data).basins
    product = data / "camels" / "basin_mean_forcing" / "gauges"
    product.mkdir()
    for basin in basins:
        weather = load_forcing(data, basin)
        weather.assign(prcp=weather["prcp"] * (2 if basin == basins[1] else 1)).to_csv(product / f"{basin}.csv")
    table = load_attributes(data, basins).rename_axis("basin_id")
    table.iloc[:, ::-1].assign(gauge_lat=45.0, houses=7).to_csv(tmp_path / "mine.csv")
    run = shutil.copytree(run_dir, tmp_path / "run", ignore=shutil.ignore_patterns("*_20*"))
    asked = ["--run-dir", run, "--data-dir", data, "--period", "2006-10-01", "2007-09-30"]
    other = [*asked, "--forcing", "gauges", "--attributes", tmp_path / "mine.csv"]
    assert command("LSTM_output_Cn.py", *asked, "--format", "netcdf")[0] == 0
    code, said, _ = command("LSTM_output_Cn.py", *other, "--format", "netcdf", "--out-dir", tmp_path / "new")
    assert code == 0 and "was not trained with the attributes houses: they are left out." in said
    refused("holds results of other options (forcing, attributes)", "LSTM_output_Cn.py", *other)
    paths = run / "states_2006-10-01_2007-09-30" / "Cn.nc", tmp_path / "new" / "Cn.nc"
    known, new = (xr.load_dataset(path) for path in paths)
    flows = known["streamflow"], new["streamflow"]
    assert (flows[0] == flows[1]).all("date").values.tolist() == [True, False, True, True]
    # What the weights alone give of this weather, after a spin-up year.
    weather = load_forcing(data, basins[1], product="gauges")["2005-10-01":"2007-09-30"].to_numpy()
    inputs = {"forcing": weather[None], "attributes": table.loc[basins[1:2]].to_numpy("float32")}
    alone = load_run(run).model(1).predict(inputs, verbose=0)[0, 365:, 0]
    np.testing.assert_allclose(flows[1][1], alone, rtol=1e-4, atol=1e-5)
    assert new.attrs["source"] == "LSTM with 6 cell states, forcing gauges"
    code, said, _ = command("LSTM_test.py", *other, "--metrics", "NSE")
    assert code == 0 and "--forcing gauges --attributes" in said.splitlines()[-1]

    table.drop(columns=["aridity", "elev_mean"]).to_csv(tmp_path / "mine.csv")
    said = ["The data lack 2 of the ", "attributes of the run", ": elev_mean, aridity. Give it those of its training."]
    refused(said, "LSTM_output_Cn.py", *other)
    refused("no folder nowhere; it has daymet, gauges", "LSTM_output_Cn.py", *asked, "--forcing", "nowhere")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(run_through(folder) / "docs" / "tour.ipynb", TOUR)
