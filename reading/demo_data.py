"""Synthetic catchments whose soil water and snow are known exactly, written in the CAMELS-US and Caravan layouts.

A stochastic weather generator drives a small conceptual model (degree-day snow, four soil layers, one linear routing
store). Nothing here was observed; it stands in for real data in the examples and the tests.

    python demo_data.py                          # 30 catchments x 12 years under demo/
    python demo_data.py --root other --basins 60 --years 20 --seed 2

    demo/camels/                                 # CAMELS-US: forcing (daymet), streamflow, attributes
    demo/caravan/                                # Caravan: the same catchments with snow and four soil layers
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from reading.attributes import climate_indices
from writing.files import InputError, cli, read_json, write_csv, write_json, write_text

START = "2001-10-01"
SPINUP_YEARS = 8  # simulated before START and dropped, so that the deep layer has forgotten its initial water
FORMAT = 2
DEPTHS = np.array([70.0, 210.0, 720.0, 1890.0])  # mm: 0-7, 7-28, 28-100, 100-289 cm, ERA5-Land's four layers
CFS = 28316846.592  # mm3 in one cubic foot
STORES = ("swe", "soil_water_1", "soil_water_2", "soil_water_3", "soil_water_4", "routing")
FLUXES = "rain snowfall melt infiltration surface_runoff interflow baseflow evapotranspiration discharge".split()

# Ranges (low, high) from which each catchment is drawn. No real gauge has a number that begins with 96 to 99.
CLIMATES = {
    "warm and wet": dict(
        huc="96", lat=(30, 34), lon=(-90, -82), elev=(40, 400), slope=(3, 30),
        swing=(8, 10), daily_range=(10, 13), rain_year=(1250, 1900), wet=(0.32, 0.42), season=(-0.1, 0.3),
        peak=(150, 220), dry_air=(0, 1), forest=(0.35, 1),
    ),
    "temperate": dict(
        huc="97", lat=(37, 41), lon=(-88, -74), elev=(50, 450), slope=(5, 60),
        swing=(11, 13), daily_range=(9, 12), rain_year=(800, 1250), wet=(0.32, 0.45), season=(-0.1, 0.3),
        peak=(120, 200), dry_air=(0, 1), forest=(0.1, 0.9),
    ),
    "snow-dominated": dict(
        huc="98", lat=(39, 44), lon=(-115, -106), elev=(1600, 2500), slope=(50, 150),
        swing=(10, 12), daily_range=(12, 15), rain_year=(650, 1150), wet=(0.3, 0.42), season=(0.1, 0.4),
        peak=(-30, 60), dry_air=(1, 3), forest=(0.2, 0.9),
    ),
    "semi-arid": dict(
        huc="99", lat=(32, 36), lon=(-112, -99), elev=(600, 1500), slope=(5, 70),
        swing=(9, 11), daily_range=(14, 17), rain_year=(320, 560), wet=(0.14, 0.22), season=(0, 0.6),
        peak=(170, 230), dry_air=(3, 6), forest=(0, 0.25),
    ),
}  # fmt: skip


def catchments(basins: int = 30, seed: int = 1) -> pd.DataFrame:
    """Draw the catchments: place, climate, soil, vegetation and the model parameters that follow from them.

    Catchment number n is the same for any `basins` (each has its own random stream). Climates take turns.

    Returns
    -------
    pandas.DataFrame
        Index: basin id (text of 8 digits). Soil hydraulics from sand and clay after Cosby et al. (1984),
        doi:10.1029/WR020i006p00682. `temperature` (annual mean, degrees C) falls with latitude and elevation.
    """
    rows = {}
    for number in range(1, basins + 1):
        name, climate = list(CLIMATES.items())[(number - 1) % len(CLIMATES)]
        draw = np.random.default_rng([seed, number]).uniform
        row = {key: draw(*bounds) for key, bounds in climate.items() if key != "huc"}
        row |= {"climate": name, "number": number, "huc": climate["huc"]}
        row["area_m2"] = float(round(10 ** draw(7.8, 9.3)))
        row["temperature"] = 22.0 - 0.85 * (row["lat"] - 29.0) - 0.005 * row["elev"] + draw(-0.7, 0.7)
        row["noise_t"] = draw(2.5, 3.5)

        row["clay"] = draw(5, 38)
        row["sand"] = draw(10, 95 - row["clay"])
        row["organic"] = 0.3 + 6.0 * row["forest"] * draw(0, 1) ** 2
        row["depth_soil"] = draw(0.5, 1.5)  # m
        row["depth_bedrock"] = draw(1, 30)  # m
        row["permeability"] = draw(-15.5, -12.0)  # log10 m2
        row["porosity"] = 0.489 - 0.00126 * row["sand"]
        suction = 10 * 10 ** (1.88 - 0.0131 * row["sand"])  # mm, at saturation
        shape = 2.91 + 0.159 * row["clay"]
        row["field_capacity"] = row["porosity"] * (suction / 3365) ** (1 / shape)  # 33 kPa
        row["wilting"] = row["porosity"] * (suction / 152900) ** (1 / shape)  # 1500 kPa
        row["conductivity"] = 0.0070556 * 10 ** (-0.884 + 0.0153 * row["sand"]) * 360  # cm/h

        row["gvf_max"] = 0.35 + 0.55 * row["forest"] + draw(0, 0.1)
        row["gvf_diff"] = row["gvf_max"] * draw(0.15, 0.6)
        row["lai_max"] = 0.6 + 4.4 * row["forest"] + draw(0, 0.5)
        row["lai_diff"] = row["lai_max"] * draw(0.3, 0.8)

        row["degree_day"] = 4.0 - 1.5 * row["forest"]  # mm/day per degree: trees shade the snow
        row["crop_factor"] = 0.95 + 0.25 * row["forest"]
        row["beta"] = 1.0 + 0.6 * row["conductivity"] ** 0.4 - 0.003 * row["slope"]
        row["infiltration_capacity"] = 36.0 * row["conductivity"]  # mm/day
        row["interflow_rate"] = (0.02 + 0.0008 * row["slope"]) / row["depth_soil"]  # 1/day
        row["baseflow_rate"] = 0.025 * 10 ** (0.15 * (row["permeability"] + 14.0))  # 1/day
        row["residence"] = 0.6 + 0.5 * (row["area_m2"] / 1e8) ** 0.4 + 0.5 * np.exp(-row["slope"] / 20)  # days
        rows[f"{climate['huc']}{number:06d}"] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("basin")


def weather(land: pd.DataFrame, dates: pd.DatetimeIndex, seed: int = 1) -> dict[str, np.ndarray]:
    """Daily weather of `land` (`catchments`), rounded to the files' digits: the model sees what a reader reads.

    Returns
    -------
    dict of numpy.ndarray, each (day, basin)
        prcp mm/day; tmin, tmax degrees C; srad W/m2, mean of the daylight hours; dayl s; vp Pa; pressure kPa;
        solar W/m2, mean of 24 hours; pet mm/day: Makkink's formula, doi:10.5194/hess-17-1331-2013.
    """
    days = len(dates)
    draws = []
    for number in land["number"]:
        streams = np.random.default_rng([seed, number, 1]).spawn(8)
        normal = [stream.standard_normal(days) for stream in streams[2:]]
        draws.append([streams[0].random(days), streams[1].standard_gamma(0.8, days), *normal])
    draws = np.moveaxis(np.array(draws), 0, 2)
    chance, amount, noise_t, noise_range, noise_sky, noise_pressure, warm_spell, wet_spell = draws
    p = _numbers(land)
    day_of_year = dates.day_of_year.to_numpy()[:, None]

    def season(peak):
        return np.cos(2 * np.pi * (day_of_year - peak) / 365.25)

    # Wet and dry days follow each other as a Markov chain; temperature and pressure wander as AR(1).
    monsoon = 1 + p["season"] * season(p["peak"])
    wet_chance = p["wet"] * monsoon**0.5
    wet = np.zeros((days, len(land)), bool)
    drift, pressure, warmth, wetness = np.zeros((4, days, len(land)))
    for t in range(1, days):
        wet[t] = chance[t] < np.where(wet[t - 1], 0.3, 0.0) + 0.7 * wet_chance[t]
        drift[t] = 0.75 * drift[t - 1] + (1 - 0.75**2) ** 0.5 * noise_t[t]
        # Months and years differ: slow anomalies with a memory of 100 days.
        warmth[t] = 0.99 * warmth[t - 1] + (1 - 0.99**2) ** 0.5 * warm_spell[t]
        wetness[t] = 0.99 * wetness[t - 1] + (1 - 0.99**2) ** 0.5 * wet_spell[t]
        pressure[t] = 0.8 * pressure[t - 1] + 0.3 * noise_pressure[t]
    depth = p["rain_year"] / 365.25 / p["wet"] * monsoon**0.5 * np.exp(0.3 * wetness - 0.045)
    prcp = np.where(wet, depth * amount / 0.8, 0.0).round(2)

    spread = p["daily_range"] * np.where(wet, 0.65, 1.05) * np.exp(0.2 * noise_range)
    tmean = p["temperature"] - p["swing"] * season(20) + p["noise_t"] * drift + warmth
    tmean += np.where(wet, 0.5, -0.2) * season(20)
    tmin, tmax = (tmean - spread / 2).round(2), (tmean + spread / 2).round(2)
    vp = _saturation(tmin - p["dry_air"] * (0.6 + 0.4 * ~wet)).round(2)

    # Sun: FAO-56 (Allen et al. 1998) extraterrestrial radiation, thinned by the sky.
    lat = np.radians(p["lat"])
    tilt = 0.409 * np.sin(2 * np.pi * day_of_year / 365.25 - 1.39)
    sunset = np.arccos(-np.tan(lat) * np.tan(tilt))
    distance = 1 + 0.033 * season(0)
    top = 1367 / np.pi * distance * (sunset * np.sin(lat) * np.sin(tilt) + np.cos(lat) * np.cos(tilt) * np.sin(sunset))
    clear = np.where(wet, (0.40 + 0.10 * noise_sky).clip(0.12, 0.65), (0.67 + 0.05 * noise_sky).clip(0.40, 0.78))
    dayl = (86400 * sunset / np.pi).round(2)
    srad = (top * clear * 86400 / dayl).round(2)
    solar = srad * dayl / 86400

    pressure = (101.3 * ((293 - 0.0065 * p["elev"]) / 293) ** 5.26 + pressure).round(2)
    tmean = (tmin + tmax) / 2
    slope = 4098 * _saturation(tmean) / 1000 / (tmean + 237.3) ** 2
    pet = 0.65 * slope / (slope + 0.000665 * pressure) * solar * 0.0864 / 2.45
    return dict(prcp=prcp, tmin=tmin, tmax=tmax, srad=srad, vp=vp, dayl=dayl, pressure=pressure, solar=solar, pet=pet)


def _numbers(land: pd.DataFrame) -> dict[str, np.ndarray]:
    return {key: land[key].to_numpy(float) for key in land.columns.drop(["climate", "huc"])}


def _saturation(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure in Pa (FAO-56 eq. 11)."""
    return 610.8 * np.exp(17.27 * temperature / (temperature + 237.3))


