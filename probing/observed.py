"""What can be probed: the basins and concepts that are observed, and where a concept counts."""

import numpy as np
import pandas as pd

from running.simulation import SNOW_MM, scored_basins
from writing.messages import InputError, basin_count, note, some


def observed_part(run, periods, basins, concepts, **elsewhere):
    """The data of a run without the basins and concepts that cannot be probed; a note says why.

    `periods` are (start, end) of the fitting and of the scoring period, the rest is as `Run.data` takes it. Besides the
    data it returns `means_and_spreads` of the fitting period, and where a target counts (basin, target): where it is
    observed, and snow by its mean in the fitting period.
    """
    data = run.data(periods[1], basins, concepts, **elsewhere)
    print(data.report)
    if len(data.basins) < 2:
        raise InputError("Probes need at least two basins: their penalty is chosen by leaving basins out.")
    fitted, counted, observed, reasons = judge(data, *periods)
    if len(reasons) == len(concepts):
        raise InputError(" ".join(reasons.values()))
    for sentence in reasons.values():
        note(f"{sentence} It is left out.")
    names = [name for name in data.targets[1:] if name not in reasons]
    kept = [concept for concept, name in zip(concepts, data.targets[1:], strict=True) if name in names]
    left = list(observed.index[observed[names].any(axis=1)])
    if lacking := [basin for basin in data.basins if basin not in left]:
        note(f"Left out: {basin_count(len(lacking))} in which nothing to probe is observed, {some(lacking)}.")
    if reasons or lacking:
        data = run.data(periods[1], left, kept, **elsewhere)
    return data, fitted.loc[left], counted.loc[left]


def judge(data, fit_period, period):
    """Means, where a target counts and is observed (basin, target), and {concept: why it cannot be probed}."""
    tables = {days: means_and_spreads(data, days) for days in (fit_period, period)}
    counted, reasons = scored_basins(tables[fit_period], data), {}
    columns = [f"days_{name}" for name in data.targets]
    known = {days: table[columns].gt(0).set_axis(data.targets, axis=1) for days, table in tables.items()}
    observed = known[fit_period] | known[period]
    for name in data.targets[1:]:
        counted[name] &= observed[name]
        for days in (period, fit_period):
            when = f"from {' to '.join(days)}"
            if not known[days][name].any():
                reasons[name] = f"{name} is observed in no basin {when}."
            elif not (known[days][name] & counted[name]).any():
                reasons[name] = f"No basin counts for {name} {when}: none has more than {SNOW_MM:g} mm of it."
            elif days == fit_period and known[days][name].sum() == 1:
                reasons[name] = f"Probes need at least two basins: {name} is observed in one {when}."
    return tables[fit_period], counted, observed, reasons


def means_and_spreads(data, period):
    """Mean, standard deviation and number of days of each target in a period: DataFrame (basin; mean_<target>, …)."""
    rows, dates = [], data.dates(*period)
    for position in range(len(data.basins)):
        series = pd.DataFrame(data.read([position], dates)[1][0].astype(np.float64), columns=data.targets)
        numbers = {"mean_": series.mean(), "std_": series.std(ddof=0), "days_": series.count()}
        rows.append(pd.concat([values.add_prefix(prefix) for prefix, values in numbers.items()]))
    return pd.DataFrame(rows, index=data.basins)
