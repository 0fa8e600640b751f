"""Synthetic catchments whose soil water and snow are known exactly, written in the CAMELS-US and Caravan layouts.

A stochastic weather generator drives a small conceptual model (degree-day snow, four soil layers, one linear routing
store). Nothing here was observed; it stands in for real data in the examples and the tests.

    python -m reading.demo_data                                 # 30 catchments x 12 years in demo/camels, demo/caravan
    python -m reading.demo_data --root other --basins 60 --years 20 --seed 2
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
import xarray as xr
from scipy.signal import lfilter

from reading.attributes import climate_indices
from reading.text_files import CUBIC_MM_PER_CUBIC_FOOT, SECONDS_PER_DAY, SOIL_LAYER_MM
from writing.files import read_json, write_csv, write_json, write_text
from writing.messages import InputError, cli

START = "2001-10-01"
DEPTHS = np.array(list(SOIL_LAYER_MM.values()))
STORES = ("swe", "soil_water_1", "soil_water_2", "soil_water_3", "soil_water_4", "routing")
FLUXES = "rain snowfall melt infiltration surface_runoff interflow baseflow evapotranspiration discharge".split()

# HUC folders; no real gauge has an id that begins with 96 to 99.
CLIMATES = {"warm and wet": "96", "temperate": "97", "snow-dominated": "98", "semi-arid": "99"}
# Ranges from which each catchment is drawn: for each of the climates, and the same for all of them.
RANGES = {
    "gauge_lat": [(30, 34), (37, 41), (39, 44), (32, 36)],
    "gauge_lon": [(-90, -82), (-88, -74), (-115, -106), (-112, -99)],
    "elev_mean": [(40, 400), (50, 450), (1600, 2500), (600, 1500)],  # m
    "slope_mean": [(3, 30), (5, 60), (50, 150), (5, 70)],  # m/km
    "swing": [(8, 10), (11, 13), (10, 12), (9, 11)],  # degrees C between the annual mean and the warmest day
    "daily_range": [(10, 13), (9, 12), (12, 15), (14, 17)],  # degrees C
    "rain_year": [(1250, 1900), (800, 1250), (650, 1150), (320, 560)],  # mm
    "wet": [(0.32, 0.42), (0.32, 0.45), (0.3, 0.42), (0.14, 0.22)],  # share of days
    "season": [(-0.1, 0.3), (-0.1, 0.3), (0.1, 0.4), (0, 0.6)],  # how far rain swings over the year
    "peak": [(150, 220), (120, 200), (-30, 60), (170, 230)],  # day of the year with most rain
    "dry_air": [(0, 1), (0, 1), (1, 3), (3, 6)],  # degrees C of the dew point below the night's lowest temperature
    "frac_forest": [(0.35, 1), (0.1, 0.9), (0.2, 0.9), (0, 0.25)],
}
SOIL_AND_SIZE = {"area": (7.8, 9.3), "warmth": (-0.7, 0.7), "noise_t": (2.5, 3.5), "clay_frac": (5, 38), "sand": (0, 1)}
SOIL_AND_SIZE |= {"litter": (0, 1), "soil_depth_statsgo": (0.5, 1.5), "soil_depth_pelletier": (1, 30)}
SOIL_AND_SIZE |= {"geol_permeability": (-15.5, -12.0)}
LEAVES = {"grass": (0, 0.1), "gvf_fall": (0.15, 0.6), "lai_grass": (0, 0.5), "lai_fall": (0.3, 0.8)}
CLIMATE = "p_mean pet_mean p_seasonality frac_snow aridity high_prec_freq high_prec_dur low_prec_freq low_prec_dur"
CAMELS_FILES = {
    "topo": "gauge_lat gauge_lon elev_mean slope_mean area_gages2",
    "clim": CLIMATE,
    "vege": "frac_forest lai_max lai_diff gvf_max gvf_diff",
    "soil": "soil_depth_pelletier soil_depth_statsgo soil_porosity soil_conductivity max_water_content sand_frac "
    "silt_frac clay_frac organic_frac",
    "geol": "geol_permeability",
}
CARAVAN = {
    "prcp": "total_precipitation_sum",
    "tmean": "temperature_2m_mean",
    "tmin": "temperature_2m_min",
    "tmax": "temperature_2m_max",
    "net_solar": "surface_net_solar_radiation_mean",
    "pressure": "surface_pressure_mean",
    "pet": "potential_evaporation_sum",
    "swe": "snow_depth_water_equivalent_mean",
    **{f"theta_{layer}": f"volumetric_soil_water_layer_{layer}_mean" for layer in SOIL_LAYER_MM},
    "streamflow": "streamflow",
}


def catchments(basins: int = 30, seed: int = 1) -> pd.DataFrame:
    """Draw the catchments (index: basin id): CAMELS attributes, in their units, and the parameters they determine.

    Catchment number n is the same for any `basins`; climates take turns. Soil hydraulics after Cosby et al. (1984),
    doi:10.1029/WR020i006p00682.
    """
    number = np.arange(1, basins + 1)
    turn = (number - 1) % len(CLIMATES)
    ranges = RANGES | {name: [ends] * len(CLIMATES) for name, ends in (SOIL_AND_SIZE | LEAVES).items()}
    low, high = np.array(list(ranges.values()))[:, turn].T  # each (basin, name)
    drawn = np.array([np.random.default_rng([seed, n]).random(len(ranges)) for n in number])
    land = pd.DataFrame(low + (high - low) * drawn, columns=list(ranges)).assign(number=number)
    land["climate"], land["huc"] = (np.array(words)[turn] for words in zip(*CLIMATES.items(), strict=True))
    forest, slope, clay = land["frac_forest"], land["slope_mean"], land["clay_frac"]
    land["area_m2"] = (10 ** land["area"]).round()
    land["area_gages2"] = land["area_m2"] / 1e6
    land["temperature"] = 22.0 - 0.85 * (land["gauge_lat"] - 29.0) - 0.005 * land["elev_mean"] + land["warmth"]
    land["sand_frac"] = sand = 10 + (95 - clay - 10) * land["sand"]
    land["silt_frac"] = 100 - sand - clay
    land["organic_frac"] = 0.3 + 6.0 * forest * land["litter"] ** 2
    land["soil_porosity"] = porosity = 0.489 - 0.00126 * sand
    land["max_water_content"] = porosity * land["soil_depth_statsgo"]
    conductivity = sand.map(lambda percent: 0.0070556 * 10 ** (-0.884 + 0.0153 * percent) * 360)
    land["soil_conductivity"] = conductivity  # cm/h
    land["gvf_max"] = 0.35 + 0.55 * forest + land["grass"]
    land["gvf_diff"] = land["gvf_max"] * land["gvf_fall"]
    land["lai_max"] = 0.6 + 4.4 * forest + land["lai_grass"]
    land["lai_diff"] = land["lai_max"] * land["lai_fall"]
    suction, shape = 10 * 10 ** (1.88 - 0.0131 * sand), 2.91 + 0.159 * clay  # mm, at saturation
    land["field_capacity"] = porosity * (suction / 3365) ** (1 / shape)  # 33 kPa
    land["wilting"] = porosity * (suction / 152900) ** (1 / shape)  # 1500 kPa
    land["degree_day"] = 4.0 - 1.5 * forest  # mm/day per degree: trees shade the snow
    land["crop_factor"] = 0.95 + 0.25 * forest
    land["beta"] = 1.0 + 0.6 * conductivity**0.4 - 0.003 * slope
    land["infiltration_capacity"] = 36.0 * conductivity  # mm/day
    land["interflow_rate"] = (0.02 + 0.0008 * slope) / land["soil_depth_statsgo"]  # 1/day
    land["baseflow_rate"] = 0.025 * 10 ** (0.15 * (land["geol_permeability"] + 14.0))  # 1/day
    land["residence"] = 0.6 + 0.5 * (land["area_m2"] / 1e8) ** 0.4 + 0.5 * np.exp(-slope / 20)  # days
    return land.set_axis((land["huc"] + land["number"].astype(str).str.zfill(6)).rename("basin"))


def weather(land: pd.DataFrame, dates: pd.DatetimeIndex, seed: int = 1) -> dict[str, np.ndarray]:
    """Daily weather (day, basin) of `land` (`catchments`), rounded to the files' digits.

    prcp mm/day; tmin, tmax, tmean degrees C; srad W/m2, mean of the daylight hours; dayl s; vp Pa; pressure kPa; solar
    W/m2, mean of 24 hours; pet mm/day (Makkink, doi:10.5194/hess-17-1331-2013); cover: share of ground under leaves.
    """
    days, draws = len(dates), []
    for number in land["number"]:
        streams = np.random.default_rng([seed, number, 1]).spawn(8)
        chance, amount = streams[0].random(days), streams[1].standard_gamma(0.8, days)
        draws.append([chance, amount, *(stream.standard_normal(days) for stream in streams[2:])])
    chance, amount, noise_t, noise_range, noise_sky, noise_pressure, warm_spell, wet_spell = np.moveaxis(draws, 0, 2)
    p = {name: column.to_numpy() for name, column in land.items()}
    day_of_year = dates.day_of_year.to_numpy()[:, None]

    def season(peak):
        return np.cos(2 * np.pi * (day_of_year - peak) / 365.25)

    def wandering(memory, share, noise):
        """AR(1) from zero on the first day: `x[t] = memory x[t - 1] + share noise[t]`."""
        noise[0] = 0
        return lfilter([share], [1, -memory], noise, axis=0)

    # Wet and dry days follow each other as a Markov chain. Months and years differ by anomalies of 100 days' memory.
    monsoon = 1 + p["season"] * season(p["peak"])
    wet_chance = p["wet"] * monsoon**0.5
    wet = np.zeros((days, len(land)), bool)
    for t in range(1, days):
        wet[t] = chance[t] < np.where(wet[t - 1], 0.3, 0.0) + 0.7 * wet_chance[t]
    slow = 0.99, (1 - 0.99**2) ** 0.5
    depth = p["rain_year"] / 365.25 / p["wet"] * monsoon**0.5 * np.exp(0.3 * wandering(*slow, wet_spell) - 0.045)
    prcp = np.where(wet, depth * amount / 0.8, 0.0).round(2)

    drift, warmth = wandering(0.75, (1 - 0.75**2) ** 0.5, noise_t), wandering(*slow, warm_spell)
    spread = p["daily_range"] * np.where(wet, 0.65, 1.05) * np.exp(0.2 * noise_range)
    tmean = p["temperature"] - p["swing"] * season(20) + p["noise_t"] * drift + warmth
    tmean += np.where(wet, 0.5, -0.2) * season(20)
    tmin, tmax = (tmean - spread / 2).round(2), (tmean + spread / 2).round(2)
    vp = _saturation(tmin - p["dry_air"] * (0.6 + 0.4 * ~wet)).round(2)

    # Sun: FAO-56 (Allen et al. 1998) extraterrestrial radiation, thinned by the sky.
    lat, tilt = np.radians(p["gauge_lat"]), 0.409 * np.sin(2 * np.pi * day_of_year / 365.25 - 1.39)
    sunset = np.arccos(-np.tan(lat) * np.tan(tilt))
    height = sunset * np.sin(lat) * np.sin(tilt) + np.cos(lat) * np.cos(tilt) * np.sin(sunset)
    top = 1367 / np.pi * (1 + 0.033 * season(0)) * height
    clear = np.where(wet, (0.40 + 0.10 * noise_sky).clip(0.12, 0.65), (0.67 + 0.05 * noise_sky).clip(0.40, 0.78))
    dayl = (SECONDS_PER_DAY * sunset / np.pi).round(2)
    srad = (top * clear * SECONDS_PER_DAY / dayl).round(2)
    solar = srad * dayl / SECONDS_PER_DAY

    pressure = 101.3 * ((293 - 0.0065 * p["elev_mean"]) / 293) ** 5.26 + wandering(0.8, 0.3, noise_pressure)
    pressure, tmean = pressure.round(2), (tmin + tmax) / 2
    slope = 4098 * _saturation(tmean) / 1000 / (tmean + 237.3) ** 2
    pet = 0.65 * slope / (slope + 0.000665 * pressure) * solar * 0.0864 / 2.45
    cover = p["gvf_max"] - p["gvf_diff"] * ((1 + season(20)) / 2)
    series = dict(prcp=prcp, tmin=tmin, tmax=tmax, tmean=tmean, srad=srad, dayl=dayl, vp=vp)
    return series | dict(pressure=pressure, solar=solar, pet=pet, cover=cover)


def _saturation(temperature):
    """Saturation vapour pressure in Pa (FAO-56 eq. 11)."""
    return 610.8 * np.exp(17.27 * temperature / (temperature + 237.3))


def water(land, prcp, tmean, pet, cover) -> dict[str, np.ndarray]:
    """The conceptual model: snow, four soil layers and a routing store, all basins at once, one day after the other.

    Snow falls below 0 degrees, in part up to 2; it melts by degree-days. The share `wetness**beta` of rain and melt
    runs off, as does what exceeds the infiltration capacity; the rest fills the layers from above. Layer 3 feeds
    interflow, layer 4 base flow. Gives `FLUXES` in mm/day and `STORES` in mm at the day's end, (day, basin).
    """
    days, basins = prcp.shape
    p = {name: column.to_numpy() for name, column in land.items()}
    dry, full = DEPTHS[:, None] * p["wilting"], DEPTHS[:, None] * p["soil_porosity"]
    room = full - dry
    top_share = room[:3] / room[:3].sum(0)
    # Roots thin out exponentially and end where the soil ends.
    edges = np.minimum(np.concatenate([[0.0], DEPTHS.cumsum()])[:, None] / 1000, p["soil_depth_statsgo"])
    roots = -np.diff(np.exp(-edges / (0.2 + 0.4 * p["frac_forest"])), axis=0)
    roots /= roots.sum(0)
    rate = np.array([0.8, 0.6, 0.2])[:, None] * ((p["soil_conductivity"] / 1.5) ** 0.25).clip(0.5, 1.2)
    suction = np.array([1.5, 1.2, 0.5])  # mm/day per unit difference of relative wetness
    release = 1 - np.exp(-1 / p["residence"])

    swe, routing = np.zeros((2, basins))
    soil = dry + room * np.array([0.4, 0.4, 0.4, 0.35])[:, None]
    out = np.empty((days, len(FLUXES) + len(STORES), basins))
    for t in range(days):
        snowfall = prcp[t] * ((2.0 - tmean[t]) / 2.0).clip(0, 1)
        rain = prcp[t] - snowfall
        melt = np.minimum(swe + snowfall, p["degree_day"] * tmean[t].clip(0))
        swe = swe + snowfall - melt

        wetness = ((soil[:3] - dry[:3]) / room[:3] * top_share).sum(0).clip(0, 1)
        arriving = rain + melt
        left = entering = np.minimum(arriving * (1 - wetness ** p["beta"]), p["infiltration_capacity"])
        for i in range(4):
            taken = np.minimum(left, full[i] - soil[i])
            soil[i] += taken
            left = left - taken
        infiltration = entering - left
        surface_runoff = arriving - infiltration

        available = soil - dry
        relative = available / room
        demand = p["crop_factor"] * pet[t]
        loss = demand * cover[t] * roots * (relative / 0.45).clip(0, 1)
        loss[0] += demand * (1 - cover[t]) * (relative[0] / 0.6).clip(0, 1) * (swe < 1)
        loss = np.minimum(loss, available)
        soil -= loss

        for i in range(3):
            above, below = soil[i] - dry[i], soil[i + 1] - dry[i + 1]
            wet_above = above / room[i]
            down = rate[i] * above * wet_above**3 + suction[i] * (wet_above - below / room[i + 1])
            down = np.minimum(np.minimum(down, above), room[i + 1] - below)
            down = np.maximum(np.maximum(down, -below), above - room[i])
            soil[i] -= down
            soil[i + 1] += down
        interflow = p["interflow_rate"].clip(0, 0.5) * (soil[2] - DEPTHS[2] * p["field_capacity"]).clip(0)
        soil[2] -= interflow
        deep = soil[3] - dry[3]
        baseflow = p["baseflow_rate"] * deep * (deep / room[3]) ** 2
        soil[3] -= baseflow

        routing = routing + surface_runoff + interflow + baseflow
        discharge = routing * release
        routing = routing - discharge
        fluxes = (rain, snowfall, melt, infiltration, surface_runoff, interflow, baseflow, loss.sum(0), discharge)
        out[t] = (*fluxes, swe, *soil, routing)
    return {name: out[:, i] for i, name in enumerate((*FLUXES, *STORES))}


def synthetic_catchments(basins: int = 30, years: int = 12, seed: int = 1) -> xr.Dataset:
    """Weather, fluxes and stores of 1 to 9999 catchments over 1 to 200 years from `START`.

    Dataset (basin, date): the series of `weather` and `water`, and `streamflow`: the discharge with 5 % measurement
    noise, rounded to 1e-6 mm/day, NaN on missing days. (basin,): what `catchments` draws.
    """
    if not (1 <= basins <= 9999 and 1 <= years <= 200 and seed >= 0):
        raise InputError(f"Give 1 to 9999 basins, 1 to 200 years and a seed from 0 on, not {basins}, {years}, {seed}.")
    first, land = pd.Timestamp(START), catchments(basins, seed)
    # Eight years before are simulated and dropped, so that the deep layer has forgotten its initial water.
    ends = first - pd.DateOffset(years=8), first + pd.DateOffset(years=years)
    dates = pd.date_range(*ends, inclusive="left")
    series = weather(land, dates, seed)
    series |= water(land, *(series[name] for name in ("prcp", "tmean", "pet", "cover")))
    series = {name: values[dates >= first].T for name, values in series.items()}
    series["streamflow"] = measured = series["discharge"].copy()
    for row, number in enumerate(land["number"]):  # 5 % noise, and gaps of days to weeks in most records
        rng, days = np.random.default_rng([seed, number, 2]), measured.shape[1]
        measured[row] = (measured[row] * np.exp(0.05 * rng.standard_normal(days))).round(6)
        for _ in range(rng.poisson(days / 1800) + (number == 1)):
            begin = rng.integers(days)
            measured[row, begin : begin + 1 + int(rng.exponential(15))] = np.nan
    ds = land.to_xarray().assign_coords(date=dates[dates >= first])
    return ds.assign({name: (("basin", "date"), values) for name, values in series.items()})


def attributes(ds: xr.Dataset) -> pd.DataFrame:
    """The columns of `CAMELS_FILES`, sorted by basin id; the climate is that of the whole record."""
    series = zip(*(ds[name].values for name in ("prcp", "tmean", "pet")), strict=True)
    climate = [climate_indices(prcp, tmean, ds.indexes["date"], pet) for prcp, tmean, pet in series]
    table = ds.drop_dims("date").to_dataframe().rename_axis("gauge_id")
    table = table.join(pd.DataFrame(climate, index=table.index)).sort_index()
    return table[" ".join(CAMELS_FILES.values()).split()]


def _write_attributes(root: Path, table: pd.DataFrame) -> None:
    """The attribute files of CAMELS-US and of Caravan."""
    for name, columns in CAMELS_FILES.items():
        write_csv(root / f"camels/camels_attributes_v2.0/camels_{name}.txt", table[columns.split()], sep=";")
    table = table.set_axis("camels_" + table.index, axis=0).rename_axis("gauge_id")
    climate = table[CLIMATE.split()].drop(columns="p_seasonality")
    climate[["high_prec_freq", "low_prec_freq"]] /= 365.25  # shares of days there
    other = table[["gauge_lat", "gauge_lon", "area_gages2"]].rename(columns={"area_gages2": "area"})
    for name, part in (("caravan", climate), ("other", other)):
        write_csv(root / f"caravan/attributes/camels/attributes_{name}_camels.csv", part)


def _write_basin(root: Path, basin: str, series: xr.Dataset, huc: str) -> None:
    """Forcing and streamflow as CAMELS-US has them, and the Caravan table, of one basin."""
    table, area_m2 = series.drop_vars("basin").to_dataframe(), float(series["area_m2"])
    days = table.index.strftime("%Y %m %d ")
    text = f"{float(series['gauge_lat']):7.2f}\n{float(series['elev_mean']):7.2f}\n{area_m2:.0f}\n"
    text += "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)\n"
    forcing = table.assign(day=days + "12", snow=0.0)["day dayl prcp srad snow tmax tmin vp".split()]
    text += forcing.to_csv(sep="\t", float_format="%.2f", header=False, index=False, lineterminator="\n")
    write_text(root / f"camels/basin_mean_forcing/daymet/{huc}/{basin}_lump_cida_forcing_leap.txt", text)

    flow = table["streamflow"] * area_m2 * 1e6 / CUBIC_MM_PER_CUBIC_FOOT / SECONDS_PER_DAY
    words = flow.map("{:9.6f} ".format) + np.where(table["tmean"] < -8, "A:e", "A")  # A:e: estimated, under ice
    lines = f"{basin} " + days + words.where(flow.notna(), "  -999.00 M") + "\n"
    write_text(root / f"camels/usgs_streamflow/{huc}/{basin}_streamflow_qc.txt", "".join(lines))

    table["net_solar"] = table["solar"] * (1 - np.where(table["swe"] > 1, 0.55, 0.18))  # albedo of snow and of ground
    for layer, depth in SOIL_LAYER_MM.items():
        table[f"theta_{layer}"] = table[f"soil_water_{layer}"] / depth
    digits = {"net_solar": 2, "pet": 4, "swe": 4} | {f"theta_{layer}": 6 for layer in SOIL_LAYER_MM}
    table = table[list(CARAVAN)].round(digits).rename(columns=CARAVAN)
    write_csv(root / f"caravan/timeseries/csv/camels/camels_{basin}.csv", table, float_format="%.10g")


README = """These data are SYNTHETIC. No river, gauge or weather station is behind them.

