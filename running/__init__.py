"""Runs of a model: settings, the run directory, simulation, validation, several processes."""
