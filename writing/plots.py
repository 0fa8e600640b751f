"""The figures: training history, series of variables and cell states, maps of scores, probes and what changes do.

    from writing import plots
    plots.score_map(place["lon"], place["lat"], scores["NSE"], "NSE", "nse_map.png")

Each function writes the file `path`, whole or not at all, in the format of its ending (.png, .pdf, .svg), and returns
the Figure. Series and scores are NaN where a value is missing. What was observed is black; what is simulated or read of
a target has the target's colour, in every figure and on the page: `target_colours`.
"""

import textwrap

import matplotlib
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from writing.files import replacing
from writing.messages import basin_count

STYLE = {
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 7),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **{"axes.linewidth": 0.6, "lines.linewidth": 1.0, "grid.linewidth": 0.4, "grid.alpha": 0.3},
    **{"savefig.dpi": 200, "savefig.bbox": "tight", "savefig.pad_inches": 0.05, "pdf.fonttype": 42},
    "text.parse_math": False,  # a "$" in the name of a basin or concept is a character like any other
}
_in_style = matplotlib.rc_context(STYLE)  # decorator: the settings hold while the function draws and saves

OBSERVED = "black"
GREY = "#666666"
# Okabe & Ito's palette without yellow, which is lost on white: told apart with any colour vision. Streamflow is blue.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", GREY)
STATES = ("#332288", "#999933", "#882255", "#44AA99")  # of cell states, which are no target: of Paul Tol's palette
NO_UNIT = "–"  # the unit of a cell state
DASHES = ("-", "--", ":", "-.")


def target_colours(targets) -> dict:
    """The colour of each target: streamflow's, then the concepts' in their order, those behind the sixth as the first.

    Give all targets of a run, also for a figure of some of them, so that each keeps its colour.
    """
    concepts = [name for name in dict.fromkeys(targets) if name != "streamflow"]
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(["streamflow", *concepts])}


def shown_basins(scores) -> dict:
    """A good, a median and a bad basin of some scores (Series by basin), {basin: word}; of one basin it alone."""
    order, words = scores.dropna().sort_values(), {}
    for share, word in ((0.5, "median"), (0.9, "good"), (0.1, "bad")) if len(order) else ():
        words.setdefault(order.index[round(share * (len(order) - 1))], word)
    return {basin: words[basin] for basin in order.index[::-1] if basin in words}


# The scores of a probe, each with its distance from the reader's line, its marker and whether that is filled.
_PROBE_SCORES = {"NSE": (-0.22, "o", False), "NSE anomaly": (0, "o", True), "NSE deseasonalised": (0.22, "D", True)}