def water(land, prcp, tmean, pet, cover) -> dict[str, np.ndarray]:
    """The conceptual model: snow, four soil layers and a routing store, all basins at once, one day after the other.

    Snow falls wholly below 0 degrees and not at all above 2; it melts by degree-days. The share `wetness**beta` of
    rain and melt runs off, as does what exceeds the infiltration capacity; the rest fills the layers from above.
    Soil evaporation draws on layer 1, transpiration on the roots of all layers. Water moves between layers by
    percolation (rate x storage x relative wetness cubed) and by a suction that evens out relative wetness; layer 3
    feeds interflow, layer 4 base flow. Runoff passes one linear store.

    Parameters
    ----------
    land : pandas.DataFrame
        From `catchments`.
    prcp, tmean, pet, cover : numpy.ndarray (day, basin)
        mm/day, degrees C, mm/day, share of ground under green leaves.

    Returns
    -------
    dict of numpy.ndarray, each (day, basin)
        Fluxes in mm/day: `FLUXES`. Stores in mm at the end of the day: `STORES`. `storage_before`: their sum in mm at
        the day's beginning.
    """
    days, basins = prcp.shape
    p = _numbers(land)
    dry, full = DEPTHS[:, None] * p["wilting"], DEPTHS[:, None] * p["porosity"]
    drained = DEPTHS[2] * p["field_capacity"]
    room = full - dry
    top_share = room[:3] / room[:3].sum(0)
    # Roots thin out exponentially and end where the soil ends.
    edges = np.minimum(np.concatenate([[0.0], DEPTHS.cumsum()])[:, None] / 1000, p["depth_soil"])
    roots = -np.diff(np.exp(-edges / (0.2 + 0.4 * p["forest"])), axis=0)
    roots /= roots.sum(0)
    ease = (p["conductivity"] / 1.5) ** 0.25
    rate = np.array([0.8, 0.6, 0.2])[:, None] * ease.clip(0.5, 1.2)
    suction = np.array([1.5, 1.2, 0.5])  # mm/day per unit difference of relative wetness
    release = 1 - np.exp(-1 / p["residence"])

    swe, routing = np.zeros((2, basins))
    soil = dry + room * np.array([0.4, 0.4, 0.4, 0.35])[:, None]
    names = (*FLUXES, *STORES, "storage_before")
    out = np.empty((days, len(names), basins))
    for t in range(days):
        before = swe + soil.sum(0) + routing
        snowfall = prcp[t] * ((2.0 - tmean[t]) / 2.0).clip(0, 1)
        rain = prcp[t] - snowfall
        melt = np.minimum(swe + snowfall, p["degree_day"] * tmean[t].clip(0))
        swe = swe + snowfall - melt

        wetness = ((soil[:3] - dry[:3]) / room[:3] * top_share).sum(0).clip(0, 1)
        arriving = rain + melt
        entering = np.minimum(arriving * (1 - wetness ** p["beta"]), p["infiltration_capacity"])
        left = entering
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
        interflow = p["interflow_rate"].clip(0, 0.5) * (soil[2] - drained).clip(0)
        soil[2] -= interflow
        deep = soil[3] - dry[3]
        baseflow = p["baseflow_rate"] * deep * (deep / room[3]) ** 2
        soil[3] -= baseflow

        routing = routing + surface_runoff + interflow + baseflow
        discharge = routing * release
        routing = routing - discharge
        fluxes = (rain, snowfall, melt, infiltration, surface_runoff, interflow, baseflow, loss.sum(0), discharge)
        out[t] = (*fluxes, swe, *soil, routing, before)
    return {name: out[:, i] for i, name in enumerate(names)}


