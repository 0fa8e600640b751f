"""Result files that other programs read: netCDF by the CF conventions 1.8, one time series for each basin.

cfconventions.org, section 9 (discrete sampling geometries): the basins are the instances of ``timeSeries``, named by
``basin``, placed by ``lat`` and ``lon``, dated by ``date`` in whole days.
"""

import contextlib
import datetime

import netCDF4
import numpy as np

# Names of CF's table for what a concept may be, and the units that they go with.
STANDARD_NAMES = {
    ("snow water equivalent", "mm"): "lwe_thickness_of_surface_snow_amount",
    ("snow water equivalent", "m"): "lwe_thickness_of_surface_snow_amount",
    ("snow depth", "m"): "surface_snow_thickness",
    ("soil moisture", "mm"): "lwe_thickness_of_moisture_content_of_soil_layer",
    ("soil moisture", "m3/m3"): "volume_fraction_of_condensed_water_in_soil",
}
UNITS = ("mm", "cm", "m", "mm/day", "m3/m3", "W/m2", "Pa", "kPa", "degC", "K", "1")  # of ours, those that CF knows too


@contextlib.contextmanager
def create(path, data, dates, origin):
    """Open a new netCDF file (netCDF4.Dataset) that has the basins of `data` and the dates (datetime64[D]) of a result.

    `origin` holds the global attributes that say what made the file, ``title`` among them.
    """
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("basin", len(data.basins))
        file.createDimension("date", len(dates))
        file.createVariable("basin", str, ("basin",))[:] = np.array(data.basins, object)
        file["basin"].setncatts({"long_name": "basin id", "cf_role": "timeseries_id"})
        file.createVariable("date", "i4", ("date",))[:] = (dates - dates[0]).astype(int)
        about = {"standard_name": "time", "long_name": "day", "axis": "T", "calendar": "standard"}
        file["date"].setncatts(about | {"units": f"days since {dates[0]}"})
        for name, meaning, units in (("lat", "latitude", "degrees_north"), ("lon", "longitude", "degrees_east")):
            file.createVariable(name, "f8", ("basin",), fill_value=np.nan)[:] = data.place[name].to_numpy(float)
            file[name].setncatts({"units": units, "standard_name": meaning, "long_name": f"{meaning} of the gauge"})
        made = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%MZ} written by LSTM scripts"
        conventions = {"Conventions": "CF-1.8", "featureType": "timeSeries", "history": made}
        file.setncatts(conventions | origin)
        yield file


def add_series(file, name, about, long_name, before=(), after=()):
    """Lay out a variable (basin, date), with dimensions before or after them that are there; basin by basin compressed.

    `about` holds ``units`` and ``long_name`` of what is observed or simulated, `long_name` says which: "swe, observed".
    """
    dimensions = (*before, "basin", "date", *after)
    whole = ("date", *after)  # what is written and read in one piece
    chunks = [len(file.dimensions[dimension]) if dimension in whole else 1 for dimension in dimensions]
    compression = {} if after else {"zlib": True, "complevel": 1}  # states hardly get smaller, but slower
    variable = file.createVariable(name, "f4", dimensions, fill_value=np.nan, chunksizes=chunks, **compression)
    units = about["units"].partition(" of ")[0]  # "m of snow"
    variable.setncatts({"long_name": long_name, "coordinates": "lat lon"})
    if units in UNITS:
        variable.units = units
    if units != about["units"]:
        variable.comment = f"in {about['units']}"
    meaning = about["long_name"].partition(",")[0].partition(" (")[0]
    if (meaning, units) in STANDARD_NAMES:
        variable.standard_name = STANDARD_NAMES[meaning, units]


def add_index(file, name, labels, long_name):
    """Lay out a dimension with labels, such as the members or the numbers of the cell states."""
    file.createDimension(name, len(labels))
    kind = str if isinstance(labels[0], str) else "i4"
    file.createVariable(name, kind, (name,))[:] = np.array(labels, object if kind is str else "i4")
    file[name].long_name = long_name


def add_table(file, name, dimensions, values, **attributes):
    """Write a variable whose dimensions are there, with its attributes."""
    variable = file.createVariable(name, "f4", dimensions, fill_value=np.nan)
    variable[:] = values
    variable.setncatts({"long_name": name.replace("_", " ")} | attributes)
