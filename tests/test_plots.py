"""The figures: what is drawn are the numbers given, and a file appears whole or not at all."""

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num
from numpy.testing import assert_array_equal

from writing import plots

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


def probed(count):
    return [dict(name=f"layer_{i}", units="mm", observed=wave(i), probed=wave(i + 0.1)) for i in range(count)]


def one(title, name, observed, **more):
    """The rows of one panel of `plots.series`."""
    units = "mm/day" if name == "streamflow" else "mm"
    return pd.DataFrame(dict(title=title, name=name, units=units, date=DATES, observed=observed, **more))


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
    """All words are on the figure, its panels are large enough to be read, and no legend lies on them."""
    found = texts(figure)
    assert [word for word in words if word not in found] == []
    panels = [axes.get_window_extent() for axes in figure.axes if axes.get_label() != "<colorbar>"]
    legends = [legend.get_window_extent() for legend in figure.findobj(matplotlib.legend.Legend)]
    assert not any(legend.overlaps(panel) for legend in legends for panel in panels)
    return all(min(panel.width / 1.2, panel.height / 0.4) > figure.dpi for panel in panels)


CONTROLS = pd.DataFrame([("swe", "cell states", "NSE", 0.8, 0.7, 0.9), ("swe", "cell states", "r", 0.9, 0.9, 0.9),
                         ("swe", "a shuffled year", "NSE", -3.0, -4.0, -2.0),
                         ("swe", "one basin", "NSE anomaly", -0.2, NAN, NAN)],
                        columns=["concept", "reader", "metric", "median", "low", "high"])  # fmt: skip
COLOURS = plots.target_colours(["streamflow", "swe", "soil_moisture_1"])
STYLES = {"cell states": {}, "a shuffled year": {"color": "#666666"}, "one basin": {"color": "#444444"}}
SKILL = pd.DataFrame({"concept": "swe", "reader": ["cell states"] * 3 + ["weather"], "NSE": [0.2, NAN, 0.6, -0.3]})
LINES = {"simulated": "#888888", "read in: states": COLOURS}
SERIES = pd.concat(one(title, name, wave(), **{line: wave(1)}) for title in ("01022500: good", "b", "c")
                   for name, line in (("streamflow", "simulated"), ("swe", "read in: states"),
                                      ("soil_moisture_1", "read in: states")))  # fmt: skip
CHANGE = pd.DataFrame({"title": "swe +3 mm", "moved": "swe", "response_of": ["streamflow"] * 9 + ["swe"] * 9,
                       "units": ["mm/day"] * 9 + ["mm"] * 9, "day_after": [*range(1, 10)] * 2, "low": 1.75,
                       "median": 2.5, "high": 3.75, "random": 2.0})  # fmt: skip