A stochastic weather generator drives a conceptual model (degree-day snow, four soil layers, one linear routing store),
so that soil water and snow are known exactly; streamflow carries 5 % measurement noise and has gaps. camels/ has the
layout of CAMELS-US, caravan/ that of Caravan; the ids belong to no real gauge. To make the data again:
python -m reading.demo_data --seed {seed} --basins {basins} --years {years}
"""


def make_demo(root: str | Path = "demo", basins: int = 30, years: int = 12, seed: int = 1) -> Path:
    """Make synthetic catchments in the CAMELS-US and Caravan layouts, or find them already there.

    Returns `root`, whose folders `camels` and `caravan` the readers take; InputError if it holds something else.

    Parameters
    ----------
    root : path, default "demo"
        New or empty folder, complete or absent afterwards; one that holds a demo of these settings is left as it is.
    basins : int, default 30
        Number of catchments; warm and wet, temperate, snow-dominated and semi-arid ones take turns.
    years : int, default 12
        Whole years from 2001-10-01.
    seed : int, default 1
        Same seed, same files.
    """
    root, place = Path(root), Path(root).resolve()
    settings = {"synthetic": True, "format": 2, "basins": basins, "years": years, "seed": seed, "start": START}
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        if not (root / "demo.json").is_file() or read_json(root / "demo.json") != settings:
            raise InputError(f"{root} holds no demo of these settings; name a new folder, or remove this one.")
        return root
    ds = synthetic_catchments(basins, years, seed)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished_", dir=place.parent) as temporary:
        made = Path(temporary) / "demo"
        for number, (basin, huc) in enumerate(zip(ds["basin"].values, ds["huc"].values, strict=True), start=1):
            # As in CAMELS, a basin can lie in the folder of another HUC: the second one lies in the first's.
            _write_basin(made, basin, ds.sel(basin=basin), "96" if number == 2 else huc)
        _write_attributes(made, attributes(ds))
        write_text(made / "README.txt", README.format(**settings))
        write_json(made / "demo.json", settings)
        try:
            if place.is_dir():  # and empty
                place.rmdir()
            made.rename(place)
        except OSError:
            if not (root / "demo.json").is_file():  # made meanwhile by another process
                raise
    return root


def main() -> None:
    """Command line of `make_demo`."""
    root = tyro.cli(make_demo, description=__doc__)
    print(f"Synthetic catchments are in {root}: {root / 'camels'} and {root / 'caravan'}.")


if __name__ == "__main__":
    cli(main)