def simulate(basins: int = 30, years: int = 12, seed: int = 1) -> xr.Dataset:
    """Weather, fluxes and stores of the synthetic catchments.

    Parameters
    ----------
    basins, years, seed : int
        1 to 9999 catchments, of which the first n are the same for any number; 1 to 200 whole years from `START`.

    Returns
    -------
    xarray.Dataset
        (basin, date), float64: the series of `weather`, `tmean` (degrees C), the fluxes and stores of `water`, and
        `streamflow`: the discharge with 5 % measurement noise, rounded to 1e-6 mm/day, NaN on missing days.
        Variables (basin,): everything that `catchments` draws.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    for name, value, low, high in (("basins", basins, 1, 9999), ("years", years, 1, 200), ("seed", seed, 0, 2**63)):
        if not low <= value <= high:
            raise InputError(f"The option {name} is {value}; give a whole number from {low} to {high}.")
    first = pd.Timestamp(START)
    begin, end = first - pd.DateOffset(years=SPINUP_YEARS), first + pd.DateOffset(years=years)
    dates = pd.date_range(begin, end, inclusive="left")
    land = catchments(basins, seed)
    series = weather(land, dates, seed)
    series["tmean"] = (series["tmin"] + series["tmax"]) / 2
    winter = (1 + np.cos(2 * np.pi * (dates.day_of_year.to_numpy()[:, None] - 20) / 365.25)) / 2
    series["cover"] = land["gvf_max"].to_numpy() - land["gvf_diff"].to_numpy() * winter
    series |= water(land, series["prcp"], series["tmean"], series["pet"], series["cover"])
    kept = dates >= first
    dates = dates[kept]
    series = {name: values[kept].T for name, values in series.items()}
    series["streamflow"] = _gauge(land, series["discharge"], seed)

    ds = xr.Dataset(
        {name: (("basin", "date"), values) for name, values in series.items()},
        coords={"basin": land.index.to_numpy(str), "date": dates},
        attrs={"title": "Synthetic catchments", "seed": seed},
    )
    return ds.assign({key: ("basin", np.array(land[key].tolist())) for key in land})


def _gauge(land: pd.DataFrame, discharge: np.ndarray, seed: int) -> np.ndarray:
    """Measured streamflow (basin, day): 5 % noise, and gaps of days to weeks in most records."""
    measured = np.empty_like(discharge)
    days = discharge.shape[1]
    for row, number in enumerate(land["number"]):
        rng = np.random.default_rng([seed, number, 2])
        measured[row] = (discharge[row] * np.exp(0.05 * rng.standard_normal(days))).round(6)
        for _ in range(rng.poisson(days / 1800) + (number == 1)):
            begin = rng.integers(days)
            measured[row, begin : begin + 1 + int(rng.exponential(15))] = np.nan
    return measured


CLIMATE = "p_mean pet_mean p_seasonality frac_snow aridity".split()
CLIMATE += "high_prec_freq high_prec_dur low_prec_freq low_prec_dur".split()
# The columns that are read of each CAMELS file, and their names in `simulate`.
CAMELS_FILES = {
    "topo": dict(gauge_lat="lat", gauge_lon="lon", elev_mean="elev", slope_mean="slope", area_gages2="area_km2"),
    "clim": {name: name for name in CLIMATE},
    "vege": dict(frac_forest="forest", lai_max="lai_max", lai_diff="lai_diff", gvf_max="gvf_max", gvf_diff="gvf_diff"),
    "soil": dict(
        soil_depth_pelletier="depth_bedrock", soil_depth_statsgo="depth_soil", soil_porosity="porosity",
        soil_conductivity="conductivity", max_water_content="capacity", sand_frac="sand", silt_frac="silt",
        clay_frac="clay", organic_frac="organic",
    ),
    "geol": dict(geol_permeability="permeability"),
}  # fmt: skip


def attributes(ds: xr.Dataset) -> pd.DataFrame:
    """Catchment attributes of `simulate`'s catchments, in the names and units of CAMELS.

    Returns
    -------
    pandas.DataFrame
        Index gauge_id, sorted: basin id. Columns: those of `CAMELS_FILES`; the climate is that of the whole record.
    """
    land = ds[[key for key in ds.data_vars if ds[key].dims == ("basin",)]].to_dataframe().rename_axis("gauge_id")
    series = [ds[key].values for key in ("prcp", "tmean", "pet")]
    climate = [climate_indices(p, t, ds.indexes["date"], pet) for p, t, pet in zip(*series, strict=True)]
    table = land.join(pd.DataFrame(climate, index=land.index)).assign(
        area_km2=land["area_m2"] / 1e6,
        capacity=land["porosity"] * land["depth_soil"],  # m
        silt=100 - land["sand"] - land["clay"],
    )
    names = {column: name for columns in CAMELS_FILES.values() for column, name in columns.items()}
    return table[list(names.values())].set_axis(list(names), axis=1).sort_index()


def _folders(ds: xr.Dataset) -> list[str]:
    """HUC folder of each basin. As in CAMELS, a folder can differ from the id: the second basin lies in the first's."""
    folders = [str(huc) for huc in ds["huc"].values]
    return [folders[0] if place == 1 else folder for place, folder in enumerate(folders)]