@_in_style
def history(history, path):
    """Draw the course of a training: loss and its parts, validation scores, learning rate.

    `history` has a row per epoch; columns epoch, loss, `<part>_loss`, val_NSE_`<target>` (NaN: skipped), learning_rate.
    """
    parts, scores = history.filter(regex="_loss$"), history.filter(regex="^val_NSE_")
    names = [*parts.columns.str.removesuffix("_loss"), *scores.columns.str.removeprefix("val_NSE_")]
    # A part and its score alike, streamflow first.
    look = {name: _line(number) for number, name in enumerate(target_colours(names)) if name in names}
    figure = Figure(figsize=(7.2, 3.3 + 0.16 * (len(look) // 4 + 1)), layout="constrained")
    panels = figure.subplot_mosaic([["loss", "score"], ["rate", "score"]], height_ratios=(2.6, 1))
    loss_axes, rate_axes, score_axes = panels["loss"], panels["rate"], panels["score"]

    curves = [(loss_axes, "loss", "all parts, weighted", {"color": "black", "linewidth": 1.4})]
    curves += [(rate_axes, "learning_rate", None, {"color": GREY})]
    for column, name in zip([*parts, *scores], names, strict=True):
        curves.append((loss_axes if column in parts else score_axes, column, _readable(name), look[name]))
    for axes, column, label, style in curves:
        known = history[np.isfinite(history[column].astype(float))]  # joins epochs across those without a value
        _series(axes, known["epoch"], known[column], label=label, **style)

    losses = _finite(history.filter(regex="^loss$|_loss$"))
    if losses.size and losses.min() > 0 and losses.max() > 5 * losses.min():
        loss_axes.set_yscale("log")
        loss_axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        loss_axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        loss_axes.yaxis.set_minor_formatter(NullFormatter())
    lowest = _finite(scores).min(initial=1.0)
    cut = ", below −0.5 not shown" if lowest < -0.5 else ""  # the first epochs would squeeze all others into a line
    score_axes.set(ylim=(max(lowest - 0.05, -0.5), 1), xlabel="epoch", ylabel=f"validation NSE (–){cut}")
    loss_axes.set_ylabel("training loss (–)")
    loss_axes.tick_params(labelbottom=False)
    rate_axes.set(xlabel="epoch", ylabel="learning\nrate (–)", ylim=(0, None))
    for axes in figure.axes:
        axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid()
    return _save(figure, path, 4)


@_in_style
def series(table, colours, path):
    """Draw observed series and those simulated or read for them, a column for each basin, a row for each variable.

    Parameters
    ----------
    table : DataFrame
        Columns title (of the basin's column), name (of the variable), units, date, observed, and one for each line in
        `colours`, absent or NaN where the line is not of that variable. A variable without a unit, such as a cell
        state (NO_UNIT), cannot be observed.
    colours : dict line -> colour, or line -> dict name -> colour where it is that of the variable
    """
    alone = table["title"].nunique() == 1
    heights = {"streamflow": 1.7} | dict.fromkeys(table.loc[table["units"] == NO_UNIT, "name"], 0.8)
    figure, panels = _panels_by_title(table, "name", width=6.3 if alone else 3.1, height=1.25, heights=heights)
    for axes, part in panels:
        name, units = part[["name", "units"]].iloc[0]
        if units != NO_UNIT:
            _observed(axes, part["date"], part["observed"])
        for line, colour in colours.items():
            if line in part and part[line].notna().any():
                colour = colour[name] if isinstance(colour, dict) else colour
                _series(axes, part["date"], part[line], color=colour, linewidth=0.8, label=line)
        _date_axis(axes)
    return _save(figure, path, 4)


@_in_style
def score_map(lon, lat, values, metric, path):
    """Draw one dot per basin where it lies (degrees), coloured by its score from 0 to 1; without value a small cross.

    Arrays (basin,), one basin with coordinates at least; those without are left out and counted.
    """
    lon, lat, values = (np.asarray(array, dtype=float) for array in (lon, lat, values))
    placed = np.isfinite(lon) & np.isfinite(lat)
    lon, lat, values = lon[placed], lat[placed], values[placed]
    scored, left_out = np.isfinite(values), np.sum(~placed)
    # A degree of longitude is as long as it is in the middle of the map.
    squeeze = max(np.cos(np.radians((lat.min() + lat.max()) / 2)), 0.3)
    tall = np.clip(5.8 * np.ptp(lat) / max(np.ptp(lon) * squeeze, 1), 2.2, 6.5)
    figure = Figure(figsize=(7.2, tall + 0.6), layout="constrained")
    axes, size = figure.add_subplot(), np.clip(2500 / lon.size, 6, 40)
    style = {"s": size, "linewidths": 0.2, "edgecolors": "black", "cmap": "viridis", "vmin": 0, "vmax": 1}
    dots = axes.scatter(lon[scored], lat[scored], c=values[scored], **style)
    figure.colorbar(dots, ax=axes, extend="min", shrink=0.85, pad=0.02, aspect=25, label=f"{metric} (–)")
    if not scored.all():
        style = {"marker": "x", "s": max(size * 0.6, 12), "color": GREY, "linewidths": 0.6}
        axes.scatter(lon[~scored], lat[~scored], label=f"no value ({np.sum(~scored)})", **style)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), borderaxespad=0)
    axes.margins(0.05)
    axes.set(xlabel="longitude (°E)", ylabel="latitude (°N)", aspect=1 / squeeze)
    title = "no basin has a value"
    if scored.any():
        title = f"{basin_count(scored.sum())}, median {metric} {_number(np.median(values[scored]))}"
    axes.set_title(title + (f"; {left_out} without coordinates left out" if left_out else ""), loc="left")
    axes.grid()
    axes.set_axisbelow(True)
    return _save(figure, path)


@_in_style
def probe_controls(table, colours, styles, path, note=""):
    """Draw the medians of several scores of every reader of a concept, real probes and controls, one panel a concept.

    `table` has the columns concept, reader, metric (NSE, NSE anomaly, NSE deseasonalised), median, low, high (of its
    interval); `colours` are by concept, `styles` by reader: the colour of one that has another than the concept; `note`
    stands above the figure.
    """
    readers = list(table["reader"].unique())
    number = table["concept"].nunique()
    columns, rows = min(number, 3), -(-number // 3)
    size = 1.6 + 2 * columns, 0.7 + rows * (0.5 + 0.2 * len(readers))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for position, axes in enumerate(grid.flat):
        axes.set_visible(position < number)
        axes.axvline(0, color=GREY, linewidth=0.5)
        axes.grid()
    for axes, (concept, panel) in zip(grid.flat, table.groupby("concept", sort=False), strict=False):
        panel = panel[np.isfinite(panel["median"]) & panel["metric"].isin(list(_PROBE_SCORES))]
        seen = panel["median"] >= -1  # one failed control would squeeze all others into a line
        lowest = panel.loc[seen, ["low", "median"]].min(axis=None).clip(-1, 0) if seen.any() else 0.0
        for row, inside in zip(panel.itertuples(), seen, strict=True):
            above, marker, filled = _PROBE_SCORES[row.metric]
            place, colour = readers.index(row.reader) + above, styles[row.reader].get("color", colours[concept])
            if inside:
                axes.plot([max(row.low, -1.0), row.high], [place] * 2, color=colour, linewidth=0.8)
                axes.plot(row.median, place, marker, color=colour, mfc=colour if filled else "white", markersize=3.5)
                axes.plot([], [], marker, color=GREY, mfc=GREY if filled else "white", markersize=3.5, label=row.metric)
            else:
                axes.plot(lowest - 0.04, place, "<", color=colour, markersize=3, alpha=0.6)
                axes.plot([], [], "<", color=GREY, markersize=3, label="below −1")
        axes.set(title=_readable(concept), xlim=(lowest - 0.08, 1.02), xlabel="median over basins (–)")
    grid[0, 0].set_yticks(range(len(readers)), readers)
    grid[0, 0].set_ylim(len(readers) - 0.4, -0.6)
    figure.suptitle(textwrap.fill(note, 100), fontsize=7, color=GREY)
    return _save(figure, path, 4)


@_in_style
def interventions(table, colours, path):
    """Draw how runoff and every reading change after the cell states were changed, a column for each change.

    `table` has the columns title (of the figure's column), moved (the concept), response_of, units, day_after; low,
    median, high: quartiles over basins of the change; random: the typical size of what random changes do.
    """
    figure, panels = _panels_by_title(table, "response_of", width=1.9, height=1.2, before="Δ ")
    for axes, part in panels:
        target, after = part["response_of"].iloc[0], part["day_after"]
        what, colour = "runoff" if target == "streamflow" else "reading", colours[target]
        grey = {"color": "#BBBBBB", "linewidth": 0, "label": "random changes of the same length (typical size)"}
        axes.fill_between(after, -part["random"], part["random"], **grey)
        axes.fill_between(after, part["low"], part["high"], color=colour, alpha=0.3, linewidth=0)
        axes.plot(after, part["median"], color=colour, linewidth=1.4, label=f"{what}: median and half of the basins")
        axes.axhline(0, color=GREY, linewidth=0.5)
        axes.set_xlim(after.min(), after.max())
        if target == part["moved"].iloc[0]:
            axes.set_facecolor("#F4F4F4")
        if axes.get_subplotspec().is_last_row():
            axes.set_xlabel("days after the change")
    return _save(figure, path, table["title"].nunique())


def _save(figure, path, columns=1):
    """Put the legend of all labels below the figure, in at most that many columns, and write the file.

    A label that stands for lines of several colours, those of targets, shows the first four of them.
    """
    labelled = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True) if not axes.get_legend() else ():
            colour = handle.get_color() if isinstance(handle, Line2D) else None
            labelled.setdefault(label, {})[colour] = handle
    if labelled:
        handles = [tuple(by_colour.values())[:4] for by_colour in labelled.values()]
        length = 2.0 * max(map(len, handles))
        options = {"handler_map": {tuple: HandlerTuple(ndivide=None, pad=0.2)}, "handlelength": length}
        figure.legend(handles, labelled, loc="outside lower center", ncols=min(columns, len(labelled)), **options)
    with replacing(path) as temporary:
        figure.savefig(temporary)
    return figure


def _panels_by_title(table, row, width, height, heights=None, before=""):
    """Figure, and each panel's axes and part of the table: a column for each title, a row for each value of `row`.

    `width` and `height` of a panel are inches; `heights` (dict) says how often that height a row takes, if not once.
    """
    titles, rows = list(table["title"].unique()), table[[row, "units"]].drop_duplicates()
    heights = [(heights or {}).get(name, 1) for name in rows[row]]
    size = max(width * len(titles) + 0.9, 4), height * sum(heights) + 1.0
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False, sharex="col", height_ratios=heights)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(textwrap.fill(title, round(14 * width)))
    for axes, label in zip(grid[:, 0], rows.itertuples(index=False), strict=True):
        axes.set_ylabel(before + _label(*label))
    figure.align_ylabels(grid[:, 0])
    names = list(rows[row])
    parts = table.groupby(["title", row], sort=False)
    return figure, [(grid[names.index(name), titles.index(title)], part) for (title, name), part in parts]


