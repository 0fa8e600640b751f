"""The figures, each a function from arrays to a file: training history, scores, hydrographs, maps, cell states.

    from writing import plots
    plots.score_distribution({"streamflow": scores["NSE"]}, "NSE", "nse.png")

Each function writes the file `path`, whole or not at all, and returns the matplotlib Figure. The file's ending chooses
the format (.png, .pdf, .svg); its folder is made if need be, and no screen is needed. Series and scores are NaN where
a value is missing. A ValueError says that there is nothing to draw, or that shapes do not fit.
"""

import textwrap

import matplotlib
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from writing.files import replacing, some

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
SIMULATED = "#0072B2"
PROBED = "#D55E00"
GREY = "#666666"
# Okabe & Ito's palette without yellow, which is lost on white: told apart with any colour vision.
COLOURS = (SIMULATED, PROBED, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", GREY)
DASHES = ("-", "--", ":", "-.")

# A map's colours span 0 to 1 for efficiencies and lie around 0 for biases.
_EFFICIENCIES = ("NSE", "KGE", "KGE2012", "log-NSE", "r")
_BIASES = {"beta-NSE": "", "PBIAS": " (%)", "FHV": " (%)", "FLV": " (%)", "FMS": " (%)"}
_UNITS = {"RMSE": " (unit of the series)", "MSE": " (unit of the series, squared)"} | _BIASES
# The scores of a probe, each with its marker and whether that is filled.
_PROBE_SCORES = {"NSE": ("o", False), "NSE anomaly": ("o", True), "NSE deseasonalised": ("D", True)}


@_in_style
def history(history, path):
    """Draw the course of a training: loss and its parts, validation scores, learning rate.

    Parameters
    ----------
    history : DataFrame
        One row per epoch; columns epoch, loss, `<part>_loss`, val_NSE_`<target>`, learning_rate. All but epoch may be
        absent; NaN (an epoch without validation) is skipped.
    path : str or Path
    """
    if "epoch" not in history:
        raise ValueError(f"The history has no column epoch, only {some(history.columns)}.")
    parts = [name.removesuffix("_loss") for name in history if name.endswith("_loss")]
    targets = [name.removeprefix("val_NSE_") for name in history if name.startswith("val_NSE_")]
    names = list(dict.fromkeys(parts + targets))  # a part and its score are drawn alike, and named once in the legend
    look = {name: _line(number) for number, name in enumerate(names)}
    figure = Figure(figsize=(7.2, 3.3 + 0.16 * (len(names) // 4 + 1)), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 1))
    loss_axes, rate_axes, score_axes = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))

    curves = [(loss_axes, "loss", "all parts, weighted", {"color": "black", "linewidth": 1.4})]
    curves += [(loss_axes, f"{name}_loss", _words(name), look[name]) for name in parts]
    curves += [(score_axes, f"val_NSE_{name}", _words(name), look[name]) for name in targets]
    curves += [(rate_axes, "learning_rate", None, {"color": GREY})]
    handles = {}
    for axes, column, label, style in curves:
        if column in history:
            known = history[np.isfinite(history[column].astype(float))]  # joins epochs across those without a value
            handles[label] = _series(axes, known["epoch"], known[column], **style)
    handles.pop(None, None)  # the learning rate has a panel to itself

    losses = _finite(history.filter(regex="^loss$|_loss$"))
    if losses.size and losses.min() > 0 and losses.max() > 5 * losses.min():
        loss_axes.set_yscale("log")
        loss_axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        loss_axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        loss_axes.yaxis.set_minor_formatter(NullFormatter())
    lowest = _finite(history.filter(regex="^val_NSE_")).min(initial=1.0)
    cut = ", below −0.5 not shown" if lowest < -0.5 else ""  # the first epochs would squeeze all others into a line
    score_axes.set(ylim=(max(lowest - 0.05, -0.5), 1), xlabel="epoch", ylabel=f"validation NSE (–){cut}")
    loss_axes.set_ylabel("training loss (–)")
    loss_axes.tick_params(labelbottom=False)
    rate_axes.set(xlabel="epoch", ylabel="learning\nrate (–)")
    rate_axes.set_ylim(bottom=0)
    for axes in figure.axes:
        if len(history):
            axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid()
    return _save(figure, path, handles, 4)


@_in_style
def score_distribution(values, metric, path, note=""):
    """Draw the cumulative distribution of a score over the basins, one curve per entry.

    Parameters
    ----------
    values : dict of str to array (basin,)
        Scores by label; those missing are counted in the legend, beside the median.
    metric : str
        Name of the score, for the axis.
    path : str or Path
    note : str, default ""
        Line above the figure, for example the test period.
    """
    _refuse_nothing(values)
    pooled = np.concatenate([_finite(scores) for scores in values.values()])
    low, high = _range(pooled, metric)
    many = len(values) > 5
    figure = Figure(figsize=(6.2 if many else 3.6, max(3.0, 0.4 + 0.17 * len(values))), layout="constrained")
    axes = figure.add_subplot()
    for number, (label, scores) in enumerate(values.items()):
        shown, style = np.sort(_finite(scores)), _line(number, 1.4)
        missing = len(scores) - shown.size
        count = _basins(shown.size) + (f", {missing} without value" if missing else "")
        median = "no value"
        if shown.size:
            median = f"median {_number(np.median(shown))}"
            axes.ecdf(shown, **style)
            axes.axvline(np.median(shown), color=style["color"], linewidth=0.6, linestyle=style["linestyle"], alpha=0.7)
        axes.plot([], [], label=f"{label}: {median}" + (" " if many else "\n") + f"({count})", **style)
    axes.axhline(0.5, color=GREY, linewidth=0.4)
    beyond = ((np.sum(pooled < low), "below", low), (np.sum(pooled > high), "above", high))
    beyond = ", ".join(f"{n} of {pooled.size} {word} {_number(limit)}" for n, word, limit in beyond if n)
    axes.set(xlim=(low, high), ylim=(0, 1), ylabel="share of basins with a lower score (–)")
    axes.set_xlabel(_score_label(metric) + (f"\nnot shown: {beyond}" if beyond else ""))
    axes.grid()
    if many:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    else:
        axes.legend(loc="best")
    if note:
        axes.set_title(textwrap.fill(note, 60), loc="left", color=GREY, fontsize=7)
    return _save(figure, path)


@_in_style
def hydrographs(panels, path):
    """Draw observed and simulated streamflow of a few basins side by side, each concept's series below.

    Parameters
    ----------
    panels : list of dict, one per basin
        title : str; dates : array (day,); observed, simulated : array (day,), mm/day;
        members : array (member, day), optional, whose range is shaded;
        concepts : list of dict(name, units, observed, simulated), optional, series (day,) in `units`.
    path : str or Path
    """
    _refuse_nothing(panels)
    # A row per concept in the order met; a basin without it leaves its place empty.
    units = {concept["name"]: concept["units"] for panel in panels for concept in panel.get("concepts", ())}
    size = (max(3.1 * len(panels), 6.0), 2.2 + 1.15 * len(units) + 0.4)
    labels = ["streamflow (mm/day)", *(_label(name, unit) for name, unit in units.items())]
    figure, grid = _basins_by_rows(panels, labels, size, [1.9] + [1] * len(units))
    handles = {}
    for column, panel in enumerate(panels):
        axes, dates = grid[0, column], panel["dates"]
        members = [] if panel.get("members") is None else np.atleast_2d(np.asarray(panel["members"], dtype=float))
        if len(members) > 1:
            # Days on which no member has a value stay empty instead of raising a warning.
            low, high = np.fmin.reduce(members), np.fmax.reduce(members)
            style = {"color": SIMULATED, "alpha": 0.25, "linewidth": 0}
            handles["range of the members"] = axes.fill_between(dates, low, high, **style)
        handles["observed"] = _observed(axes, dates, panel["observed"])
        handles["simulated streamflow"] = _series(axes, dates, panel["simulated"], color=SIMULATED)
        found = {concept["name"]: concept for concept in panel.get("concepts", ())}
        for axes, name in zip(grid[1:, column], units, strict=True):
            if name not in found:
                _remark(axes, 0.5, "not a concept of this basin")
                axes.set_yticks([])
                continue
            _observed(axes, dates, found[name]["observed"])
            read = _series(axes, dates, found[name]["simulated"], color=PROBED)
            handles["concept, read from the cell states"] = read
    return _save(figure, path, handles, len(handles))


@_in_style
def score_map(lon, lat, values, metric, path):
    """Draw one dot per basin where it lies, coloured by its score.

    Parameters
    ----------
    lon, lat : array (basin,)
        Degrees east and north; basins without coordinates are left out and counted.
    values : array (basin,)
        Score; a basin without value is a small cross.
    metric : str
        Name of the score; efficiencies are coloured from 0 to 1, biases around 0.
    path : str or Path
    """
    lon, lat, values = (np.asarray(array, dtype=float) for array in (lon, lat, values))
    if not lon.ndim == 1 or not lon.shape == lat.shape == values.shape:
        raise ValueError(f"lon, lat and values differ in shape: {lon.shape}, {lat.shape}, {values.shape}.")
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        raise ValueError(f"None of {_basins(lon.size)} has coordinates.")
    left_out = lon.size - int(placed.sum())
    lon, lat, values = lon[placed], lat[placed], values[placed]
    scored = np.isfinite(values)
    (low, high), colours = _colours(values[scored], metric)

    # A degree of longitude is as long as it is in the middle of the map.
    middle_lon, middle_lat = (lon.min() + lon.max()) / 2, (lat.min() + lat.max()) / 2
    squeeze = max(np.cos(np.radians(middle_lat)), 0.3)
    wide, tall = max((lon.max() - lon.min()) * squeeze, 1.0) * 1.1, max(lat.max() - lat.min(), 1.0) * 1.1
    figure = Figure(figsize=(7.2, float(np.clip(5.8 * tall / wide, 2.2, 6.5)) + 0.6), layout="constrained")
    axes = figure.add_subplot()
    size = float(np.clip(2500 / lon.size, 6, 40))
    style = {"s": size, "linewidths": 0.2, "edgecolors": "black", "cmap": colours, "vmin": low, "vmax": high}
    dots = axes.scatter(lon[scored], lat[scored], c=values[scored], **style)
    below, above = (values[scored] < low).any() or metric in _EFFICIENCIES, (values[scored] > high).any()
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    bar = figure.colorbar(dots, ax=axes, extend=extend, shrink=0.85, pad=0.02, aspect=25)
    bar.set_label(_score_label(metric))
    if not scored.all():
        style = {"marker": "x", "s": max(size * 0.6, 12), "color": GREY, "linewidths": 0.6}
        axes.scatter(lon[~scored], lat[~scored], label=f"no value ({np.sum(~scored)})", **style)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), borderaxespad=0)
    axes.set_xlim(middle_lon - wide / squeeze / 2, middle_lon + wide / squeeze / 2)
    axes.set_ylim(middle_lat - tall / 2, middle_lat + tall / 2)
    axes.set_aspect(1 / squeeze)
    axes.set(xlabel="longitude (°E)", ylabel="latitude (°N)")
    title = "no basin has a value"
    if scored.any():
        title = f"{_basins(scored.sum())}, median {metric} {_number(np.median(values[scored]))}"
    axes.set_title(title + (f"; {left_out} without coordinates left out" if left_out else ""), loc="left")
    axes.grid()
    axes.set_axisbelow(True)
    return _save(figure, path)