def _write_rows(path: Path, head: str, form: str, columns: list) -> None:
    """Write a text table: `form` formats one row of `columns`. One format call per row is many times pandas' speed."""
    rows = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    write_text(path, head + "".join([form % row for row in rows]))


def _write_basin(root: Path, one: xr.Dataset, basin: str, folder: str) -> None:
    dates = one.indexes["date"]
    ymd = [dates.year, dates.month, dates.day]
    area_m2, flow = float(one["area_m2"]), one["streamflow"].values
    _write_rows(
        root / f"camels/basin_mean_forcing/daymet/{folder}/{basin}_lump_cida_forcing_leap.txt",
        f"{float(one['lat']):7.2f}\n{float(one['elev']):7.2f}\n{area_m2:.0f}\n"
        "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)\n",
        "%d %02d %02d 12\t%.2f\t%.2f\t%.2f\t0.00\t%.2f\t%.2f\t%.2f\n",
        [*ymd, *(one[key] for key in ("dayl", "prcp", "srad", "tmax", "tmin", "vp"))],
    )
    flag = np.where(np.isnan(flow), "M", np.where(one["tmean"].values < -8, "A:e", "A"))  # A:e: estimated, under ice
    cfs = [f"{q:.6f}" if q == q else "-999.00" for q in (flow * area_m2 * 1e6 / CFS / 86400).tolist()]
    path = root / f"camels/usgs_streamflow/{folder}/{basin}_streamflow_qc.txt"
    _write_rows(path, "", f"{basin} %d %02d %02d %9s %s\n", [*ymd, cfs, flag])
    albedo = np.where(one["swe"].values > 1, 0.55, 0.18)
    moisture = {i: one[f"soil_water_{i}"] / depth for i, depth in enumerate(DEPTHS, start=1)}
    columns = {
        "total_precipitation_sum": (one["prcp"], "%.2f"),
        "temperature_2m_mean": (one["tmean"], "%.3f"),
        "temperature_2m_min": (one["tmin"], "%.2f"),
        "temperature_2m_max": (one["tmax"], "%.2f"),
        "surface_net_solar_radiation_mean": (one["solar"] * (1 - albedo), "%.2f"),
        "surface_pressure_mean": (one["pressure"], "%.2f"),
        "potential_evaporation_sum": (one["pet"], "%.4f"),
        "snow_depth_water_equivalent_mean": (one["swe"], "%.4f"),
        **{f"volumetric_soil_water_layer_{i}_mean": (values, "%.6f") for i, values in moisture.items()},
        "streamflow": (["" if q != q else f"{q:.6f}" for q in flow.tolist()], "%s"),
    }
    _write_rows(
        root / f"caravan/timeseries/csv/camels/camels_{basin}.csv",
        ",".join(["date", *columns]) + "\n",
        ",".join(["%s", *(form for _, form in columns.values())]) + "\n",
        [dates.strftime("%Y-%m-%d"), *(values for values, _ in columns.values())],
    )


