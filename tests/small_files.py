"""Small files in the layouts of CAMELS-US and Caravan, with numbers known exactly, for the tests of the readers."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hd

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SMALL = REAL / "camels_us_small"
needs_real = pytest.mark.skipif(not SMALL.is_dir(), reason="the real CAMELS-US cut-out is not at hand")
HEAD = "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
CAPITALS = "Year Mnth Day Hr\tDayl(s)\tPRCP(mm/day)\tSRAD(W/m2)\tSWE(mm)\tTmax(C)\tTmin(C)\tVp(Pa)"
GAUGES = ("camels_01022500", "lamah_1145")


def refused(sentence, read, *arguments, **options):
    """What is read is refused in one printable sentence, which is returned."""
    with pytest.raises(hd.InputError, match=sentence) as caught:
        read(*arguments, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def forcing_rows(start="2001-02-25", days=10, shift=0.0):
    rows = []
    for i, d in enumerate(pd.date_range(start, periods=days)):
        prcp, srad, tmax, tmin, vp = i % 4 + shift, 200.25 + i, 10.5 + i, i - 5.25, 600.0 + i
        numbers = f"{prcp:.2f}\t{srad:.2f}\t0.00\t{tmax:.2f}\t{tmin:.2f}\t{vp:.2f}"
        rows.append(f"{d:%Y %m %d} 12\t34214.41\t{numbers}")
    return rows


def forcing_text(rows=None, head=HEAD):
    return "\n".join([" 37.24", " 226.00", " 427165365", head, *(forcing_rows() if rows is None else rows)]) + "\n"


def flow_rows(basin="01022500", start="2001-02-25", days=10, first=10.0):
    return [f"{basin} {d:%Y %m %d} {first + i:8.2f} A" for i, d in enumerate(pd.date_range(start, periods=days))]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def forcing_path(root, basin="01022500", product="daymet", huc="01"):
    model = {"daymet": "cida"}.get(product, product.removesuffix("_extended"))
    return root / "basin_mean_forcing" / product / huc / f"{basin}_lump_{model}_forcing_leap.txt"


def flow_path(root, basin="01022500", huc="01"):
    return root / "usgs_streamflow" / huc / f"{basin}_streamflow_qc.txt"


def make_camels(root, basins=("01022500", "02046000", "11230500"), days=40):
    """Forcing from 2001-01-01, streamflow from 2001-01-03, snow from 2001-01-02, two attributes."""
    for i, basin in enumerate(basins):
        write(forcing_path(root, basin), forcing_text(forcing_rows("2001-01-01", days, shift=i)))
        write(flow_path(root, basin), "\n".join(flow_rows(basin, "2001-01-03", days - 4, 10.0 * (i + 1))) + "\n")
        swe = [f"{d:%Y-%m-%d},{3.5 * i + n},{i}" for n, d in enumerate(pd.date_range("2001-01-02", periods=days))]
        write(root / "swe" / f"{int(basin)}.csv", "\n".join(["date,uaz_swe,daymet_swe", *swe]) + "\n")
    topo = [f"{basin};{40 + i}.5;-{70 + i}.25;{100 * (i + 1)}.5\n" for i, basin in enumerate(basins)]
    clim = [f"{basin};{i + 1}.25;son\n" for i, basin in enumerate(basins)]
    folder = root / "camels_attributes_v2.0"
    write(folder / "camels_topo.txt", "gauge_id;gauge_lat;gauge_lon;elev_mean\n" + "".join(topo))
    write(folder / "camels_clim.txt", "gauge_id;p_mean;high_prec_timing\n" + "".join(clim))
    return root


def caravan_frame(days=400, shift=0.0, pet="potential_evaporation_sum"):
    n = np.arange(days)
    frame = pd.DataFrame({"date": pd.date_range("2001-01-01", periods=days).strftime("%Y-%m-%d")})
    frame["volumetric_soil_water_layer_1_mean"] = np.round(0.2 + 0.0005 * n, 4)
    frame["total_precipitation_sum"] = np.round((n % 5) * 1.25 + shift, 2)
    frame["temperature_2m_min"] = np.round(10 * np.sin(2 * np.pi * n / 365.25) - 3, 2)
    frame["temperature_2m_max"] = frame["temperature_2m_min"] + 6
    frame["surface_net_solar_radiation_mean"] = 100.5
    frame[pet] = 2.5
    frame["streamflow"] = np.where(n % 7 == 0, np.nan, np.round(1 + 0.01 * n, 2))
    return frame


def write_caravan(root, gauge, frame, kind="csv"):
    folder = root / "timeseries" / kind / gauge.split("_")[0]
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "csv":
        return write(folder / f"{gauge}.csv", frame.to_csv(index=False, lineterminator="\n"))
    dated = frame.assign(date=pd.to_datetime(frame["date"])).set_index("date")
    xr.Dataset.from_dataframe(dated).to_netcdf(folder / f"{gauge}.nc")
    return folder / f"{gauge}.nc"


def make_caravan(root):
    for i, gauge in enumerate(GAUGES):
        write_caravan(root, gauge, caravan_frame(shift=i))
    return root


def load(root, tmp_path, **options):
    """The data set of a folder, its cache below `tmp_path`."""
    with mock.patch.dict(os.environ, HYDRODATA_CACHE=str(tmp_path / "cache")):
        return hd.load_dataset(root, **{"attributes": "none"} | options)


def opened(root, tmp_path, **options):
    """The same data as they are opened for a simulation, in which nothing needs to be observed."""
    with mock.patch.dict(os.environ, HYDRODATA_CACHE=str(tmp_path / "cache")):
        return hd.open_data(root, **{"attributes": "none", "required": ()} | options)
