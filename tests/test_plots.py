"""The figures: what is drawn are the numbers given, and a file appears whole or not at all."""

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num

import plots

NAN = float("nan")
DAYS = 120
DATES = pd.date_range("2004-10-01", periods=DAYS)


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings(), matplotlib.rc_context(plots.STYLE):
        warnings.simplefilter("error")
        yield


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


def lines(axes, size=None):
    """Lines of data, without those that stand for the legend or the median."""
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2 and size in (None, len(line.get_xdata()))]


def texts(figure):
    """Every word on the figure, drawn first so that the tick labels exist."""
    figure.draw_without_rendering()
    found = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return "\n".join(word for word in found if word)


def readable(figure):
    """Panels keep a size at which they can be read (a layout that does not fit raises a warning, here an error)."""
    figure.draw_without_rendering()
    sizes = [axes.get_window_extent().size / figure.dpi for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return all(width > 1.2 and height > 0.4 for width, height in sizes)


FIGURES = {
    "history": (plots.history, (a_history(),)),
    "score_distribution": (plots.score_distribution, ({"streamflow": np.linspace(0, 1, 20)}, "NSE")),
    "hydrographs": (plots.hydrographs, ([a_panel(), a_panel("b"), a_panel("c")],)),
    "score_map": (plots.score_map, (np.linspace(-120, -70, 5), np.linspace(30, 45, 5), np.linspace(-1, 1, 5), "NSE")),
    "states": (plots.states, (DATES, np.stack([wave(), wave(1)], 1), ["unit 3", "unit 8"], probed(2), "a basin")),
}


def call(name, path):
    function, arguments = FIGURES[name]
    function(*arguments, path)


@pytest.mark.parametrize("name", FIGURES)
def test_file_is_written_whole(name, tmp_path):
    path = tmp_path / "new folder" / f"{name}.png"
    call(name, path)
    written = path.read_bytes()
    assert written[:8] == b"\x89PNG\r\n\x1a\n" and written[-8:-4] == b"IEND" and len(written) > 10_000
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    call(name, str(path))  # again, over the old one
    assert path.read_bytes() == written


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_ending_chooses_the_format(suffix, tmp_path):
    call("states", tmp_path / f"a.{suffix}")
    start = (tmp_path / f"a.{suffix}").read_bytes()[:200]
    assert start.startswith(b"%PDF") if suffix == "pdf" else b"<?xml" in start


@pytest.mark.parametrize("moment", ["savefig", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(moment, tmp_path, monkeypatch):
    path = tmp_path / "nse.png"
    path.write_text("the old figure", encoding="utf-8")

    def fail(*arguments, **options):
        if moment == "savefig":
            arguments[1].write_bytes(b"half a figu")
        raise OSError("disk full")

    monkeypatch.setattr(*((plots.Figure, "savefig") if moment == "savefig" else (plots.os, "replace")), fail)
    with pytest.raises(OSError, match="disk full"):
        call("score_distribution", path)
    assert path.read_text(encoding="utf-8") == "the old figure"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        call("history", tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_callers_settings_are_left_alone(tmp_path):
    with matplotlib.rc_context({"font.size": 17, "text.parse_math": True}):
        call("history", tmp_path / "a.png")
        assert matplotlib.rcParams["font.size"] == 17 and matplotlib.rcParams["text.parse_math"]


def test_history_draws_parts_scores_and_rate():
    table = a_history()
    table.loc[::2, "val_NSE_streamflow"] = NAN
    figure = plots._history(table)
    loss, rate, score = figure.axes
    total, streamflow, swe = (line.get_ydata() for line in lines(loss))
    np.testing.assert_array_equal(total, table["loss"])
    np.testing.assert_array_equal(streamflow, table["streamflow_loss"])
    np.testing.assert_array_equal(swe, table["swe_loss"])
    assert loss.get_yscale() == "log"
    validated = lines(score)[0]  # epochs without validation are joined over
    np.testing.assert_array_equal(validated.get_xdata(), np.arange(2, 31, 2))
    np.testing.assert_array_equal(validated.get_ydata(), table["val_NSE_streamflow"].dropna())
    np.testing.assert_array_equal(lines(rate)[0].get_ydata(), table["learning_rate"])
    assert lines(loss)[2].get_color() == lines(score)[1].get_color() != validated.get_color()
    words = texts(figure)
    assert "training loss" in words and "learning\nrate" in words and "epoch" in words and "streamflow" in words
    assert score.get_ylim() == (pytest.approx(0.9 - 2 / 2 - 0.05), 1) and "not shown" not in words


def test_history_says_what_it_cuts():
    figure = plots._history(a_history().assign(val_NSE_swe=-3.0))
    assert figure.axes[2].get_ylim() == (-0.5, 1) and "below −0.5 not shown" in texts(figure)


@pytest.mark.parametrize(
    "table",
    [
        a_history(()),
        a_history(epochs=1),
        a_history(epochs=0),
        a_history([f"concept_{i}" for i in range(20)]),
        a_history().assign(loss=NAN, streamflow_loss=NAN, swe_loss=NAN, val_NSE_swe=NAN, val_NSE_streamflow=NAN),
        a_history().assign(loss=-1.0),
        a_history()[["epoch"]],
    ],
)
def test_history_of_any_run(table):
    figure = plots._history(table)
    assert readable(figure)
    if len(table) == 1:  # a single epoch is a dot, not an invisible line
        assert any(line.get_marker() == "." for line in figure.axes[0].get_lines())
        assert all(tick == round(tick) for tick in figure.axes[2].get_xticks())


def test_history_needs_epochs():
    with pytest.raises(ValueError, match=r"Received: \['loss'\]"):
        plots._history(pd.DataFrame({"loss": [1.0]}))


def test_distribution_is_the_empirical_one():
    scores = np.array([0.9, NAN, 0.1, 0.5, 0.7, np.inf])
    figure = plots._score_distribution({"streamflow": scores}, "NSE", "test period")
    (axes,) = figure.axes
    (curve,) = lines(axes)
    np.testing.assert_allclose(curve.get_xdata()[1:], [0.1, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(curve.get_ydata(), [0, 0.25, 0.5, 0.75, 1])
    words = texts(figure)
    assert "streamflow: median 0.6\n(4 basins, 2 without value)" in words
    assert "NSE (–)" in words and "test period" in words and "not shown" not in words
    assert axes.get_xlim() == (pytest.approx(0.08), 1)
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
def test_distribution_says_what_it_cuts(metric, scores, limits, words):
    figure = plots._score_distribution({"a": scores}, metric, "")
    assert figure.axes[0].get_xlim() == pytest.approx(limits)
    assert words in texts(figure) and readable(figure)


def test_distribution_of_many():
    figure = plots._score_distribution({f"concept {i}": np.linspace(0, 1, 9) for i in range(20)}, "NSE", "")
    assert len(lines(figure.axes[0])) == 20 and readable(figure)
    styles = {(line.get_color(), line.get_linestyle()) for line in lines(figure.axes[0])}
    assert len(styles) == 20
    assert figure.axes[0].get_position().height > 0.5  # the legend stands beside, and does not press the curves flat
    with pytest.raises(ValueError, match="at least one"):
        plots._score_distribution({}, "NSE", "")


def test_hydrographs_draw_each_basin_and_concept():
    gap = wave()
    gap[10:20] = NAN
    gap[15] = 9.0
    members = np.stack([wave(), wave() + 1, np.full(DAYS, NAN)])
    panels = [
        a_panel(observed=gap, members=members),
        a_panel("median", ("swe",)),
        a_panel("bad $\\frac$", ("soil_moisture_1",)),
    ]
    figure = plots._hydrographs(panels)
    grid = np.array(figure.axes).reshape(3, 3)
    observed, simulated = lines(grid[0, 0])
    np.testing.assert_array_equal(observed.get_ydata(), gap)
    np.testing.assert_array_equal(simulated.get_ydata(), wave(0.2))
    np.testing.assert_array_equal(date2num(observed.get_xdata()), date2num(DATES.to_pydatetime()))
    assert observed.get_color() == "black" and simulated.get_color() != "black"
    (alone,) = (line for line in grid[0, 0].get_lines() if line.get_marker() == ".")
    assert alone.get_ydata().tolist() == [9.0] and alone.get_xdata()[0] == np.datetime64("2004-10-16")
    (band,) = grid[0, 0].collections
    edge = band.get_paths()[0].get_extents()
    assert (edge.y0, edge.y1) == (pytest.approx(wave().min()), pytest.approx(wave().max() + 1))
    np.testing.assert_array_equal(lines(grid[2, 0])[1].get_ydata(), wave(1.1))
    np.testing.assert_array_equal(lines(grid[2, 2])[0].get_ydata(), wave(0))  # in the row of its name
    assert lines(grid[1, 2]) == lines(grid[2, 1]) == []
    words = texts(figure)
    for word in (
        "streamflow (mm/day)",
        "swe\n(mm)",
        "soil moisture 1\n(mm)",
        "01022500: good",
        "bad $\\frac$",
        "observed",
    ):
        assert word in words, word
    assert words.count("not a concept of this basin") == 2 and "range of the members" in words
    assert readable(figure)


@pytest.mark.parametrize(("basins", "concepts"), [(1, 0), (3, 0), (1, 1), (2, 2), (1, 20)])
def test_hydrographs_of_any_number(basins, concepts):
    figure = plots._hydrographs([a_panel(f"{i}", [f"concept_{k}" for k in range(concepts)]) for i in range(basins)])
    assert len(figure.axes) == basins * (1 + concepts)
    assert readable(figure)


def test_hydrographs_without_observations():
    panel = a_panel(observed=np.full(DAYS, NAN), simulated=np.full(DAYS, NAN), members=wave()[None])
    panel["concepts"][0]["observed"] = np.full(DAYS, NAN)
    figure = plots._hydrographs([panel])
    assert texts(figure).count("no observations") == 2 and not figure.axes[0].collections
    del panel["concepts"], panel["members"]
    assert len(plots._hydrographs([panel]).axes) == 1
    with pytest.raises(ValueError, match="at least one basin"):
        plots._hydrographs([])


def test_map_puts_dots_where_basins_are():
    lon, lat = np.array([-120.0, -70.0, -95.0, NAN]), np.array([30.0, 45.0, 40.0, 40.0])
    figure = plots._score_map(lon, lat, [0.8, -3.0, NAN, 0.5], "NSE")
    axes, bar = figure.axes
    dots, crosses = axes.collections
    np.testing.assert_array_equal(dots.get_offsets(), [[-120, 30], [-70, 45]])
    np.testing.assert_array_equal(dots.get_array(), [0.8, -3.0])
    np.testing.assert_array_equal(crosses.get_offsets(), [[-95, 40]])
    assert dots.get_clim() == (0, 1) and dots.colorbar.extend == "min"
    # 37.5 degrees north is the middle: there a degree of longitude is cos(37.5°) of one of latitude.
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(37.5)))
    assert (
        axes.get_xlim()[0] < -120 and axes.get_xlim()[1] > -70 and axes.get_ylim()[0] < 30 and axes.get_ylim()[1] > 45
    )
    words = texts(figure)
    for word in ("longitude (°E)", "latitude (°N)", "no value (1)", "median NSE −1.1; 1 without coordinates left out"):
        assert word in words, word
    assert bar.get_ylabel() == "NSE (–)" and readable(figure)


@pytest.mark.parametrize(
    ("metric", "values", "limits", "extend"),
    [
        ("KGE", [0.1, 0.9, 1.0], (0, 1), "min"),
        ("PBIAS", [-10.0, -10, 10], (-10, 10), "neither"),
        ("PBIAS", [0.0, 0, 0], (-1, 1), "neither"),
        ("alpha-NSE", [0.5, 1.5, 1], (0.5, 1.5), "neither"),
        ("RMSE", [1.0, 1, 1], (1, 2), "neither"),
        ("RMSE", [0.0, 50, 100], (2, 98), "both"),
    ],
)
def test_map_colours_suit_the_score(metric, values, limits, extend):
    figure = plots._score_map([1.0, 2, 3], [4.0, 5, 6], values, metric)
    dots = figure.axes[0].collections[0]
    assert dots.get_clim() == pytest.approx(limits) and dots.colorbar.extend == extend


def test_map_of_one_basin_and_of_none():
    assert readable(plots._score_map([-70.0], [45.0], [0.5], "NSE"))
    assert "no basin has a value" in texts(plots._score_map([-70.0, -71], [45.0, 44], [NAN, NAN], "PBIAS"))
    with pytest.raises(ValueError, match="Received: 2 basins"):
        plots._score_map([NAN, NAN], [45.0, 44], [0.5, 0.5], "NSE")
    with pytest.raises(ValueError, match=r"\(2,\), \(1,\), \(2,\)"):
        plots._score_map([1.0, 2], [45.0], [0.5, 0.5], "NSE")


def test_states_above_concepts():
    cells = np.stack([wave(i) for i in range(6)], axis=1)
    figure = plots._states(DATES, cells, [f"unit {i}" for i in range(6)], probed(2), "01022500")
    first, second, upper, lower = figure.axes
    drawn = [line.get_ydata() for axes in (first, second) for line in lines(axes)]
    assert [len(lines(axes)) for axes in (first, second)] == [4, 2]
    np.testing.assert_array_equal(np.stack(drawn, axis=1), cells)
    observed, read = lines(lower)
    np.testing.assert_array_equal(observed.get_ydata(), wave(1))
    np.testing.assert_array_equal(read.get_ydata(), wave(1.1))
    assert observed.get_color() == "black" and read.get_color() != "black"
    assert lower.get_xlim()[1] > date2num(DATES[-1]) and first.get_xlim() == lower.get_xlim()
    words = texts(figure)
    for word in ("cell state (–)", "unit 5", "layer 1\n(mm)", "probed", "observed", "01022500"):
        assert word in words, word
    assert readable(figure) and upper.get_ylabel() == "layer 0\n(mm)"


@pytest.mark.parametrize("concepts", [0, 20])
def test_states_with_any_number_of_concepts(concepts):
    given = probed(concepts)
    if given:
        given[0]["observed"] = given[0]["probed"] = np.full(DAYS, NAN)
    figure = plots._states(DATES, np.full((DAYS, 1), NAN), ["unit 0"], given, "title")
    assert len(figure.axes) == 1 + concepts and texts(figure).count("no observations") == min(concepts, 1)


@pytest.mark.parametrize(
    ("shape", "names"), [((DAYS,), ["a"]), ((DAYS, 2), ["a"]), ((DAYS - 1, 1), ["a"]), ((DAYS, 0), [])]
)
def test_states_refuse_shapes_that_do_not_fit(shape, names):
    with pytest.raises(ValueError, match=f"{len(names)} names"):
        plots._states(DATES, np.zeros(shape), names, [], "title")