README = """These data are SYNTHETIC. No river, gauge or weather station is behind them.

demo_data.py made them with seed {seed}: {basins} catchments x {years} years from {start}. A stochastic weather
generator drives a conceptual model (degree-day snow, four soil layers, evapotranspiration, one linear routing store),
so that soil water and snow are known exactly. Streamflow carries 5 % measurement noise, and some days are missing.

camels/   CAMELS-US layout: daymet forcing, streamflow, attributes
caravan/  Caravan layout: the same catchments with snow water equivalent and soil water of four layers

The ids (96...... to 99......) belong to no real gauge. To make the data again: python demo_data.py --seed {seed}
--basins {basins} --years {years}
"""


def make_demo(root: str | Path = "demo", basins: int = 30, years: int = 12, seed: int = 1) -> Path:
    """Make synthetic catchments in the CAMELS-US and Caravan layouts, or find them already there.

    All is written beside `root` and renamed at the end, so `root` is complete or absent.

    Parameters
    ----------
    root : path, default "demo"
        New or empty folder; one that already holds a demo with the same settings is left as it is.
    basins : int, default 30
        Number of catchments; warm and wet, temperate, snow-dominated and semi-arid ones take turns.
    years : int, default 12
        Whole years from 2001-10-01.
    seed : int, default 1
        Same seed, same files.

    Returns
    -------
    pathlib.Path
        `root`; its `camels` and `caravan` folders are what the readers take as data folders.

    Raises
    ------
    InputError
        If a number is out of range, or `root` holds something else.
    """
    root = Path(root)
    settings = {"synthetic": True, "format": FORMAT, "basins": basins, "years": years, "seed": seed, "start": START}
    if _complete(root, settings):
        return root
    ds = simulate(basins, years, seed)
    place = root.resolve()
    temporary = place.with_name(f".unfinished_{place.name}")
    try:
        for basin, folder in zip(ds["basin"].values.tolist(), _folders(ds), strict=True):
            _write_basin(temporary, ds.sel(basin=basin), basin, folder)
        _write_attributes(temporary, attributes(ds))
        write_text(temporary / "README.txt", README.format(**settings))
        write_json(temporary / "demo.json", settings | {"files": len(_files(temporary)) + 1})
        try:
            if place.is_dir():
                place.rmdir()
            os.replace(temporary, place)
        except OSError:
            if not _complete(root, settings):  # another process made it meanwhile
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _write_attributes(root: Path, table: pd.DataFrame) -> None:
    for name, columns in CAMELS_FILES.items():
        write_csv(root / f"camels/camels_attributes_v2.0/camels_{name}.txt", table[list(columns)], sep=";")
    table = table.set_axis("camels_" + table.index, axis=0).rename_axis("gauge_id")
    climate = table[CLIMATE].drop(columns="p_seasonality")
    climate[["high_prec_freq", "low_prec_freq"]] /= 365.25  # shares of days there
    write_csv(root / "caravan/attributes/camels/attributes_caravan_camels.csv", climate)
    other = table[["gauge_lat", "gauge_lon", "area_gages2"]].rename(columns={"area_gages2": "area"})
    write_csv(root / "caravan/attributes/camels/attributes_other_camels.csv", other)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def _complete(root: Path, settings: dict) -> bool:
    """True if `root` holds this demo, False if it is absent or empty, InputError if anything else is there."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = read_json(root / "demo.json")
        files = int(found.pop("files"))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{root} is not a demo folder; name a new folder, or remove this one.") from None
    if found != settings:
        differing = ", ".join(f"{key} {found.get(key)}" for key in settings if found.get(key) != settings[key])
        raise InputError(f"{root} holds a demo of other settings ({differing}); name a new folder, or remove this one.")
    if len(_files(root)) < files:
        raise InputError(f"{root} has lost some of its {files} files; remove the folder and make it again.")
    return True


def main() -> None:
    """Command line of `make_demo`."""
    import tyro

    root = tyro.cli(make_demo, description=__doc__)
    print(f"Synthetic catchments are in {root}: {root / 'camels'} and {root / 'caravan'}.")


if __name__ == "__main__":
    cli(main)
