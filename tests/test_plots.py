"""The figures: what is drawn are the numbers given, and a file appears whole or not at all."""

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num
from numpy.testing import assert_array_equal

from writing import files, plots

NAN = float("nan")
DAYS = 120
DATES = pd.date_range("2004-10-01", periods=DAYS)
NOTHING = np.full(DAYS, NAN)


@pytest.fixture(autouse=True)
def no_warning():
    """A layout that does not fit its panels raises a warning, here an error."""
    with warnings.catch_warnings(), matplotlib.rc_context(plots.STYLE):
        warnings.simplefilter("error")
        yield


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Call a function of plots and have its Figure; the file is not painted, which takes the longest."""
    monkeypatch.setattr(plots.Figure, "savefig", lambda figure, path: path.touch())
    return lambda name, *arguments, **more: getattr(plots, name)(*arguments, path=tmp_path / "figure.png", **more)


def wave(shift=0.0):
    return 2 + np.sin(np.arange(DAYS) / 9 + shift)


def a_history(targets=("streamflow", "swe"), epochs=30):
    epoch = np.arange(1, epochs + 1)
    table = {"epoch": epoch, "loss": 2 / epoch}
    table |= {f"{name}_loss": (1.0 + i) / epoch for i, name in enumerate(targets)}
    table |= {f"val_NSE_{name}": 0.9 - 2.0 / (epoch + i) for i, name in enumerate(targets)}
    return pd.DataFrame(table | {"learning_rate": 0.005 / epoch})


def a_panel(title="01022500: good", concepts=("swe", "soil_moisture_1"), **changed):
    found = [dict(name=name, units="mm", observed=wave(i), simulated=wave(i + 0.1)) for i, name in enumerate(concepts)]
    return dict(title=title, dates=DATES, observed=wave(), simulated=wave(0.2), concepts=found) | changed


def probed(count):
    return [dict(name=f"layer_{i}", units="mm", observed=wave(i), probed=wave(i + 0.1)) for i in range(count)]


def some_readings(title):
    readings = {"cell states": wave(1), "weather": wave(2)}
    return dict(title=title, dates=DATES, concepts=[dict(name="swe", units="mm", observed=wave(), readings=readings)])


def lines(axes):
    """Lines of data, without those that stand for the legend, a limit or the median."""
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def drawn(axes):
    return [line.get_ydata() for line in lines(axes)]


def texts(figure):
    """Every word on the figure, drawn first so that the tick labels exist."""
    figure.draw_without_rendering()
    found = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return "\n".join(word for word in found if word)


def shows(figure, *words):
    """All words are on the figure, and its panels keep a size at which they can be read."""
    found = texts(figure)
    assert [word for word in words if word not in found] == []
    sizes = [axes.get_window_extent().size / figure.dpi for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return all(width > 1.2 and height > 0.4 for width, height in sizes)


CONTROLS = {"cell states of the model": {"NSE": (0.8, 0.7, 0.9)}, "a shuffled year": {"NSE": (-3.0, -4.0, -2.0)}}
CHANGE = dict(name="swe", units="mm", real=np.outer([1, 2, 3, 6], np.ones(9)), random=np.full((5, 4, 9), -2.0))
MOVED = dict(name="swe", title="swe +3 mm", rows=[CHANGE])
UNIT = dict(title="cn_7", dates=DATES, state=wave(1), name="swe", units="mm", observed=wave())
FIGURES = {
    "history": (a_history(),),
    "score_distribution": ({"streamflow": np.linspace(0, 1, 20)}, "NSE"),
    "hydrographs": ([a_panel(), a_panel("b"), a_panel("c")],),
    "score_map": (np.linspace(-120, -70, 5), np.linspace(30, 45, 5), np.linspace(-1, 1, 5), "NSE"),
    "states": (DATES, np.stack([wave(), wave(1)], 1), ["unit 3", "unit 8"], probed(2), "a basin"),
    "probe_controls": ({"swe": CONTROLS},),
    "probe_distributions": ({"swe": {"cell states": np.array([0.2, NAN, 0.6])}}, "NSE"),
    "probe_series": ([some_readings("best"), some_readings("worst")],),
    "best_units": ([UNIT],),
    "interventions": ([MOVED],),
}


@pytest.mark.parametrize("name", FIGURES)
def test_file_is_written_whole_and_the_callers_settings_are_left_alone(name, tmp_path):
    path = tmp_path / "new folder" / f"{name}.png"
    with matplotlib.rc_context({"axes.labelsize": 17}):
        figure = getattr(plots, name)(*FIGURES[name], path)
        assert matplotlib.rcParams["axes.labelsize"] == 17 and figure.axes[0].xaxis.label.get_size() == 8
    written = path.read_bytes()
    assert written[:8] == b"\x89PNG\r\n\x1a\n" and written[-8:-4] == b"IEND" and len(written) > 10_000
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    assert shows(figure)


@pytest.mark.parametrize(("suffix", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("xyz", None)])
def test_ending_chooses_the_format(suffix, start, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if start is None:
        with pytest.raises(ValueError, match="xyz"):
            plots.states(*FIGURES["states"], path)
    else:
        plots.states(*FIGURES["states"], str(path))
    assert path.read_bytes().startswith(start) if start else list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", [(plots.Figure, "savefig"), (files.os, "replace")])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(part, tmp_path, monkeypatch):
    path = tmp_path / "nse.png"
    path.write_text("the old figure", encoding="utf-8")

    def fail(*arguments, **options):
        if part[1] == "savefig":
            arguments[1].write_bytes(b"half a figu")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*part, fail)
    with pytest.raises(OSError, match="No space left on device: .*nse.png"):
        plots.history(*FIGURES["history"], path)
    assert list(tmp_path.iterdir()) == [path] and path.read_text(encoding="utf-8") == "the old figure"


EMPTY = ("hydrographs", "probe_controls", "probe_series", "best_units", "interventions")
REFUSED = [(name, ([],), "at least one entry") for name in EMPTY]
REFUSED += [(name, ({}, "NSE"), "at least one entry") for name in ("score_distribution", "probe_distributions")]
REFUSED += [
    ("history", (pd.DataFrame({"loss": [1.0]}),), "no column epoch, only loss"),
    ("score_map", ([NAN, NAN], [45.0, 44], [0.5, 0.5], "NSE"), "None of 2 basins has coordinates"),
    ("score_map", ([1.0, 2], [45.0], [0.5, 0.5], "NSE"), r"\(2,\), \(1,\), \(2,\)"),
    ("states", (DATES, np.zeros(DAYS), ["a"], [], "title"), r"\(120,\), not \(day, unit\)"),
    ("states", (DATES, np.zeros((DAYS, 2)), ["a"], [], "title"), "1 names"),
    ("states", (DATES, np.zeros((DAYS - 1, 1)), ["a"], [], "title"), "120 dates"),
    ("states", (DATES, np.zeros((DAYS, 0)), [], [], "title"), "0 names"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_what_cannot_be_drawn_is_said(draw, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(name, *arguments)


def test_history_draws_parts_scores_and_rate(draw):
    table = a_history()
    table.loc[::2, "val_NSE_streamflow"] = NAN
    figure = draw("history", table)
    loss, rate, score = figure.axes
    assert_array_equal(drawn(loss), table[["loss", "streamflow_loss", "swe_loss"]].T)
    assert loss.get_yscale() == "log"
    validated = lines(score)[0]  # epochs without validation are joined over
    assert_array_equal(validated.get_xdata(), np.arange(2, 31, 2))
    assert_array_equal(validated.get_ydata(), table["val_NSE_streamflow"].dropna())
    assert_array_equal(drawn(rate), [table["learning_rate"]])
    assert lines(loss)[2].get_color() == lines(score)[1].get_color() != validated.get_color()
    assert shows(figure, "training loss", "learning\nrate", "epoch", "streamflow", "all parts, weighted")
    assert score.get_ylim() == (pytest.approx(0.9 - 2 / 2 - 0.05), 1) and "not shown" not in texts(figure)


def panels(basins, concepts):
    return [a_panel(f"{i}", [f"concept_{k}" for k in range(concepts)]) for i in range(basins)]


LOST = a_history().assign(loss=NAN, streamflow_loss=NAN, swe_loss=NAN, val_NSE_swe=NAN, val_NSE_streamflow=NAN)
MANY = [f"concept_{i}" for i in range(20)]
BLIND = [concept | {"observed": NOTHING, "probed": NOTHING} for concept in probed(20)]
SIZES = [
    ("history", (a_history(MANY),), "concept 19"),
    ("history", (LOST,), "swe"),
    ("history", (a_history(()),), "all"),
]
SIZES += [("history", (a_history().assign(loss=-1.0),), "swe"), ("history", (a_history()[["epoch"]],), "epoch")]
SIZES += [("history", (a_history(epochs=0),), "swe")]
SIZES += [("hydrographs", (panels(*size),), "mm") for size in ((1, 0), (3, 0), (1, 1), (2, 2), (1, 20))]
SIZES += [("states", (DATES, NOTHING[:, None], ["unit 0"], some, "title"), "unit 0") for some in ([], BLIND)]
SIZES += [("score_map", ([-70.0], [45.0], [0.5], "NSE"), "1 basin, median NSE 0.5")]
SIZES += [("score_map", ([-70.0, -71], [45.0, 44], [NAN, NAN], "PBIAS"), "no basin has a value")]


@pytest.mark.parametrize(("name", "arguments", "word"), SIZES)
def test_figures_of_any_size_are_readable(draw, name, arguments, word):
    assert shows(draw(name, *arguments), word)


def test_history_of_one_epoch_is_a_dot_and_not_an_invisible_line(draw):
    figure = draw("history", a_history(epochs=1).assign(val_NSE_swe=-3.0))
    assert any(line.get_marker() == "." for line in figure.axes[0].get_lines())
    assert all(tick == round(tick) for tick in figure.axes[2].get_xticks())
    assert figure.axes[2].get_ylim() == (-0.5, 1) and shows(figure, "below −0.5 not shown")


def test_distribution_is_the_empirical_one(draw):
    scores = np.array([0.9, NAN, 0.1, 0.5, 0.7, np.inf])
    figure = draw("score_distribution", {"streamflow": scores}, "NSE", note="test period")
    (axes,) = figure.axes
    (curve,) = lines(axes)
    np.testing.assert_allclose(curve.get_xdata()[1:], [0.1, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(curve.get_ydata(), [0, 0.25, 0.5, 0.75, 1])
    assert shows(figure, "streamflow: median 0.6\n(4 basins, 2 without value)", "NSE (–)", "test period")
    assert "not shown" not in texts(figure) and axes.get_xlim() == (pytest.approx(0.08), 1)
    assert any(list(line.get_xdata()) == [0.6, 0.6] for line in axes.get_lines())


@pytest.mark.parametrize(
    ("metric", "scores", "limits", "words"),
    [
        ("NSE", [-30.0, -0.6, 0.5, 1.0], (-0.5, 1), "not shown: 2 of 4 below −0.5"),
        ("NSE", [-30.0], (-0.5, 1), "not shown: 1 of 1 below −0.5"),
        ("PBIAS", np.arange(101.0), (1, 99), "not shown: 1 of 101 below 1, 1 of 101 above 99"),
        ("PBIAS", [-5.0, 20.0], (-5, 20), "PBIAS (%)"),
        ("RMSE", [2.0], (1.5, 2.5), "RMSE (unit of the series)"),
        ("KGE", [NAN], (0, 1), "no value\n(0 basins, 1 without value)"),
        ("KGE", [], (0, 1), "no value\n(0 basins)"),
        ("r", [1.0], (0.98, 1), "median 1\n(1 basin)"),
    ],
)
def test_distribution_says_what_it_cuts(draw, metric, scores, limits, words):
    figure = draw("score_distribution", {"a": scores}, metric)
    assert figure.axes[0].get_xlim() == pytest.approx(limits) and shows(figure, words)


def test_distribution_of_many(draw):
    figure = draw("score_distribution", {f"concept {i}": np.linspace(0, 1, 9) for i in range(20)}, "NSE")
    styles = {(line.get_color(), line.get_linestyle()) for line in lines(figure.axes[0])}
    assert len(styles) == len(lines(figure.axes[0])) == 20 and shows(figure)
    assert figure.axes[0].get_position().height > 0.5  # the legend stands beside, and does not press the curves flat


def test_hydrographs_draw_each_basin_and_concept(draw):
    gap = wave()
    gap[10:20] = NAN
    gap[15] = 9.0
    first = a_panel(observed=gap, members=np.stack([wave(), wave() + 1, NOTHING]))
    figure = draw("hydrographs", [first, a_panel("median", ("swe",)), a_panel("bad $\\frac$", ("soil_moisture_1",))])
    grid = np.array(figure.axes).reshape(3, 3)
    observed, simulated = lines(grid[0, 0])
    assert_array_equal(drawn(grid[0, 0]), [gap, wave(0.2)])
    assert_array_equal(date2num(observed.get_xdata()), date2num(DATES.to_pydatetime()))
    assert observed.get_color() == "black" and simulated.get_color() != "black"
    (alone,) = (line for line in grid[0, 0].get_lines() if line.get_marker() == ".")
    assert alone.get_ydata().tolist() == [9.0] and alone.get_xdata()[0] == np.datetime64("2004-10-16")
    (band,) = grid[0, 0].collections
    edge = band.get_paths()[0].get_extents()
    assert (edge.y0, edge.y1) == (pytest.approx(wave().min()), pytest.approx(wave().max() + 1))
    assert_array_equal(drawn(grid[2, 0]), [wave(1), wave(1.1)])
    assert_array_equal(drawn(grid[2, 2])[0], wave(0))  # in the row of its name
    assert lines(grid[1, 2]) == lines(grid[2, 1]) == []
    assert shows(figure, "streamflow (mm/day)", "swe\n(mm)", "soil moisture 1\n(mm)", "01022500: good", "bad $\\frac$")
    assert texts(figure).count("not a concept of this basin") == 2 and shows(figure, "range of the members", "observed")


def test_hydrographs_without_observations(draw):
    panel = a_panel(observed=NOTHING, simulated=NOTHING, members=wave()[None])
    panel["concepts"][0]["observed"] = NOTHING
    figure = draw("hydrographs", [panel])
    assert texts(figure).count("no observations") == 2 and not figure.axes[0].collections
    del panel["concepts"], panel["members"]
    assert len(draw("hydrographs", [panel]).axes) == 1


def test_map_puts_dots_where_basins_are(draw):
    lon, lat = np.array([-120.0, -70.0, -95.0, NAN]), np.array([30.0, 45.0, 40.0, 40.0])
    figure = draw("score_map", lon, lat, [0.8, -3.0, NAN, 0.5], "NSE")
    axes, bar = figure.axes
    dots, crosses = axes.collections
    assert_array_equal(dots.get_offsets(), [[-120, 30], [-70, 45]])
    assert_array_equal(dots.get_array(), [0.8, -3.0])
    assert_array_equal(crosses.get_offsets(), [[-95, 40]])
    # 37.5 degrees north is the middle: there a degree of longitude is cos(37.5°) of one of latitude.
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(37.5)))
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    assert west < -120 and east > -70 and south < 30 and north > 45 and bar.get_ylabel() == "NSE (–)"
    assert shows(figure, "longitude (°E)", "latitude (°N)", "no value (1)")
    assert shows(figure, "2 basins, median NSE −1.1; 1 without coordinates left out")


@pytest.mark.parametrize(
    ("metric", "values", "limits", "extend"),
    [
        ("NSE", [0.8, -3.0, 1.0], (0, 1), "min"),
        ("KGE", [0.1, 0.9, 1.0], (0, 1), "min"),
        ("PBIAS", [-10.0, -10, 10], (-10, 10), "neither"),
        ("PBIAS", [0.0, 0, 0], (-1, 1), "neither"),
        ("alpha-NSE", [0.5, 1.5, 1], (0.5, 1.5), "neither"),
        ("RMSE", [1.0, 1, 1], (1, 2), "neither"),
        ("RMSE", [0.0, 50, 100], (2, 98), "both"),
    ],
)
def test_map_colours_suit_the_score(draw, metric, values, limits, extend):
    dots = draw("score_map", [1.0, 2, 3], [4.0, 5, 6], values, metric).axes[0].collections[0]
    assert dots.get_clim() == pytest.approx(limits) and dots.colorbar.extend == extend


def test_states_above_concepts(draw):
    cells = np.stack([wave(i) for i in range(6)])
    figure = draw("states", DATES, cells.T, [f"unit {i}" for i in range(6)], probed(2), "01022500")
    first, second, upper, lower = figure.axes
    assert_array_equal(drawn(first), cells[:4])
    assert_array_equal(drawn(second), cells[4:])
    assert_array_equal(drawn(lower), [wave(1), wave(1.1)])
    observed, read = lines(lower)
    assert observed.get_color() == "black" and read.get_color() != "black"
    assert lower.get_xlim()[1] > date2num(DATES[-1]) and first.get_xlim() == lower.get_xlim()
    assert upper.get_ylabel() == "layer 0\n(mm)"
    assert shows(figure, "cell state (–)", "unit 5", "layer 1\n(mm)", "probed", "observed", "01022500")


def test_probe_figures_draw_the_numbers_given(draw):
    controls = draw("probe_controls", {"swe": CONTROLS}, note="test period")
    median, below = (line for line in controls.axes[0].get_lines() if len(line.get_xdata()) == 1)
    assert (*median.get_xdata(), *below.get_xdata()) == (0.8, -0.04)  # -3 is an arrow at the edge
    assert shows(controls, "a shuffled year", "below −1", "median over basins", "test period")

    distribution = draw("probe_distributions", *FIGURES["probe_distributions"])
    (curve,) = lines(distribution.axes[0])
    assert curve.get_xdata()[1:].tolist() == [0.2, 0.6] and shows(distribution, "swe (2 basins)", "cell states")

    series = draw("probe_series", *FIGURES["probe_series"])
    assert_array_equal(drawn(series.axes[1]), [wave(), wave(1), wave(2)])
    assert shows(series, "worst", "swe\n(mm)", "read in: weather")

    state, observed = draw("best_units", [UNIT]).axes
    assert_array_equal([*drawn(state), *drawn(observed)], [wave(1), wave()])

    moved = draw("interventions", [MOVED])
    assert_array_equal(drawn(moved.axes[0])[0], np.full(9, 2.5))  # the median of 1, 2, 3, 6
    edges = [band.get_paths()[0].get_extents() for band in moved.axes[0].collections]
    assert [(edge.y0, edge.y1) for edge in edges] == [(-2, 2), (1.75, 3.75)]
    assert shows(moved, "Δ swe\n(mm)", "swe +3 mm", "days after the change", "half of the basins")
