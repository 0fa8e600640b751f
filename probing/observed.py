"""What can be probed: the basins and concepts that are observed, and where a concept counts."""

import numpy as np
import pandas as pd

from running.simulation import SNOW_MM, scored_basins
from writing.messages import InputError, basin_count, note, some


def observed_part(run, spans, basins, concepts, **elsewhere):
    """The data of a run without the basins and concepts that cannot be probed, of which it is said why.

    Parameters
    ----------
    run : running.runs.Run
    spans : pair of (str, str)
        First and last day of the fitting and of the scoring period.
    basins, concepts, elsewhere
        As `Run.data` takes them.

    Returns
    -------
    data : reading.prepared.Prepared
    concepts : list of str
        Those that are left.
    fitted : DataFrame (basin; mean_<target>, std_<target>)
        Of the fitting period.
    counted : dict target -> array (basin,) of bool
        Where it counts: where it is observed; snow by its mean in the fitting period.

    InputError if nothing is left.
    """
    data = run.data(*spans[1], basins, concepts, **elsewhere)
    print(data.report)
    if len(data.basins) < 2:
        raise InputError("Probes need at least two basins: their penalty is chosen by leaving basins out.")
    fitted, counted, observed, reasons = judge(data, *spans)
    if len(reasons) == len(concepts):
        raise InputError(" ".join(reasons.values()))
    for words in reasons.values():
        note(f"{words} It is left out.")
    names = data.targets[1:]
    kept = [concept for concept, name in zip(concepts, names, strict=True) if name not in reasons]
    somewhere = np.any([observed[name] for name in names if name not in reasons], axis=0)
    left = [basin for basin, there in zip(data.basins, somewhere, strict=True) if there]
    if lacking := [basin for basin in data.basins if basin not in left]:
        note(f"Left out: {basin_count(len(lacking))} in which nothing to probe is observed, {some(lacking)}.")
    if reasons or lacking:
        data = run.data(*spans[1], left, kept, **elsewhere)
    return data, kept, fitted.loc[left], {name: counted[name][somewhere] for name in data.targets}


def judge(data, fit_span, span):
    """Which concepts can be probed where.

    Returns
    -------
    fitted, counted
        As `observed_part` returns them, of all targets and basins of `data`.
    observed : dict concept -> array (basin,) of bool
        Whether it is observed in either period.
    reasons : dict concept -> str
        Why a concept cannot be probed.
    """
    tables = {span: means_and_spreads(data, span) for span in (fit_span, span)}
    counted, observed, reasons = scored_basins(tables[fit_span], data), {}, {}
    for name in data.targets[1:]:
        there = {span: table[f"mean_{name}"].notna().to_numpy() for span, table in tables.items()}
        observed[name] = there[fit_span] | there[span]
        counted[name] &= observed[name]
        for days, known in there.items():
            words = f"from {' to '.join(days)}"
            if not known.any():
                reasons[name] = f"{name} is observed in no basin {words}."
            elif not (known & counted[name]).any():
                reasons[name] = f"No basin counts for {name} {words}: none has more than {SNOW_MM:g} mm of it."
        if there[fit_span].sum() == 1 and name not in reasons:
            words = f"{name} is observed in one from {' to '.join(fit_span)}"
            reasons[name] = f"Probes need at least two basins: {words}."
    return tables[fit_span], counted, observed, reasons


def means_and_spreads(data, span):
    """Mean and standard deviation of each target in a period, NaN where nothing is observed.

    From a prepared.Prepared to a DataFrame (basin; mean_<target>, std_<target>).
    """
    rows, dates = [], data.dates(*span)
    for b in range(len(data.basins)):
        series = pd.DataFrame(data.read([b], dates)[1][0].astype(np.float64), columns=data.targets)
        rows.append(pd.concat([series.mean().add_prefix("mean_"), series.std(ddof=0).add_prefix("std_")]))
    return pd.DataFrame(rows, index=data.basins)
