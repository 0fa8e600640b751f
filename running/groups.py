"""Runs that are scored together: several whose simulations are averaged, or the folds of one training."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from running.runs import load_run, origin
from running.simulation import SPINUP_DAYS, basins_at_once, simulate
from running.state_files import read_state
from writing.files import InputError


@dataclass
class Group:
    """Runs that are scored together: the folds of one run, or runs whose simulations are averaged."""

    runs: list  # of Run
    folds: bool  # whether a basin is simulated by the runs alone that were not trained on it; else by all of them
    basins: pd.DataFrame  # basins.csv of the runs together

    @property
    def members(self):
        """Name of every simulation of a basin."""
        if self.folds or len(self.runs) == 1:
            return [f"seed {seed}" for seed in self.runs[0].seeds]
        return [f"{run.path.name} seed {seed}" for run in self.runs for seed in run.seeds]

    def data(self, start, end, basins=None, data_dir=None):
        """As `Run.data`, for each of the runs; if no basins are named, those that all know, of folds those of any."""
        known = [b for b in self.basins.index if self.folds or all(b in run.basins.index for run in self.runs)]
        if not (basins or known):
            raise InputError(f"{self.runs[0].path} and {self.runs[1].path} have no basin in common.")
        if self.folds:  # their data are the same
            return [self.runs[0].data(start, end, basins or known, data_dir=data_dir)] * len(self.runs)
        return [run.data(start, end, basins or known, data_dir=data_dir) for run in self.runs]

    @property
    def folder(self):
        """Where results belong: in the run or the folder of the folds, or beside several runs."""
        first = self.runs[0].path
        if len(self.runs) == 1:
            return first
        return first.parent if self.folds else first.parent / f"mean_of_{'_'.join(run.path.name for run in self.runs)}"

    def origin(self):
        """What made an output file, as `runs.origin`, of all runs together."""
        made = [origin(run) for run in self.runs]
        return made[0] | {"source": "; ".join(dict.fromkeys(one["source"] for one in made)), "run": self.folder.name}

    def dates(self, several, start, end):
        """The days of a period, which must be the same in the data of all runs."""
        dates = [data.dates(start, end) for data in several]
        for run, others in zip(self.runs, dates, strict=True):
            if (others[0], others[-1]) != (dates[0][0], dates[0][-1]):
                raise InputError(
                    f"The data of {self.runs[0].path} hold {dates[0][0]} to {dates[0][-1]} of the period, those of "
                    f"{run.path} {others[0]} to {others[-1]}: choose a --period that both hold."
                )
        return dates[0]

    def simulated(self, several):
        """Each run with the data (windows.Prepared) of the basins that it simulates, from those of all basins."""
        for run, data in zip(self.runs, several, strict=True):
            yield run, data.select([b for b, basin in enumerate(data.basins)
                                    if not (self.folds and basin in run.basins.index)])  # fmt: skip

    def simulate_members(self, models, several, start, end, begin_with=(), progress=None):
        """Simulate every member in batches of basins; of folds a member is the mean of its runs that may be used.

        Parameters
        ----------
        models : list of lists of ConceptLSTM
            The members of each run.
        several : list of windows.Prepared
            From `data`.
        start, end, progress
            As `simulation.simulate` takes them.
        begin_with : sequence of path
            State files to begin with in place of the spin-up, one for each member; not for folds.

        Yields
        ------
        (positions, list of Simulated)
            Positions of the basins in the data, and what each member gave.
        """
        by_runs = {}  # positions of the runs -> positions of the basins that they simulate
        for b, basin in enumerate(several[0].basins):
            runs = [k for k, run in enumerate(self.runs) if not (self.folds and basin in run.basins.index)]
            by_runs.setdefault(tuple(runs), []).append(b)
        for runs, positions in by_runs.items():
            pairs = [(model, several[k].select(positions)) for k in runs for model in models[k]]
            at_once = min(basins_at_once(model, data, data.dates(start, end, SPINUP_DAYS)) for model, data in pairs)
            first_day, simulations = several[0].dates(start, end)[0], []
            for m, (model, data) in enumerate(pairs):
                state = read_state(begin_with[m], model, data, first_day) if begin_with else None
                label = None if m else progress
                simulations.append(simulate(model, data, start, end, progress=label, begin=state, at_once=at_once,
                                            watch=True))  # fmt: skip
            for parts in zip(*simulations, strict=True):
                if self.folds:  # the members of one seed after another, each of as many runs
                    seeds = len(models[0])
                    means = [np.mean([part.prediction for part in parts[m::seeds]], axis=0) for m in range(seeds)]
                    ran = np.any([part.runaway for part in parts], axis=0)
                    parts = [replace(parts[0], prediction=mean, runaway=ran) for mean in means]
                yield np.array(positions)[parts[0].basins], list(parts)


def load_group(run_dirs):
    """The run or runs of one or several run directories, of which one may hold the folds of a training.

    They must have the same targets; of folds a basin must be missing in exactly one.
    """
    paths = [Path(path) for path in ([run_dirs] if isinstance(run_dirs, str | os.PathLike) else run_dirs)]
    folds = len(paths) == 1 and not (paths[0] / "settings.json").exists() and (paths[0] / "fold_1").is_dir()
    if folds:
        paths = sorted(paths[0].glob("fold_*"), key=lambda path: int(path.name.removeprefix("fold_")))
    group = [load_run(path) for path in paths]
    for run in group[1:]:
        if run.targets != group[0].targets or (folds and run.seeds != group[0].seeds):
            raise InputError(f"{run.path} and {group[0].path} have other targets or, as folds, other seeds.")
    basins = pd.concat([run.basins for run in group])
    if folds:
        if len(group) != group[0].settings["folds"]:
            raise InputError(f"{paths[0].parent} has {len(group)} of {group[0].settings['folds']} folds: go on with "
                             f"LSTM_train.py --resume --run-dir {paths[0].parent}.")  # fmt: skip
        if (basins.index.value_counts() != len(group) - 1).any():
            raise InputError(f"{paths[0].parent}: a basin is not missing in exactly one fold; train again.")
    return Group(group, folds, basins[~basins.index.duplicated()].sort_index())
