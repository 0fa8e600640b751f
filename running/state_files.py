"""State files: h and c of every basin at the end of one day, netCDF, from which a simulation begins without spin-up."""

import hashlib

import numpy as np
import xarray as xr

from writing import netcdf
from writing.files import replacing
from writing.messages import InputError, reason, some


def identity(model):
    """What a state belongs to: digests of a ConceptLSTM's trained weights and of the statistics of its inputs."""
    scales = model.forcing_scale, model.attribute_scale, model.target_scale
    parts = {"model": model.trainable_weights, "statistics": [w for scale in scales for w in scale.weights]}
    content = {name: b"".join(np.asarray(w).tobytes() for w in weights) for name, weights in parts.items()}
    return {name: hashlib.sha256(whole).hexdigest()[:16] for name, whole in content.items()}


def write_state(path, data, day, h, c, model, origin):
    """Write the states h and c (basin, cell state) at the end of a day; `origin` is a dict of global attributes."""
    origin = {"title": f"State of an LSTM at the end of {day}", **origin, **identity(model)}
    with replacing(path) as temporary, netcdf.create(temporary, data, np.array([day]), origin) as file:
        netcdf.add_index(file, "unit", list(range(1, model.units + 1)), "number of the cell state, from 1")
        for name, words, values in (("h", "hidden state", h), ("c", "cell state", c)):
            netcdf.add_series(file, name, {"units": "1", "long_name": words}, words, after=["unit"])
            file[name][:] = values[:, None]


def read_state(path, model, data, first_day):
    """The states h and c from which a period begins, for the basins of `data` in their order.

    The file must be one that `write_state` wrote with this model for the day before `first_day` (datetime64[D]).

    Returns
    -------
    array (2, basin, cell state), float32
    """
    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            made, day = file.attrs, file["date"].values.astype("datetime64[D]").item()
            table = file[["h", "c"]].isel(date=0).to_array().transpose("variable", "basin", "unit").load()
        basins, values = table["basin"].to_index(), table.values
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} is not a state file that LSTM_output_Cn.py wrote ({reason(error)}).") from None
    for name, digest in identity(model).items():
        if made.get(name) != digest:
            whose = f"run {made.get('run', 'unknown')}, seed {made.get('seed', 'unknown')}"
            words = f"{path} holds states of another {name} ({whose}; {made.get(name)}, here {digest})"
            raise InputError(f"{words}: write them anew with this run and seed.")
    if np.datetime64(day) + 1 != first_day:
        words = f"{path} holds the state at the end of {day}, the period begins on {first_day}: give the state of"
        raise InputError(f"{words} {first_day - 1}, or begin the period on {np.datetime64(day) + 1}.")
    if absent := [basin for basin in data.basins if basin not in basins]:
        raise InputError(f"{path} lacks the basins {some(absent)}: name those it holds with --basins.")
    if basins.has_duplicates:
        raise InputError(f"{path} holds basin {basins[basins.duplicated()][0]} twice: write it anew.")
    if values.shape[2] != model.units:
        raise InputError(f"{path} holds {values.shape[2]} of {model.units} cell states: write it anew.")
    values = values[:, basins.get_indexer(data.basins)].astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds states that are not finite numbers: write them anew.")
    return values
