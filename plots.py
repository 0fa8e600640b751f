"""The figures, each a function from arrays to a file: training history, scores, hydrographs, maps, cell states.

The file's ending chooses the format (.png, .pdf, .svg). A file appears whole or not at all, and its folder is made if
need be. Nothing is kept open and no screen is needed, so the functions can be called from any thread or notebook:

    import plots
    plots.score_distribution({"streamflow": scores["NSE"]}, "NSE", "nse.png")
"""

import os
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.05,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a "$" in the name of a basin or concept is a character like any other
}
OBSERVED = "black"
SIMULATED = "#0072B2"
PROBED = "#D55E00"
# Okabe & Ito's palette without yellow, which is lost on white: told apart with any colour vision.
COLOURS = (SIMULATED, PROBED, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#666666")
DASHES = ("-", "--", ":", "-.")

# Range of a score's map and its colours: efficiencies from 0, biases around 0.
_EFFICIENCIES = ("NSE", "KGE", "KGE2012", "log-NSE", "r")
_BIASES = {"beta-NSE": "", "PBIAS": " (%)", "FHV": " (%)", "FLV": " (%)", "FMS": " (%)"}
_UNITS = {"RMSE": " (unit of the series)", "MSE": " (unit of the series, squared)"} | _BIASES


def history(history, path):
    """Draw the course of a training: loss and its parts, validation scores, learning rate.

    Parameters
    ----------
    history : DataFrame
        One row per epoch; columns epoch, loss, `<part>_loss`, val_NSE_`<target>`, learning_rate. All but epoch may be
        absent; NaN (an epoch without validation) is skipped.
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no column epoch.
    """
    _write(_history, path, history)


def score_distribution(values, metric, path, note=""):
    """Draw the cumulative distribution of a score over the basins, one curve per entry.

    Parameters
    ----------
    values : dict of str to array (basin,)
        Scores by label; NaN (no value) is left out and counted in the legend, beside the median.
    metric : str
        Name of the score, for the axis.
    path : str or Path
        File to write.
    note : str, default ""
        Line above the figure, for example the test period.

    Raises
    ------
    ValueError
        If `values` is empty.
    """
    _write(_score_distribution, path, values, metric, note)


def hydrographs(panels, path):
    """Draw observed and simulated streamflow of a few basins side by side, each concept's series below.

    Parameters
    ----------
    panels : list of dict, one per basin
        title : str; dates : array (day,); observed, simulated : array (day,), mm/day, NaN where missing;
        members : array (member, day), optional, whose range is shaded;
        concepts : list of dict(name, units, observed, simulated), optional, series (day,) in `units`.
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no panel.
    """
    _write(_hydrographs, path, panels)


def score_map(lon, lat, values, metric, path):
    """Draw one dot per basin where it lies, coloured by its score.

    Parameters
    ----------
    lon, lat : array (basin,)
        Degrees east and north; basins without coordinates are left out and counted.
    values : array (basin,)
        Score; a basin without value (NaN) is a small cross.
    metric : str
        Name of the score; efficiencies are coloured from 0 to 1, biases around 0.
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If no basin has coordinates, or the arrays differ in length.
    """
    _write(_score_map, path, lon, lat, values, metric)


def states(dates, states, unit_names, concepts, title, path):
    """Draw chosen cell states above the concepts, observed and as the probe reads them, on one date axis.

    Parameters
    ----------
    dates : array (day,)
    states : array (day, unit)
        Cell states, no unit; they share panels of at most 4.
    unit_names : list of str (unit,)
    concepts : list of dict(name, units, observed, probed)
        Series (day,) in `units`, NaN where missing; may be empty.
    title : str
        For example basin and period.
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no unit, or the shapes do not fit.
    """
    _write(_states, path, dates, states, unit_names, concepts, title)


def probe_controls(panels, path, note=""):
    """Draw the medians of several scores of every reader of a concept, real probes and controls, one panel a concept.

    Parameters
    ----------
    panels : dict concept -> dict reader -> dict metric -> (median, low, high)
        Interval over basins; NaN is left out. Metrics: NSE, NSE anomaly, NSE deseasonalised.
    path : str or Path
        File to write.
    note : str, default ""
        Line above the figure.

    Raises
    ------
    ValueError
        If there is no panel.
    """
    _write(_probe_controls, path, panels, note)


def probe_distributions(values, metric, path):
    """Draw the cumulative distribution of a score over the basins, one panel a concept, one curve a reader.

    Parameters
    ----------
    values : dict concept -> dict reader -> array (basin,)
        NaN is left out.
    metric : str
        Name of the score.
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If `values` is empty.
    """
    _write(_probe_distributions, path, values, metric)


def probe_series(panels, path):
    """Draw observed concepts and what is read for them, a column for each basin, a row for each concept.

    Parameters
    ----------
    panels : list of dict, one per basin
        title : str; dates : array (day,); concepts : list of dict(name, units, observed, readings), observed (day,) in
        `units`, readings a dict label -> array (day,).
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no panel.
    """
    _write(_probe_series, path, panels)


def best_units(panels, path):
    """Draw one cell state (left axis) beside one observed series (right axis), a row for each pair.

    Parameters
    ----------
    panels : list of dict
        title : str; dates : array (day,); state : array (day,), no unit; name, units : str; observed : array (day,).
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no panel.
    """
    _write(_best_units, path, panels)


def interventions(panels, path):
    """Draw how runoff and every reading change after the cell states were changed, a column for each concept moved.

    Parameters
    ----------
    panels : list of dict, one per concept moved
        name, title : str; rows : list of dict(name, units, real, random), the change of one quantity in `units`:
        real (basin, day), random (direction, basin, day).
    path : str or Path
        File to write.

    Raises
    ------
    ValueError
        If there is no panel.
    """
    _write(_interventions, path, panels)


def _write(draw, path, *arguments):
    """Draw in the common style, save under a temporary name in the same folder, then rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    with matplotlib.rc_context(STYLE):
        figure = draw(*arguments)
        try:
            figure.savefig(temporary)
            os.replace(temporary, path)
        except OSError as error:  # a full disk has no file name
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        finally:
            temporary.unlink(missing_ok=True)


def _history(history):
    if "epoch" not in history:
        raise ValueError(f"history needs a column epoch. Received: {list(history.columns)}")
    parts = [name.removesuffix("_loss") for name in history if name.endswith("_loss")]
    targets = [name.removeprefix("val_NSE_") for name in history if name.startswith("val_NSE_")]
    names = list(dict.fromkeys(parts + targets))  # a part and its score are drawn alike, and named once in the legend
    lines = {name: _line(number) for number, name in enumerate(names)}
    legend_rows = -(-(len(names) + 1) // 4)
    figure = Figure(figsize=(7.2, 3.3 + 0.16 * legend_rows), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 1))
    loss_axes, rate_axes, score_axes = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))

    def draw(axes, column, **style):
        known = history[np.isfinite(history[column].astype(float))]  # joins epochs across those without a value
        return _series(axes, known["epoch"], known[column], **style)

    handles = {}
    if "loss" in history:
        handles["all parts, weighted"] = draw(loss_axes, "loss", color="black", linewidth=1.4)
    for name in parts:
        handles[_words(name)] = draw(loss_axes, f"{name}_loss", **lines[name])
    for name in targets:
        handles[_words(name)] = draw(score_axes, f"val_NSE_{name}", **lines[name])
    if "learning_rate" in history:
        draw(rate_axes, "learning_rate", color="#666666")

    losses = history[[name for name in history if name == "loss" or name.endswith("_loss")]].to_numpy(dtype=float)
    losses = losses[np.isfinite(losses)]
    if losses.size and losses.min() > 0 and losses.max() > 5 * losses.min():
        loss_axes.set_yscale("log")
        loss_axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        loss_axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        loss_axes.yaxis.set_minor_formatter(NullFormatter())
    scores = history[[f"val_NSE_{name}" for name in targets]].to_numpy(dtype=float)
    lowest = scores[np.isfinite(scores)].min(initial=1.0)
    label = "validation NSE (–)"
    if lowest < -0.5:  # the first epochs would squeeze all others into a line
        label += ", below −0.5 not shown"
    score_axes.set(ylim=(max(lowest - 0.05, -0.5), 1), xlabel="epoch", ylabel=label)
    loss_axes.set_ylabel("training loss (–)")
    loss_axes.tick_params(labelbottom=False)
    rate_axes.set(xlabel="epoch", ylabel="learning\nrate (–)")
    rate_axes.set_ylim(bottom=0)
    for axes in (loss_axes, rate_axes, score_axes):
        if len(history):
            axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3, linewidth=0.4)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 4))
    return figure


def _score_distribution(values, metric, note):
    if not values:
        raise ValueError("values needs at least one entry. Received: none")
    values = {label: np.asarray(scores, dtype=float) for label, scores in values.items()}
    pooled = np.concatenate([scores[np.isfinite(scores)] for scores in values.values()])
    low, high = _range(pooled, metric)
    many = len(values) > 5
    figure = Figure(figsize=(6.2 if many else 3.6, max(3.0, 0.4 + 0.17 * len(values))), layout="constrained")
    axes = figure.add_subplot()
    for number, (label, scores) in enumerate(values.items()):
        shown = np.sort(scores[np.isfinite(scores)])
        style, missing = _line(number, 1.4), scores.size - shown.size
        count = f"{shown.size} basin{'s' * (shown.size != 1)}" + (f", {missing} without value" if missing else "")
        if shown.size:
            axes.ecdf(shown, **style)
            axes.axvline(np.median(shown), color=style["color"], linewidth=0.6, linestyle=style["linestyle"], alpha=0.7)
            label = f"{label}: median {_number(np.median(shown))}"
        else:
            label = f"{label}: no value"
        label += f" ({count})" if many else f"\n({count})"
        axes.plot([], [], label=label, **style)
    axes.axhline(0.5, color="#666666", linewidth=0.4)
    below, above = int(np.sum(pooled < low)), int(np.sum(pooled > high))
    words = [f"{below} of {pooled.size} below {_number(low)}"] * (below > 0)
    words += [f"{above} of {pooled.size} above {_number(high)}"] * (above > 0)
    beyond = "\nnot shown: " + ", ".join(words) if words else ""
    axes.set(xlim=(low, high), ylim=(0, 1), ylabel="share of basins with a lower score (–)")
    axes.set_xlabel(f"{metric}{_UNITS.get(metric, ' (–)')}{beyond}")
    axes.grid(alpha=0.3, linewidth=0.4)
    if many:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    else:
        axes.legend(loc="best")
    if note:
        axes.set_title(textwrap.fill(note, 60), loc="left", color="#666666", fontsize=7)
    return figure


def _range(pooled, metric):
    """Part of the axis worth showing: an efficiency from -0.5 at the lowest to 1, others without their outer 1 %."""
    if not pooled.size:
        return (0.0, 1.0)
    if metric in _EFFICIENCIES:
        low, high = max(pooled.min() - 0.02, -0.5), 1.0
    elif pooled.size >= 50:
        low, high = np.percentile(pooled, (1, 99))
    else:
        low, high = pooled.min(), pooled.max()
    if low >= high:  # one value, or all alike, or all below the range
        low, high = (low - 0.5, high + 0.5) if metric not in _EFFICIENCIES else (-0.5, 1.0)
    return float(low), float(high)


def _hydrographs(panels):
    if not panels:
        raise ValueError("panels needs at least one basin. Received: none")
    # A row per concept in the order met; a basin without it leaves its place empty.
    names = list(dict.fromkeys(concept["name"] for panel in panels for concept in panel.get("concepts", ())))
    width, height = max(3.1 * len(panels), 6.0), 2.2 + 1.15 * len(names) + 0.4
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(
        1 + len(names), len(panels), squeeze=False, sharex="col", height_ratios=[1.9] + [1] * len(names)
    )
    labels = {}
    for column, panel in enumerate(panels):
        axes, dates = grid[0, column], _dates(panel["dates"])
        members = np.atleast_2d(np.asarray(panel["members"], dtype=float)) if panel.get("members") is not None else None
        if members is not None and len(members) > 1:
            # Days on which no member has a value stay empty instead of raising a warning.
            low, high = np.fmin.reduce(members), np.fmax.reduce(members)
            band = axes.fill_between(dates, low, high, color=SIMULATED, alpha=0.25, linewidth=0)
            labels["range of the members"] = band
        labels["observed"] = _series(axes, dates, panel["observed"], color=OBSERVED, linewidth=0.6, zorder=3)
        labels["simulated streamflow"] = _series(axes, dates, panel["simulated"], color=SIMULATED)
        axes.set_title(textwrap.fill(panel["title"], 42))
        _say_if_empty(axes, panel["observed"])
        found = {concept["name"]: concept for concept in panel.get("concepts", ())}
        for row, name in enumerate(names, start=1):
            axes = grid[row, column]
            if name not in found:
                axes.text(0.5, 0.5, "not a concept of this basin", **_REMARK, transform=axes.transAxes)
                axes.set_yticks([])
                continue
            concept = found[name]
            _series(axes, dates, concept["observed"], color=OBSERVED, linewidth=0.6, zorder=3)
            labels["concept, read from the cell states"] = _series(axes, dates, concept["simulated"], color=PROBED)
            _say_if_empty(axes, concept["observed"])
        _date_axis(grid[-1, column])
    units = {concept["name"]: concept["units"] for panel in panels for concept in panel.get("concepts", ())}
    for row, label in enumerate(["streamflow (mm/day)", *(_label(name, units[name]) for name in names)]):
        grid[row, 0].set_ylabel(label)
    figure.align_ylabels(grid[:, 0])
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=len(labels))
    return figure


def _score_map(lon, lat, values, metric):
    lon, lat, values = (np.asarray(array, dtype=float) for array in (lon, lat, values))
    if not lon.ndim == 1 or not lon.shape == lat.shape == values.shape:
        raise ValueError(
            f"lon, lat and values must be of equal length. Received: {lon.shape}, {lat.shape}, {values.shape}"
        )
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        raise ValueError(f"no basin has coordinates. Received: {lon.size} basins")
    left_out = lon.size - int(placed.sum())
    lon, lat, values = lon[placed], lat[placed], values[placed]
    scored = np.isfinite(values)
    limits, colours = _colours(values[scored], metric)

    # A degree of longitude is as long as it is in the middle of the map.
    squeeze = max(np.cos(np.radians((lat.min() + lat.max()) / 2)), 0.3)
    wide, high = max((lon.max() - lon.min()) * squeeze, 1.0) * 1.1, max(lat.max() - lat.min(), 1.0) * 1.1
    figure = Figure(figsize=(7.2, float(np.clip(5.8 * high / wide, 2.2, 6.5)) + 0.6), layout="constrained")
    axes = figure.add_subplot()
    size = float(np.clip(2500 / max(lon.size, 1), 6, 40))
    dots = axes.scatter(
        lon[scored], lat[scored], c=values[scored], s=size, linewidths=0.2, edgecolors="black",
        cmap=colours, vmin=limits[0], vmax=limits[1],
    )  # fmt: skip
    below, above = (values[scored] < limits[0]).any() or metric in _EFFICIENCIES, (values[scored] > limits[1]).any()
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    bar = figure.colorbar(dots, ax=axes, extend=extend, shrink=0.85, pad=0.02, aspect=25)
    bar.set_label(f"{metric}{_UNITS.get(metric, ' (–)')}")
    if not scored.all():
        axes.scatter(
            lon[~scored], lat[~scored], marker="x", s=max(size * 0.6, 12), color="#666666", linewidths=0.6,
            label=f"no value ({np.sum(~scored)})",
        )  # fmt: skip
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), borderaxespad=0)
    middle_lon, middle_lat = (lon.min() + lon.max()) / 2, (lat.min() + lat.max()) / 2
    axes.set_xlim(middle_lon - wide / squeeze / 2, middle_lon + wide / squeeze / 2)
    axes.set_ylim(middle_lat - high / 2, middle_lat + high / 2)
    axes.set_aspect(1 / squeeze)
    axes.set(xlabel="longitude (°E)", ylabel="latitude (°N)")
    title = "no basin has a value"
    if scored.any():
        title = (
            f"{scored.sum()} basin{'s' * int(scored.sum() != 1)}, median {metric} {_number(np.median(values[scored]))}"
        )
    axes.set_title(title + (f"; {left_out} without coordinates left out" if left_out else ""), loc="left")
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.set_axisbelow(True)
    return figure


def _colours(values, metric):
    """Limits of the colour bar and its colours."""
    if metric in _EFFICIENCIES or not values.size:
        return (0.0, 1.0), "viridis"
    if metric in _BIASES or metric == "alpha-NSE":
        middle = 1.0 if metric == "alpha-NSE" else 0.0
        reach = float(np.percentile(abs(values - middle), 95)) or 1.0
        return (middle - reach, middle + reach), "RdBu"
    low, high = np.percentile(values, (2, 98))
    return (float(low), float(high) if high > low else float(low) + 1.0), "viridis_r"


def _states(dates, states, unit_names, concepts, title):
    states, dates = np.asarray(states, dtype=float), _dates(dates)
    if states.ndim != 2 or len(states) != len(dates) or states.shape[1] != len(unit_names) or not len(unit_names):
        raise ValueError(
            "states must have shape (day, unit) with one date a day and one name a unit. "
            f"Received: {states.shape}, {len(dates)} dates and {len(unit_names)} names"
        )
    groups = [range(start, min(start + 4, len(unit_names))) for start in range(0, len(unit_names), 4)]
    rows = len(groups) + len(concepts)
    figure = Figure(figsize=(7.2, 1.3 * len(groups) + 1.15 * len(concepts) + 0.8), layout="constrained")
    grid = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    for axes, group in zip(grid, groups, strict=False):
        for number, unit in enumerate(group):
            _series(axes, dates, states[:, unit], label=unit_names[unit], **_line(number))
        axes.set_ylabel("cell state (–)")
    for axes, concept in zip(grid[len(groups) :], concepts, strict=True):
        _series(axes, dates, concept["observed"], label="observed", color=OBSERVED, linewidth=0.6, zorder=3)
        _series(axes, dates, concept["probed"], label="probed", color=PROBED)
        axes.set_ylabel(_label(concept["name"], concept["units"]))
        _say_if_empty(axes, concept["observed"])
    for axes in grid:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    _date_axis(grid[-1])
    figure.align_ylabels(grid)
    figure.suptitle(textwrap.fill(title, 100), fontsize=8)
    return figure


_REMARK = {
    "ha": "center",
    "va": "center",
    "color": "#666666",
    "fontsize": 7,
    "zorder": 5,
    "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
}


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


def _say_if_empty(axes, observed):
    if not np.isfinite(np.asarray(observed, dtype=float)).any():
        axes.text(0.5, 0.9, "no observations", **_REMARK, transform=axes.transAxes)


def _line(number, width=1.0):
    """Colour and dash of the line of that number; no two of the first 28 are alike."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
        "linewidth": width,
    }


