"""State files: h and c of every basin at the end of one day, netCDF, from which a simulation begins without spin-up.

write_state(path, data, day, h, c, model, origin)
h, c = read_state(path, model, data, first_day)
"""

import hashlib

import numpy as np
import xarray as xr

from writing import netcdf
from writing.files import InputError, reason, replacing, some


def identity(model):
    """What a state belongs to: digests of a ConceptLSTM's trained weights and of the statistics of its inputs."""
    scales = model.forcing_scale, model.attribute_scale, model.target_scale
    parts = {"model": model.trainable_weights, "statistics": [w for scale in scales for w in scale.weights]}
    return {
        name: hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in weights)).hexdigest()[:16]
        for name, weights in parts.items()
    }


def write_state(path, data, day, h, c, model, origin):
    """Write the states at the end of a day.

    Parameters
    ----------
    path : path of the ``.nc``
    data : windows.Prepared
    day : datetime64[D]
    h, c : array (basin, unit)
    model : libs_tf.ConceptLSTM
    origin : dict
        Global attributes: the run, the member's seed.
    """
    origin = {"title": f"State of an LSTM at the end of {day}", **origin, **identity(model)}
    with replacing(path) as temporary, netcdf.create(temporary, data, np.array([day]), origin) as file:
        netcdf.add_index(file, "unit", list(range(1, model.units + 1)), "number of the cell state, from 1")
        for name, words, values in (("h", "hidden state", h), ("c", "cell state", c)):
            netcdf.add_series(file, name, {"units": "1", "long_name": words}, words, after=["unit"])
            file[name][:] = values[:, None]


def read_state(path, model, data, first_day):
    """The states from which a period begins.

    Parameters
    ----------
    path : path
    model : libs_tf.ConceptLSTM
        It must be the one that the states were written with.
    data : windows.Prepared
        Its basins must be in the file.
    first_day : datetime64[D]
        The state must be that of the day before.

    Returns
    -------
    array (2, basin, unit), float32
        h and c, in the order of the basins of `data`.

    Raises
    ------
    InputError
        If the file is none, or of another model, other statistics or another day, or lacks a basin or a number.
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
            raise InputError(
                f"{path} holds states of another {name} ({whose}; {made.get(name)}, here {digest}): write them anew "
                "with this run and seed."
            )
    if np.datetime64(day) + 1 != first_day:
        raise InputError(
            f"{path} holds the state at the end of {day}, the period begins on {first_day}: give the state of "
            f"{first_day - 1}, or begin the period on {np.datetime64(day) + 1}."
        )
    if absent := [basin for basin in data.basins if basin not in basins]:
        raise InputError(f"{path} lacks the basins {some(absent)}: name those it holds with --basins.")
    values = values[:, basins.get_indexer(data.basins)].astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds states that are not finite numbers: write them anew.")
    return values
