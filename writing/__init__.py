"""What is written, whole or not at all: files, netCDF, figures; and the error that a user can act on."""
