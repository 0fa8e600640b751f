"""readings.nc: what was observed and what each probe reads; what probes read from, and the scores of the file."""

import itertools

import numpy as np
import pandas as pd
import xarray as xr

from probing.probes import BASINS, JOINT, SEASON, SHIFTED, SPLITS, climatology, days_of_year, scores, shift_years
from running.simulation import SNOW_MM, simulate
from writing import netcdf

BASINS_AT_ONCE = 20  # whose weather is held in memory together


def lay_out_readings(file, data, readers, counted):
    """Lay out readings.nc (from `netcdf.create`): concepts as observed and as read, and their mean years."""
    netcdf.add_index(file, "split", list(SPLITS), "what the probe had not seen")
    netcdf.add_index(file, "reader", readers, "what is read, or the control")
    netcdf.add_index(file, "day_of_year", list(range(366)), "day of a leap year, from 0: 60 is 1 March")
    for name in data.targets[1:]:
        about, before = data.about[name], ["split", "reader"]
        netcdf.add_series(file, f"{name}_observed", about, f"{name}, observed")
        netcdf.add_series(file, f"{name}_reading", about, f"{name}, as read", before=before)
        year = {"units": about["units"], "long_name": f"mean {name} of the day of the year in the fitting period"}
        for what, dimensions in (("observed_season", ()), ("season", before)):
            netcdf.add_table(file, f"{name}_{what}", (*dimensions, "basin", "day_of_year"), np.nan, **year)
        words = f"1 where {name} counts: observed, and snow above {SNOW_MM:g} mm in the mean of the fitting period"
        netcdf.add_table(file, f"{name}_counted", ("basin",), counted[name], long_name=words)


def write_observed(file, data, fold, periods):
    """What was observed, its mean year in the first period, and the control that knows the date alone."""
    fit_dates, dates = (data.dates(*period) for period in periods)
    reader, names, years = list(file["reader"][:]).index(SEASON), data.targets[1:], []
    for position in range(len(data.basins)):
        for name, series in zip(names, data.read([position], dates)[1][0, :, 1:].T, strict=True):
            file[f"{name}_observed"][position] = series
        years.append(climatology(data.read([position], fit_dates)[1][..., 1:], days_of_year(fit_dates)))
    for name, own in zip(names, np.moveaxis(np.concatenate(years), 2, 0), strict=True):
        file[f"{name}_observed_season"][:] = own
        others = np.stack([pd.DataFrame(own[fold != k]).mean() for k in range(fold.max() + 1)])[fold]
        for s, season in enumerate((own, others)):
            file[f"{name}_reading"][s, reader] = season[:, days_of_year(dates)]
            file[f"{name}_season"][s, reader] = season


def states_of(model, data, label, period):
    """The cell states of a model as features, in batches of basins."""
    for part in simulate(model, data, period, states="c", label=label):
        yield part.rename(c="features", cell_state="feature")


def weather_of(model, data, windows, period):
    """What the model is given as features: forcing of the day, its trailing means, attributes; all normalised."""
    dates = data.dates(*period, spinup_days=max(windows, default=0))
    for first in range(0, len(data.basins), BASINS_AT_ONCE):
        position = np.arange(first, min(first + BASINS_AT_ONCE, len(data.basins)))
        forcing, observed = data.read(position, dates)
        inputs = {"forcing": forcing, "attributes": data.attributes.to_numpy(np.float32)[position]}
        normalised, attributes = map(np.array, model.normalise(inputs))  # a missing day is mean weather
        means = [trailing_means(normalised, window) for window in windows]
        attributes = np.repeat(attributes[:, None], len(dates), axis=1)
        series = {"features": (("basin", "date", "feature"), np.concatenate([normalised, *means, attributes], axis=2))}
        series["observed"] = ("basin", "date", "target"), observed
        series["complete"] = ("basin", "date"), np.isfinite(forcing).all(axis=2)
        part = xr.Dataset(series, {"position": ("basin", position), "date": dates, "target": data.targets})
        yield part.sel(date=slice(*period))


def trailing_means(forcing, window):
    """Means of the last days, the day itself among them, fewer where the record begins; forcing (basin, day, input)."""
    rolled = [pd.DataFrame(days).rolling(window, min_periods=1).mean() for days in forcing]
    return np.stack(rolled).astype(np.float32)


def concepts_of(readings):
    """The concepts of readings.nc (xarray.Dataset) and their units: dict."""
    names = [name.removesuffix("_observed") for name in readings if name.endswith("_observed")]
    return {name: readings[f"{name}_season"].attrs["units"] for name in names}


def score_readings(readings):
    """Tidy table of readings.nc (xarray.Dataset): split, concept, reader, basin, SCORES, gap (what a wrong level of the
    catchment costs), and the note of a basin that does not count."""
    tables, days = [], days_of_year(readings["date"].values)
    for split, name, reader in itertools.product(SPLITS, concepts_of(readings), readings["reader"].values):
        if (split, reader) == (BASINS, JOINT):  # it was trained on all basins
            continue
        chosen, observed = {"split": split, "reader": reader}, readings[f"{name}_observed"].values
        observed = shift_years(observed) if reader == SHIFTED else observed
        reading = readings[f"{name}_reading"].sel(chosen).values
        seasons = readings[f"{name}_observed_season"].values, readings[f"{name}_season"].sel(chosen).values
        table = scores(observed, reading, *(season[:, days] for season in seasons))
        table["gap"] = table["NSE anomaly"] - table["NSE"]
        about = {"split": split, "concept": name, "reader": reader, "basin": readings["basin"].values}
        note = np.where(readings[f"{name}_counted"] > 0, "", f"mean below {SNOW_MM:g} mm: not in the summary")
        tables.append(pd.concat([pd.DataFrame(about), table.assign(note=note)], axis=1))
    return pd.concat(tables, ignore_index=True)