def _dates(dates):
    return np.asarray(dates, dtype="datetime64[D]")


def _date_axis(axes):
    axes.margins(x=0.01)
    locator = AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _number(value):
    """Three digits, with the minus sign the axes have."""
    return f"{value:.3g}".replace("-", "−")


def _words(name):
    return name.replace("_", " ")


def _label(name, units):
    """Name and unit of a concept, narrow enough for the height of its panel."""
    lines = textwrap.wrap(_words(name), 18)[:3]
    return "\n".join([*lines, f"({units})"])


# Scores of the probes: marker, filled or hollow.
_PROBE_SCORES = {"NSE": ("o", False), "NSE anomaly": ("o", True), "NSE deseasonalised": ("D", True)}


def _panels_needed(panels):
    if not panels:
        raise ValueError("panels needs at least one entry. Received: none")


def _probe_controls(panels, note):
    _panels_needed(panels)
    readers = list(dict.fromkeys(reader for panel in panels.values() for reader in panel))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    size = (1.6 + 2.0 * columns, 0.7 + rows * (0.5 + 0.2 * len(readers)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    handles = {}
    for axes, (concept, panel) in zip(grid.flat, panels.items(), strict=False):
        lowest, below = 0.0, []
        for place, reader in enumerate(readers):
            colour = SIMULATED if reader.startswith("cell states of ") else PROBED
            colour = colour if reader.startswith("cell states") else "#444444"
            for shift, (metric, (marker, filled)) in zip((-0.22, 0, 0.22), _PROBE_SCORES.items(), strict=True):
                median, low, high = panel.get(reader, {}).get(metric, (np.nan,) * 3)
                if not np.isfinite(median):
                    continue
                if median < -1:  # one failed control would squeeze all others into a line
                    below.append((place + shift, colour))
                    continue
                lowest = min(lowest, max(low, -1.0))
                axes.plot([max(low, -1.0), high], [place + shift] * 2, color=colour, linewidth=0.8)
                face = colour if filled else "white"
                (handle,) = axes.plot(
                    median, place + shift, marker, color=colour, markerfacecolor=face, markersize=3.5, linestyle="none"
                )
                handles.setdefault(metric, handle)
        for place, colour in below:
            axes.plot(lowest - 0.04, place, "<", color=colour, markersize=3, alpha=0.6)
        if below:
            handles.setdefault("below −1", axes.lines[-1])
        axes.axvline(0, color="#666666", linewidth=0.5)
        axes.set(title=_words(concept), xlim=(lowest - 0.08, 1.02), xlabel="median over basins (–)")
        axes.grid(alpha=0.3, linewidth=0.4)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    grid[0, 0].set_yticks(range(len(readers)), readers)
    grid[0, 0].set_ylim(len(readers) - 0.4, -0.6)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    if note:
        figure.suptitle(textwrap.fill(note, 100), fontsize=7, color="#666666")
    return figure


def _probe_distributions(values, metric):
    _panels_needed(values)
    readers = list(dict.fromkeys(reader for panel in values.values() for reader in panel))
    columns = min(len(values), 3)
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(max(2.5 * columns, 4.5), 2.3 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    handles = {}
    for axes, (concept, panel) in zip(grid.flat, values.items(), strict=False):
        for reader, scores in panel.items():
            shown = np.sort(scores[np.isfinite(scores)])
            style = _line(readers.index(reader), 1.6 if reader == readers[0] else 0.9)
            if shown.size:
                handles.setdefault(reader, axes.ecdf(shown, **style))
        number = max(int(np.isfinite(scores).sum()) for scores in panel.values())
        axes.set(xlim=(-1, 1), ylim=(0, 1), xlabel=f"{metric} (–), from −1")
        axes.set_title(f"{_words(concept)} ({number} basin{'s' * (number != 1)})")
        axes.axvline(0, color="#666666", linewidth=0.5)
        axes.grid(alpha=0.3, linewidth=0.4)
    for axes in grid.flat[len(values) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of basins below (–)")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 3))
    return figure


def _probe_series(panels):
    _panels_needed(panels)
    number = len(panels[0]["concepts"])
    figure = Figure(figsize=(max(3.1 * len(panels), 4), 1.25 * number + 0.9), layout="constrained")
    grid = figure.subplots(number, len(panels), squeeze=False, sharex="col")
    labels = {}
    for column, panel in enumerate(panels):
        grid[0, column].set_title(textwrap.fill(panel["title"], 42))
        for axes, concept in zip(grid[:, column], panel["concepts"], strict=True):
            dates = _dates(panel["dates"])
            labels["observed"] = _series(axes, dates, concept["observed"], color=OBSERVED, linewidth=0.7, zorder=3)
            for colour, (label, reading) in zip((PROBED, "#56B4E9"), concept["readings"].items(), strict=False):
                labels[f"read in: {label}"] = _series(axes, dates, reading, color=colour, linewidth=0.8)
            _say_if_empty(axes, concept["observed"])
            if column == 0:
                axes.set_ylabel(_label(concept["name"], concept["units"]))
        _date_axis(grid[-1, column])
    figure.align_ylabels(grid[:, 0])
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=len(labels))
    return figure


def _best_units(panels):
    _panels_needed(panels)
    figure = Figure(figsize=(6.4, 1.35 * len(panels) + 0.4), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        beside = axes.twinx()
        beside.spines["right"].set_visible(True)
        _series(axes, _dates(panel["dates"]), panel["state"], color=PROBED)
        _series(beside, _dates(panel["dates"]), panel["observed"], color=OBSERVED, linewidth=0.7)
        axes.set_ylabel("cell state (–)", color=PROBED)
        beside.set_ylabel(_label(panel["name"], panel["units"]))
        axes.set_title(panel["title"], loc="left")
    _date_axis(grid[-1])
    return figure


def _interventions(panels):
    _panels_needed(panels)
    names = [row["name"] for row in panels[0]["rows"]]
    size = (1.9 * len(panels) + 0.9, 1.2 * len(names) + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(names), len(panels), squeeze=False, sharex=True)
    handles = {}
    for column, panel in enumerate(panels):
        grid[0, column].set_title(textwrap.fill(panel["title"], 28))
        for axes, row in zip(grid[:, column], panel["rows"], strict=True):
            real, random = np.asarray(row["real"]), np.asarray(row["random"])
            after = np.arange(1, real.shape[1] + 1)
            low, middle, high = np.percentile(real, (25, 50, 75), axis=0)
            size = np.median(np.sqrt((random**2).mean(axis=0)), axis=0)
            handles["random changes of the same length (typical size)"] = axes.fill_between(
                after, -size, size, color="#BBBBBB", linewidth=0
            )
            handles["half of the basins"] = axes.fill_between(after, low, high, color=SIMULATED, alpha=0.3, linewidth=0)
            (handles["change along the probe, median"],) = axes.plot(after, middle, color=SIMULATED, linewidth=1.4)
            axes.axhline(0, color="#666666", linewidth=0.5)
            axes.set_xlim(1, real.shape[1])
            if column == 0:
                axes.set_ylabel("Δ " + _label(row["name"], row["units"]))
            if row["name"] == panel["name"]:  # the concept that was moved
                axes.set_facecolor("#F4F4F4")
        grid[-1, column].set_xlabel("days after the change")
    figure.align_ylabels(grid[:, 0])
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 2 * len(panels))
    )
    return figure