@_in_style
def states(dates, states, unit_names, concepts, title, path):
    """Draw chosen cell states above the concepts, observed and as the probe reads them, on one date axis.

    Parameters
    ----------
    dates : array (day,)
    states : array (day, unit)
        Cell states, no unit; they share panels of at most 4.
    unit_names : list of str (unit,)
    concepts : list of dict(name, units, observed, probed)
        Series (day,) in `units`; may be empty.
    title : str
        For example basin and period.
    path : str or Path
    """
    states = np.asarray(states, dtype=float)
    if states.shape != (len(dates), len(unit_names)) or not states.size:
        counts = f"{len(dates)} dates and {len(unit_names)} names"
        raise ValueError(f"The states have the shape {states.shape}, not (day, unit) of {counts}.")
    panels = -(-len(unit_names) // 4)
    figure = Figure(figsize=(7.2, 1.3 * panels + 1.15 * len(concepts) + 0.8), layout="constrained")
    grid = figure.subplots(panels + len(concepts), 1, squeeze=False, sharex=True)[:, 0]
    for unit, name in enumerate(unit_names):
        _series(grid[unit // 4], dates, states[:, unit], label=name, **_line(unit % 4))
        grid[unit // 4].set_ylabel("cell state (–)")
    for axes, concept in zip(grid[panels:], concepts, strict=True):
        _observed(axes, dates, concept["observed"], label="observed")
        _series(axes, dates, concept["probed"], label="probed", color=PROBED)
        axes.set_ylabel(_label(concept["name"], concept["units"]))
    for axes in grid:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    _date_axis(grid[-1])
    figure.align_ylabels(grid)
    figure.suptitle(textwrap.fill(title, 100), fontsize=8)
    return _save(figure, path)


@_in_style
def probe_controls(panels, path, note=""):
    """Draw the medians of several scores of every reader of a concept, real probes and controls, one panel a concept.

    Parameters
    ----------
    panels : dict concept -> dict reader -> dict metric -> (median, low, high)
        Interval over basins. Metrics: NSE, NSE anomaly, NSE deseasonalised.
    path : str or Path
    note : str, default ""
        Line above the figure.
    """
    _refuse_nothing(panels)
    readers = list(dict.fromkeys(reader for panel in panels.values() for reader in panel))
    figure, grid = _panels(panels, lambda columns, rows: (1.6 + 2 * columns, 0.7 + rows * (0.5 + 0.2 * len(readers))))
    handles = {}
    for axes, (concept, panel) in zip(grid.flat, panels.items(), strict=False):
        lowest, below = 0.0, []
        for place, reader in enumerate(readers):
            colour = SIMULATED if reader.startswith("cell states of ") else PROBED
            colour = colour if reader.startswith("cell states") else "#444444"
            for shift, (metric, (marker, filled)) in zip((-0.22, 0, 0.22), _PROBE_SCORES.items(), strict=True):
                median, low, high = panel.get(reader, {}).get(metric, (np.nan,) * 3)
                if median < -1:  # one failed control would squeeze all others into a line
                    below.append((place + shift, colour))
                elif np.isfinite(median):
                    low = max(low, -1.0)
                    lowest = min(lowest, low)
                    axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=0.8)
                    style = {"color": colour, "markerfacecolor": colour if filled else "white", "markersize": 3.5}
                    (handle,) = axes.plot(median, place + shift, marker, **style)
                    handles.setdefault(metric, handle)
        for place, colour in below:
            (handle,) = axes.plot(lowest - 0.04, place, "<", color=colour, markersize=3, alpha=0.6)
            handles.setdefault("below −1", handle)
        axes.set(title=_words(concept), xlim=(lowest - 0.08, 1.02), xlabel="median over basins (–)")
    grid[0, 0].set_yticks(range(len(readers)), readers)
    grid[0, 0].set_ylim(len(readers) - 0.4, -0.6)
    if note:
        figure.suptitle(textwrap.fill(note, 100), fontsize=7, color=GREY)
    return _save(figure, path, handles, 4)


@_in_style
def probe_distributions(values, metric, path, low=-1.0, high=1.0):
    """Draw the cumulative distribution of a score over the basins, one panel a concept, one curve a reader.

    Parameters
    ----------
    values : dict concept -> dict reader -> array (basin,)
    metric : str
        Name of the score.
    path : str or Path
    low, high : float, default -1 and 1
        Scores that are shown.
    """
    _refuse_nothing(values)
    readers = list(dict.fromkeys(reader for panel in values.values() for reader in panel))
    figure, grid = _panels(values, lambda columns, rows: (max(2.5 * columns, 4.5), 2.3 * rows + 0.5))
    handles = {}
    for axes, (concept, panel) in zip(grid.flat, values.items(), strict=False):
        known = {reader: np.sort(_finite(scores)) for reader, scores in panel.items()}
        for reader, scores in known.items():
            style = _line(readers.index(reader), 1.6 if reader == readers[0] else 0.9)
            if scores.size:
                handles.setdefault(reader, axes.ecdf(scores, **style))
        axes.set(xlim=(low, high), ylim=(0, 1), xlabel=f"{metric} (–), from {_number(low)}")
        axes.set_title(f"{_words(concept)} ({_basins(max(scores.size for scores in known.values()))})")
    for axes in grid[:, 0]:
        axes.set_ylabel("share of basins below (–)")
    return _save(figure, path, handles, 3)


@_in_style
def probe_series(panels, path):
    """Draw observed concepts and what is read for them, a column for each basin, a row for each concept.

    Parameters
    ----------
    panels : list of dict, one per basin
        title : str; dates : array (day,); concepts : list of dict(name, units, observed, readings), observed (day,) in
        `units`, readings a dict label -> array (day,).
    path : str or Path
    """
    _refuse_nothing(panels)
    labels = [_label(concept["name"], concept["units"]) for concept in panels[0]["concepts"]]
    figure, grid = _basins_by_rows(panels, labels, (max(3.1 * len(panels), 4), 1.25 * len(labels) + 0.9))
    handles = {}
    for column, panel in enumerate(panels):
        for axes, concept in zip(grid[:, column], panel["concepts"], strict=True):
            handles["observed"] = _observed(axes, panel["dates"], concept["observed"], linewidth=0.7)
            for colour, (label, reading) in zip((PROBED, COLOURS[4]), concept["readings"].items(), strict=False):
                handles[f"read in: {label}"] = _series(axes, panel["dates"], reading, color=colour, linewidth=0.8)
    return _save(figure, path, handles, len(handles))


@_in_style
def best_units(panels, path):
    """Draw one cell state (left axis) beside one observed series (right axis), a row for each pair.

    Parameters
    ----------
    panels : list of dict
        title : str; dates : array (day,); state : array (day,), no unit; name, units : str; observed : array (day,).
    path : str or Path
    """
    _refuse_nothing(panels)
    figure = Figure(figsize=(6.4, 1.35 * len(panels) + 0.4), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        beside = axes.twinx()
        beside.spines["right"].set_visible(True)
        _series(axes, panel["dates"], panel["state"], color=PROBED)
        _series(beside, panel["dates"], panel["observed"], color=OBSERVED, linewidth=0.7)
        axes.set_ylabel("cell state (–)", color=PROBED)
        beside.set_ylabel(_label(panel["name"], panel["units"]))
        axes.set_title(panel["title"], loc="left")
    _date_axis(grid[-1])
    return _save(figure, path)


@_in_style
def interventions(panels, path):
    """Draw how runoff and every reading change after the cell states were changed, a column for each concept moved.

    Parameters
    ----------
    panels : list of dict, one per concept moved
        name, title : str; rows : list of dict(name, units, real, random), the change of one quantity in `units`:
        real (basin, day), random (direction, basin, day).
    path : str or Path
    """
    _refuse_nothing(panels)
    rows = panels[0]["rows"]
    figure = Figure(figsize=(1.9 * len(panels) + 0.9, 1.2 * len(rows) + 1.0), layout="constrained")
    grid = figure.subplots(len(rows), len(panels), squeeze=False, sharex=True)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel("Δ " + _label(row["name"], row["units"]))
    handles = {}
    for column, panel in enumerate(panels):
        grid[0, column].set_title(textwrap.fill(panel["title"], 28))
        for axes, row in zip(grid[:, column], panel["rows"], strict=True):
            real, random = np.asarray(row["real"]), np.asarray(row["random"])
            after = np.arange(1, real.shape[1] + 1)
            low, middle, high = np.percentile(real, (25, 50, 75), axis=0)
            typical = np.median(np.sqrt((random**2).mean(axis=0)), axis=0)
            grey = axes.fill_between(after, -typical, typical, color="#BBBBBB", linewidth=0)
            handles["random changes of the same length (typical size)"] = grey
            handles["half of the basins"] = axes.fill_between(after, low, high, color=SIMULATED, alpha=0.3, linewidth=0)
            (handles["median of the basins"],) = axes.plot(after, middle, color=SIMULATED, linewidth=1.4)
            axes.axhline(0, color=GREY, linewidth=0.5)
            axes.set_xlim(1, real.shape[1])
            if row["name"] == panel["name"]:  # the concept that was moved
                axes.set_facecolor("#F4F4F4")
        grid[-1, column].set_xlabel("days after the change")
    figure.align_ylabels(grid[:, 0])
    return _save(figure, path, handles, 2 * len(panels))


def _save(figure, path, handles=None, columns=1):
    """Put the legend of `handles` (by label) below the figure, in at most that many columns, and write the file."""
    if handles:
        columns = min(columns, len(handles))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
    with replacing(path) as temporary:
        figure.savefig(temporary)
    return figure


def _refuse_nothing(entries):
    if not entries:
        raise ValueError("There is nothing to draw; give at least one entry.")


def _basins_by_rows(panels, labels, size, heights=None):
    """Figure and axes (row, basin) with the basins' titles, the rows' labels and the dates below."""
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(labels), len(panels), squeeze=False, sharex="col", height_ratios=heights)
    for axes, panel in zip(grid[0], panels, strict=True):
        axes.set_title(textwrap.fill(panel["title"], 42))
    for axes, label in zip(grid[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    for axes in grid[-1]:
        _date_axis(axes)
    figure.align_ylabels(grid[:, 0])
    return figure, grid


def _panels(panels, size):
    """Figure and axes (row, column), one for each panel with a line at 0; `size` gives inches for (columns, rows)."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=size(columns, rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for number, axes in enumerate(grid.flat):
        axes.set_visible(number < len(panels))
        axes.axvline(0, color=GREY, linewidth=0.5)
        axes.grid()
    return figure, grid


def _range(pooled, metric):
    """Part of the axis worth showing: an efficiency from -0.5 at the lowest to 1, others without their outer 1 %."""
    if not pooled.size:
        return 0.0, 1.0
    if metric in _EFFICIENCIES:
        low = max(pooled.min() - 0.02, -0.5)
        return (low if low < 1 else -0.5), 1.0
    low, high = np.percentile(pooled, (1, 99) if pooled.size >= 50 else (0, 100))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _colours(values, metric):
    """Limits of the colour bar and its colours."""
    if metric in _EFFICIENCIES or not values.size:
        return (0.0, 1.0), "viridis"
    if metric in _BIASES or metric == "alpha-NSE":
        middle = 1.0 if metric == "alpha-NSE" else 0.0
        reach = float(np.percentile(abs(values - middle), 95)) or 1.0
        return (middle - reach, middle + reach), "RdBu"
    low, high = np.percentile(values, (2, 98))
    return (low, high if high > low else low + 1.0), "viridis_r"


def _series(axes, x, y, **style):
    """A line; days with a missing day on either side, which a line leaves out, become dots."""
    y = np.asarray(y, dtype=float)
    y = np.where(np.isfinite(y), y, np.nan)
    (line,) = axes.plot(x, y, **style)
    gap = np.concatenate([[True], np.isnan(y), [True]])
    alone = ~gap[1:-1] & gap[:-2] & gap[2:]
    if alone.any():
        axes.plot(np.asarray(x)[alone], y[alone], ".", markersize=2, color=line.get_color(), zorder=line.get_zorder())
    return line


def _observed(axes, dates, y, linewidth=0.6, **style):
    """The observed series, thin and black above all others, or the remark that there is none."""
    if not _finite(y).size:
        _remark(axes, 0.9, "no observations")
    return _series(axes, dates, y, color=OBSERVED, linewidth=linewidth, zorder=3, **style)


def _remark(axes, height, words):
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    style = {"ha": "center", "va": "center", "color": GREY, "fontsize": 7, "zorder": 5, "bbox": box}
    axes.text(0.5, height, words, transform=axes.transAxes, **style)


def _line(number, width=1.0):
    """Colour and dash of the line of that number; no two of the first 28 are alike."""
    dash, colour = divmod(number, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": DASHES[dash % len(DASHES)], "linewidth": width}


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


def _basins(count):
    return f"{count} basin{'s' * int(count != 1)}"


def _words(name):
    return name.replace("_", " ")


def _score_label(metric):
    return f"{metric}{_UNITS.get(metric, ' (–)')}"


def _label(name, units):
    """Name and unit of a concept, narrow enough for the height of its panel."""
    lines = textwrap.wrap(_words(name), 18)[:3]
    return "\n".join([*lines, f"({units})"])
