"""What lies outside of what a run learned from, said of each basin: attributes, forcing, cell states that run away.

An attribute outside the range of the training basins counts as the edge (libs_tf.Scaling). Forcing is taken as it is,
since extremes are what people simulate for; but a mean far from those of all training basins is most often a wrong
unit. A cell state changes by at most 1 a day, and what fills in a winter empties in the summer: in 29 years of 531
basins snow reached 179. Beyond 365 a cell state has only grown for a year or more. Where all gates stay at 1 it counts
the days, whatever the weather, and nothing that is simulated means anything.
"""

import numpy as np

from writing.messages import note, some

RUNAWAY = 365  # a cell state beyond it, above or below zero, has run away
RAN_AWAY = f"cell states run away, beyond {RUNAWAY}: what is simulated means nothing"
PRECIPITATION = "prcp", "total_precipitation"  # how its inputs' names begin
WHOLE_YEAR = 365  # days with all forcing that a mean must be of, so that it holds every season


def attributes_outside(attributes, ranges):
    """What of a table of attributes (basin, attribute) lies outside of ranges {attribute: (lowest, highest)}.

    Returns
    -------
    list of (basin, attribute, "above" or "below", edge)
    """
    found = []
    for name, (low, high) in ranges.items():
        values = attributes[name]
        for side, edge, beyond in (("below", low, values < low), ("above", high, values > high)):
            beyond &= ~np.isclose(values, edge, rtol=1e-6)  # another processor rounds otherwise
            found += [(basin, name, side, edge) for basin in values.index[beyond]]
    return found


def forcing_far_outside(data, dates, normalisation):
    """Forcing whose mean on these days is outside those of all training basins, by their whole range or fivefold, and
    precipitation that is five times more or less than the basin's attribute p_mean.

    Runs of earlier versions do not know their range (`input_range`): a standard deviation about the mean is taken.

    Returns
    -------
    list of (basin, input, what is outside in words)
    """
    found = []
    for b, basin in enumerate(data.basins):
        forcing = data.read([b], dates)[0][0].astype(np.float64)
        forcing = forcing[np.isfinite(forcing).all(axis=1)]
        if len(forcing) < WHOLE_YEAR:
            continue
        for name, mean in zip(data.inputs, forcing.mean(axis=0), strict=True):
            average, deviation = normalisation["inputs"][name]
            low, high = normalisation["input_range"].get(name, (average - deviation, average + deviation))
            reach = max(high - low, deviation)  # the range of a few basins that are alike is narrow
            least = max(low - reach, low / 5) if low > 0 else low - reach
            words, p_mean = f"the mean of {name} is {mean:,.4g}", data.attributes.get("p_mean", {}).get(basin, np.nan)
            if not least <= mean <= high + reach:
                found.append((basin, name, f"{words}, those of the training basins are {low:,.4g} to {high:,.4g}"))
            elif name.startswith(PRECIPITATION) and (mean < p_mean / 5 or mean > p_mean * 5):
                found.append((basin, name, f"{words}, but p_mean is {p_mean:,.4g} mm/day"))
    return found


class Outside:
    """What is outside in some basins, found before and while they are simulated; `said` has the sentences of each."""

    def __init__(self, basins):
        self.said = {basin: [] for basin in basins}

    def compare(self, pairs, start, end):
        """Hold attributes, and forcing in a period, of data against the run that simulates them; say what is outside.

        `pairs` are of a runs.Run and a prepared.Prepared. (A fold's own basins lie within its range.)
        """
        attributes, forcing = [], []
        for run, data in pairs:
            attributes += attributes_outside(data.attributes, run.normalisation["attribute_range"])
            forcing += forcing_far_outside(data, data.dates(start, end, WHOLE_YEAR), run.normalisation)
        by_name = {}
        for basin, name, side, edge in attributes:
            self.add(basin, f"{name} {side} the training range, counted as {edge:,.6g}")
            by_name.setdefault((name, side), {}).setdefault(basin, f"{edge:,.6g}")
        if by_name:
            (name, side), edges = max(by_name.items(), key=lambda item: len(item[1]))
            number, where = len(set().union(*by_name.values())), " or ".join(sorted(set(edges.values())))
            note(f"{number} of {len(self.said)} basins have attributes outside the training range and counted as its "
                 f"edge, most often {name} ({len(edges)} {side} {where}).")  # fmt: skip
        by_name = {}
        for basin, name, words in forcing:
            self.add(basin, words)
            by_name.setdefault(name, {})[basin] = words
        for basins in by_name.values():
            note(f"In {some(basins)} {next(iter(basins.values()))}: is the unit right?")

    def count(self, parts, positions):
        """Take in which of the basins at these positions ran away in any of the parts (simulation.Simulated)."""
        for part in parts:
            for basin in np.array(list(self.said))[positions][part.runaway]:
                self.add(basin, RAN_AWAY)

    def note_runaways(self, whose=""):
        """Name the basins in which cell states ran away; `whose` says in words which, if there are several."""
        if ran := [basin for basin, sentences in self.said.items() if RAN_AWAY in sentences]:
            note(f"Cell states run away in {len(ran)} of {len(self.said)} basins{whose}: they count days, beyond "
                 f"{RUNAWAY}, whatever the weather; what is simulated means nothing in {some(ran, 10)}.")  # fmt: skip

    def add(self, basin, sentence):
        """Say something of a basin once."""
        if sentence not in self.said[basin]:
            self.said[basin].append(sentence)