FIGURES = {
    "history": (a_history(),),
    "score_distribution": ({"streamflow": np.linspace(0, 1, 20)}, "NSE"),
    "series": (SERIES, LINES),
    "score_map": (np.linspace(-120, -70, 5), np.linspace(30, 45, 5), np.linspace(-1, 1, 5), "NSE"),
    "states": (DATES, np.stack([wave(), wave(1)], 1), ["cn_3", "cn_8"], probed(2), "a basin"),
    "probe_controls": (CONTROLS, COLOURS, STYLES),
    "probe_distributions": (SKILL, "NSE", COLOURS, {"cell states": {}}),
    "interventions": (CHANGE, COLOURS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_file_is_written_whole_and_the_callers_settings_are_left_alone(name, tmp_path):
    path = tmp_path / "new folder" / f"{name}.png"
    with matplotlib.rc_context({"axes.labelsize": 17}):
        figure = getattr(plots, name)(*FIGURES[name], path=path)
        assert matplotlib.rcParams["axes.labelsize"] == 17 and figure.axes[0].xaxis.label.get_size() == 8
    written = path.read_bytes()
    assert written[:8] == b"\x89PNG\r\n\x1a\n" and written[-8:-4] == b"IEND" and len(written) > 10_000
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    assert shows(figure)


def test_history_draws_parts_scores_and_rate(draw):
    table = a_history()
    table.loc[::2, "val_NSE_streamflow"] = NAN
    figure = draw("history", table)
    loss, score, rate = figure.axes
    assert_array_equal(drawn(loss), table[["loss", "streamflow_loss", "swe_loss"]].T)
    assert loss.get_yscale() == "log"
    validated = lines(score)[0]  # epochs without validation are joined over
    assert_array_equal(validated.get_xdata(), np.arange(2, 31, 2))
    assert_array_equal(validated.get_ydata(), table["val_NSE_streamflow"].dropna())
    assert_array_equal(drawn(rate), [table["learning_rate"]])
    assert [to_hex(line.get_color()).upper() for line in (*lines(loss)[1:], *lines(score))] == [
        "#0072B2",
        "#D55E00",
    ] * 2
    assert shows(figure, "training loss", "learning\nrate", "epoch", "streamflow", "all parts, weighted")
    assert score.get_ylim() == (pytest.approx(0.9 - 2 / 2 - 0.05), 1) and "not shown" not in texts(figure)


def test_history_of_one_epoch_is_a_dot_and_not_an_invisible_line(draw):
    figure = draw("history", a_history(epochs=1).assign(val_NSE_swe=-3.0))
    assert any(line.get_marker() == "." for line in figure.axes[0].get_lines())
    assert all(tick == round(tick) for tick in figure.axes[1].get_xticks())
    assert figure.axes[1].get_ylim() == (-0.5, 1) and shows(figure, "below −0.5 not shown")


LOST = a_history().assign(loss=NAN, streamflow_loss=NAN, swe_loss=NAN, val_NSE_swe=NAN, val_NSE_streamflow=NAN)
BLIND = [concept | {"observed": NOTHING, "probed": NOTHING} for concept in probed(20)]
SIZES = [
    ("history", (a_history([f"concept_{i}" for i in range(20)]),), "concept 19"),
    ("history", (LOST,), "swe"),
    ("history", (a_history(()).assign(loss=-1.0),), "all"),
    ("series", (one("a", "streamflow", wave(), simulated=wave(1)), LINES), "mm/day"),
    ("series", (pd.concat(one("a", f"concept_{k}", NOTHING) for k in range(20)), LINES), "concept 19"),
    *(("states", (DATES, NOTHING[:, None], ["cn_1"], concepts, "title"), "cn_1") for concepts in ([], BLIND)),
    ("score_map", ([-70.0], [45.0], [0.5], "NSE"), "1 basin, median NSE 0.5"),
    ("score_map", ([-70.0, -71], [45.0, 44], [NAN, NAN], "NSE"), "no basin has a value"),
]


@pytest.mark.parametrize(("name", "arguments", "word"), SIZES)
def test_figures_of_any_size_are_readable(draw, name, arguments, word):
    assert shows(draw(name, *arguments), word)


def test_distribution_is_the_empirical_one(draw):
    scores = np.array([0.9, NAN, 0.1, 0.5, 0.7, np.inf])
    figure = draw("score_distribution", {"streamflow": scores}, "NSE", note="test period")
    (axes,) = figure.axes
    (curve,) = lines(axes)
    np.testing.assert_allclose(curve.get_xdata()[1:], [0.1, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(curve.get_ydata(), [0, 0.25, 0.5, 0.75, 1])
    assert shows(figure, "streamflow: median 0.6 (4 basins, 2 without value)", "NSE (–)", "test period")
    assert "not shown" not in texts(figure) and axes.get_xlim() == (pytest.approx(0.08), 1)
    assert any(list(line.get_xdata()) == [0.6, 0.6] for line in axes.get_lines())


CUT = [([-30.0, -0.6, 0.5, 1.0], -0.5, "not shown: 2 of 4 below −0.5"), ([1.0], 0.88, "median 1 (1 basin)"),
       ([NAN], 0.88, "no value (0 basins, 1 without value)"), ([], 0.88, "no value (0 basins)")]  # fmt: skip


@pytest.mark.parametrize(("scores", "low", "words"), CUT)
def test_distribution_says_what_it_cuts(draw, scores, low, words):
    figure = draw("score_distribution", {"a": scores}, "KGE")
    assert figure.axes[0].get_xlim() == pytest.approx((low, 1)) and shows(figure, words)


def test_distribution_of_many(draw):
    figure = draw("score_distribution", {f"concept {i}": np.linspace(0, 1, 9) for i in range(20)}, "NSE")
    styles = {(line.get_color(), line.get_linestyle()) for line in lines(figure.axes[0])}
    assert len(styles) == len(lines(figure.axes[0])) == 20 and shows(figure)
    assert figure.axes[0].get_window_extent().height > 1.5 * figure.dpi  # the legend does not press the curves flat


def test_series_draw_each_basin_and_variable(draw):
    gap = wave()
    gap[10:20] = NAN
    gap[15] = 9.0
    changed = SERIES["title"].eq("01022500: good") & SERIES["name"].eq("streamflow")
    figure = draw("series", SERIES.assign(observed=SERIES["observed"].mask(changed, np.tile(gap, 9))), LINES)
    grid = np.array(figure.axes).reshape(3, 3)
    assert_array_equal(drawn(grid[0, 0]), [gap, wave(1)])
    (alone,) = (line for line in grid[0, 0].get_lines() if line.get_marker() == ".")
    assert alone.get_ydata().tolist() == [9.0] and alone.get_xdata()[0] == np.datetime64("2004-10-16")
    assert_array_equal(date2num(lines(grid[0, 0])[0].get_xdata()), date2num(DATES.to_pydatetime()))
    for axes, colour in zip(grid[:, 2], ("#888888", "#D55E00", "#009E73"), strict=True):
        assert_array_equal(drawn(axes), [wave(), wave(1)])
        assert [line.get_color() for line in lines(axes)] == ["black", colour]
    assert shows(figure, "streamflow\n(mm/day)", "soil moisture 1\n(mm)", "01022500: good", "observed", *LINES)
    figure = draw("series", one("bad $\\frac$", "swe", NOTHING, simulated=NOTHING), LINES)
    assert shows(figure, "no observations", "bad $\\frac$")


def test_map_puts_dots_where_basins_are(draw):
    lon, lat = np.array([-120.0, -70.0, -95.0, NAN]), np.array([30.0, 45.0, 40.0, 40.0])
    figure = draw("score_map", lon, lat, [0.8, -3.0, NAN, 0.5], "NSE")
    axes, bar = figure.axes
    dots, crosses = axes.collections
    assert_array_equal(dots.get_offsets(), [[-120, 30], [-70, 45]])
    assert_array_equal(dots.get_array(), [0.8, -3.0])
    assert dots.get_clim() == (0, 1) and dots.colorbar.extend == "min"
    assert_array_equal(crosses.get_offsets(), [[-95, 40]])
    # 37.5 degrees north is the middle: there a degree of longitude is cos(37.5°) of one of latitude.
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(37.5)))
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    assert west < -120 and east > -70 and south < 30 and north > 45 and bar.get_ylabel() == "NSE (–)"
    assert shows(figure, "longitude (°E)", "latitude (°N)", "no value (1)")
    assert shows(figure, "2 basins, median NSE −1.1; 1 without coordinates left out")


def test_a_target_keeps_its_colour_in_all_figures_and_the_legend_shows_the_colours_of_several(draw):
    """Whatever the order in which a history or a probe names them: streamflow is blue, concepts follow."""
    targets = ["streamflow", "swe", "soil1"]
    colours = plots.target_colours(["swe", "soil1", "streamflow", "swe"])
    assert (
        colours == plots.target_colours(targets) == dict(zip(targets, ("#0072B2", "#D55E00", "#009E73"), strict=True))
    )
    history = a_history(["swe", "soil1", "streamflow"])
    loss, *_ = draw("history", history).axes
    assert {line.get_label(): line.get_color() for line in lines(loss)[1:]} == colours
    many = draw("score_distribution", {name: np.linspace(0, 1, 9) for name in targets}, "NSE").axes[0]
    assert [line.get_color() for line in lines(many)] == list(colours.values())
    part = SERIES.assign(simulated=NAN, observed=NOTHING[0])
    (legend,) = draw("series", part, LINES).findobj(matplotlib.legend.Legend)
    shown = [line.get_color() for line in legend.findobj(matplotlib.lines.Line2D)]
    assert [word.get_text() for word in legend.get_texts()] == ["observed", "read in: states"]
    assert shown == ["black", "#D55E00", "#009E73"]
    assert not set(plots.STATES) & {*plots.COLOURS, plots.OBSERVED}  # a cell state looks like no target


def test_states_above_concepts(draw):
    cells = np.stack([wave(i) for i in range(6)])
    figure = draw("states", DATES, cells.T, [f"cn_{i}" for i in range(6)], probed(2), "01022500")
    first, second, upper, lower = figure.axes
    assert_array_equal(drawn(first), cells[:4])
    assert_array_equal(drawn(second), cells[4:])
    assert_array_equal(drawn(lower), [wave(1), wave(1.1)])
    observed, read = lines(lower)
    assert observed.get_color() == "black" and read.get_color() == "#009E73"  # the second concept
    assert lower.get_xlim()[1] > date2num(DATES[-1]) and first.get_xlim() == lower.get_xlim()
    assert upper.get_ylabel() == "layer 0\n(mm)"
    assert shows(figure, "cell state (–)", "cn_5", "layer 1\n(mm)", "probed", "observed", "01022500")


def test_probe_figures_draw_the_numbers_given(draw):
    controls = draw("probe_controls", CONTROLS, COLOURS, STYLES, note="test period")
    points = [line for line in controls.axes[0].get_lines() if len(line.get_xdata()) == 1]
    # -3 is an arrow at the edge; r is not drawn; one basin has a median without an interval.
    assert {(to_hex(p.get_color()).upper(), *np.round([p.get_xdata()[0], p.get_ydata()[0]], 2)) for p in points} == {
        ("#D55E00", 0.8, -0.22), ("#666666", -0.24, 0.78), ("#444444", -0.2, 2)}  # fmt: skip
    intervals = [list(line.get_xdata()) for line in controls.axes[0].get_lines() if line.get_linewidth() == 0.8]
    assert intervals[0] == [0.7, 0.9] and np.isnan(intervals[1]).all() and len(intervals) == 2
    assert shows(controls, "a shuffled year", "below −1", "median over basins", "test period")

    distribution = draw("probe_distributions", *FIGURES["probe_distributions"])
    (curve,) = lines(distribution.axes[0])
    assert curve.get_xdata()[1:].tolist() == [0.2, 0.6] and shows(distribution, "swe (2 basins)", "cell states")

    moved = draw("interventions", CHANGE, COLOURS)
    assert [lines(axes)[0].get_color() for axes in moved.axes] == ["#0072B2", "#D55E00"]
    for axes in moved.axes:
        assert_array_equal(drawn(axes)[0], np.full(9, 2.5))
        edges = [band.get_paths()[0].get_extents() for band in axes.collections]
        assert [(edge.y0, edge.y1) for edge in edges] == [(-2, 2), (1.75, 3.75)]
    assert shows(moved, "Δ swe\n(mm)", "swe +3 mm", "days after the change", "half of the basins")
