"""Runs of a model: the run directory, simulation, runs scored together, several processes, states of one day."""
