"""The figures: what is drawn are the numbers given, and a file appears whole or not at all."""

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
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


def panel(title, name, observed, units="mm", **lines):
    """The rows of one panel of `plots.series`."""
    units = "mm/day" if name == "streamflow" else units
    return pd.DataFrame(dict(title=title, name=name, units=units, date=DATES, observed=observed, **lines))


def lines(axes):
    """Lines of data, without those that stand for the legend, a limit or the median."""
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def drawn(axes):
    return [line.get_ydata() for line in lines(axes)]


def shows(figure, *words):
    """All words are on the figure, its panels are large enough to be read, and no legend lies on them."""
    figure.draw_without_rendering()  # so that the tick labels exist
    written = "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert [word for word in words if word not in written] == []
    panels = [axes.get_window_extent() for axes in figure.axes if axes.get_label() != "<colorbar>"]
    legends = [legend.get_window_extent() for legend in figure.findobj(matplotlib.legend.Legend)]
    assert not any(legend.overlaps(panel) for legend in legends for panel in panels)
    return all(min(panel.width / 1.2, panel.height / 0.4) > figure.dpi for panel in panels)


CONTROLS = [
    ("swe", "cell states", "NSE", 0.8, 0.7, 0.9),
    ("swe", "cell states", "r", 0.9, 0.9, 0.9),
    ("swe", "a shuffled year", "NSE", -3.0, -4.0, -2.0),
    ("swe", "one basin", "NSE anomaly", -0.2, NAN, NAN),
]
CONTROLS = pd.DataFrame(CONTROLS, columns=["concept", "reader", "metric", "median", "low", "high"])
COLOURS = plots.target_colours(["streamflow", "swe", "soil_moisture_1"])
STYLES = {"cell states": {}, "a shuffled year": {"color": "#666666"}, "one basin": {"color": "#444444"}}
LINES = {"simulated": "#888888", "read in: states": COLOURS}
READ = {"simulated": ["streamflow"], "read in: states": ["swe", "soil_moisture_1"]}
SERIES = pd.concat(
    panel(title, name, wave(), **{line: wave(1)})
    for title in ("01022500: good", "b", "c")
    for line, names in READ.items()
    for name in names
)
CELLS = {"cn_3": plots.STATES[0], "cn_80": plots.STATES[1]}
STATES = [panel("a basin", name, NAN, plots.NO_UNIT, **{"cell state": wave(k)}) for k, name in enumerate(CELLS)]
CHANGE = {"title": "swe +3 mm", "moved": "swe", "day_after": [*range(1, 10)] * 2, "random": 2.0}
CHANGE |= {"response_of": ["streamflow"] * 9 + ["swe"] * 9, "units": ["mm/day"] * 9 + ["mm"] * 9}
CHANGE = pd.DataFrame(CHANGE | {"low": 1.75, "median": 2.5, "high": 3.75})
FIGURES = {
    "history": (a_history(),),
    "series": (SERIES, LINES),
    "score_map": (np.linspace(-120, -70, 5), np.linspace(30, 45, 5), np.linspace(-1, 1, 5), "NSE"),
    "probe_controls": (CONTROLS, COLOURS, STYLES),
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
    colours = [line.get_color() for line in (*lines(loss)[1:], *lines(score))]
    assert colours == ["#0072B2", "#D55E00"] * 2 and shows(figure, "streamflow", "all parts, weighted")
    assert score.get_ylim() == (pytest.approx(0.9 - 2 / 2 - 0.05), 1) and "shown" not in score.get_ylabel()


def test_history_of_one_epoch_is_a_dot_and_not_an_invisible_line(draw):
    figure = draw("history", a_history(epochs=1).assign(val_NSE_swe=-3.0))
    assert any(line.get_marker() == "." for line in figure.axes[0].get_lines())
    assert all(tick == round(tick) for tick in figure.axes[1].get_xticks())
    assert figure.axes[1].get_ylim() == (-0.5, 1) and shows(figure, "below −0.5 not shown")


LOST = a_history().assign(loss=NAN, streamflow_loss=NAN, swe_loss=NAN, val_NSE_swe=NAN, val_NSE_streamflow=NAN)
SIZES = [
    ("history", (a_history([f"concept_{i}" for i in range(20)]),), "concept 19"),
    ("history", (LOST,), "swe"),
    ("series", (pd.concat(panel("a", f"concept_{k}", NOTHING) for k in range(20)), LINES), "concept 19"),
    ("score_map", ([-70.0], [45.0], [0.5], "NSE"), "1 basin, median NSE 0.5"),
    ("score_map", ([-70.0, -71], [45.0, 44], [NAN, NAN], "NSE"), "no basin has a value"),
]


@pytest.mark.parametrize(("name", "arguments", "word"), SIZES)
def test_figures_of_any_size_are_readable(draw, name, arguments, word):
    assert shows(draw(name, *arguments), word)


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
    assert_array_equal(lines(grid[0, 0])[0].get_xdata(), DATES)
    for axes, colour in zip(grid[:, 2], ("#888888", "#D55E00", "#009E73"), strict=True):
        assert_array_equal(drawn(axes), [wave(), wave(1)])
        assert [line.get_color() for line in lines(axes)] == ["black", colour]
    assert shows(figure, "streamflow\n(mm/day)", "soil moisture 1\n(mm)", "01022500: good", "observed", *LINES)
    assert shows(draw("series", panel("bad $\\frac$", "swe", NOTHING), LINES), "no observations", "bad $\\frac$")


def test_a_good_a_median_and_a_bad_basin_are_shown_each_once():
    scores = pd.Series([0.1, NAN, 0.9, 0.5, 0.7, 0.3], list("abcdef"))
    assert list(plots.shown_basins(scores).items()) == [("c", "good"), ("d", "median"), ("a", "bad")]
    assert plots.shown_basins(scores[:2]) == {"a": "median"} and plots.shown_basins(scores[1:2]) == {}


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
    loss, *_ = draw("history", a_history(["swe", "soil1", "streamflow"])).axes
    assert {line.get_label(): line.get_color() for line in lines(loss)[1:]} == colours
    part = SERIES.assign(simulated=NAN, observed=NOTHING[0])
    (legend,) = draw("series", part, LINES).findobj(matplotlib.legend.Legend)
    shown = [line.get_color() for line in legend.findobj(matplotlib.lines.Line2D)]
    assert [word.get_text() for word in legend.get_texts()] == ["observed", "read in: states"]
    assert shown == ["black", "#D55E00", "#009E73"]
    assert not set(plots.STATES) & {*plots.COLOURS, plots.OBSERVED}  # a cell state looks like no target


def test_cell_states_above_what_is_read_in_them(draw):
    """They have a colour of their own and nothing to be observed; streamflow takes the most room wherever it stands."""
    variables = [panel("a basin", "streamflow", wave(), read=wave(1)), panel("a basin", "swe", NOTHING, read=wave(2))]
    figure = draw("series", pd.concat([*STATES, *variables]), {"cell state": CELLS, "read": COLOURS})
    first, second, streamflow, _ = figure.axes
    for k, axes in enumerate((first, second)):
        (line,) = lines(axes)
        assert_array_equal(line.get_ydata(), wave(k))
        assert line.get_color() == plots.STATES[k] and axes.get_ylabel() == ["cn_3 (–)", "cn_80 (–)"][k]
    assert_array_equal(drawn(streamflow), [wave(), wave(1)])
    assert [len(axes.texts) for axes in figure.axes] == [0, 0, 0, 1]  # no observations of snow
    assert shows(figure, "cell state", "observed", "read")
    tall, low = (axes.get_window_extent().height for axes in (streamflow, first))
    assert tall > 1.9 * low and first.get_window_extent().width > 5 * figure.dpi


def test_probe_figures_draw_the_numbers_given(draw):
    controls = draw("probe_controls", CONTROLS, COLOURS, STYLES, note="test period")
    points = [line for line in controls.axes[0].get_lines() if len(line.get_xdata()) == 1]
    # -3 is an arrow at the edge; r is not drawn; one basin has a median without an interval.
    places = {(to_hex(p.get_color()).upper(), *np.round([p.get_xdata()[0], p.get_ydata()[0]], 2)) for p in points}
    assert places == {("#D55E00", 0.8, -0.22), ("#666666", -0.24, 0.78), ("#444444", -0.2, 2)}
    intervals = [list(line.get_xdata()) for line in controls.axes[0].get_lines() if line.get_linewidth() == 0.8]
    assert intervals[0] == [0.7, 0.9] and np.isnan(intervals[1]).all() and len(intervals) == 2
    assert shows(controls, "a shuffled year", "below −1", "median over basins", "test period")

    moved = draw("interventions", CHANGE, COLOURS)
    assert [lines(axes)[0].get_color() for axes in moved.axes] == ["#0072B2", "#D55E00"]
    for axes in moved.axes:
        assert_array_equal(drawn(axes)[0], np.full(9, 2.5))
        edges = [band.get_paths()[0].get_extents() for band in axes.collections]
        assert [(edge.y0, edge.y1) for edge in edges] == [(-2, 2), (1.75, 3.75)]
    assert shows(moved, "Δ swe\n(mm)", "swe +3 mm", "days after the change", "half of the basins")