def _series(axes, x, y, **style):
    """A line; days with a missing day on either side, which a line leaves out, become dots."""
    y = np.asarray(y, dtype=float)
    (line,) = axes.plot(x, y, **style)
    gap = np.concatenate([[True], np.isnan(y), [True]])
    alone = ~gap[1:-1] & gap[:-2] & gap[2:]
    if alone.any():
        axes.plot(np.asarray(x)[alone], y[alone], ".", markersize=2, color=line.get_color(), zorder=line.get_zorder())
    return line


def _observed(axes, dates, y):
    """The observed series, thin and black above all others, or the remark that there is none."""
    if not _finite(y).size:
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        style = {"ha": "center", "va": "center", "color": GREY, "fontsize": 7, "zorder": 5, "bbox": box}
        axes.text(0.5, 0.9, "no observations", transform=axes.transAxes, **style)
    _series(axes, dates, y, color=OBSERVED, linewidth=0.6, zorder=3, label="observed")


def _line(number):
    """Colour and dash of the line of that number; no two of the first 28 are alike."""
    dash, colour = divmod(number, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": DASHES[dash % len(DASHES)]}


def _finite(values):
    values = np.asarray(values, dtype=float)
    return values[np.isfinite(values)]


def _date_axis(axes):
    axes.margins(x=0.01)
    locator = AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _number(value):
    """Three digits, with the minus sign the axes have."""
    return f"{value:.3g}".replace("-", "−")


def _readable(name):
    return name.replace("_", " ")


def _label(name, units):
    """Name and units of a variable, narrow enough for the height of its panel."""
    if units == NO_UNIT:
        return f"{name} ({units})"
    return "\n".join([*textwrap.wrap(_readable(name), 18)[:3], f"({units})"])
