"""Runs that are scored together: several whose simulations are averaged, or the folds of one training."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from running import state_files
from running.runs import load_run, origin
from running.simulation import basins_at_once, simulate
from writing.files import InputError


@dataclass
class Group:
    """Runs that are scored together: the folds of one run, or runs whose simulations are averaged.

    Attributes
    ----------
    runs : list of Run
    folds : bool
        Whether every basin is simulated by the one run that was not trained on it; else by all of them.
    basins : pandas.DataFrame
        basins.csv of the runs together.
    """

    runs: list
    folds: bool
    basins: pd.DataFrame

    @property
    def members(self):
        """Name of every simulation of a basin."""
        if self.folds or len(self.runs) == 1:
            return [f"seed {seed}" for seed in self.runs[0].seeds]
        return [f"{run.path.name} seed {seed}" for run in self.runs for seed in run.seeds]

    def data(self, start, end, basins=None, data_dir=None):
        """As `Run.data`, for each of the runs; the basins are those that all know, or of folds those that any knows."""
        if not basins:
            tables = [run.basins.index for run in self.runs]
            basins = [b for b in self.basins.index if self.folds or all(b in table for table in tables)]
            if not basins:
                raise InputError(f"{self.runs[0].path} and {self.runs[1].path} have no basin in common.")
        # The data of folds are the same.
        several = [run.data(start, end, basins, data_dir=data_dir) for run in self.runs[: 1 if self.folds else None]]
        return several * (len(self.runs) if self.folds else 1)

    @property
    def folder(self):
        """Where results belong: in the run or the folder of the folds, or beside several runs."""
        first = self.runs[0].path
        if self.folds:
            return first.parent
        names = [run.path.name for run in self.runs]
        return first if len(names) == 1 else first.parent / f"mean_of_{'_'.join(names)}"

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

    def models(self):
        """The trained models of each run, a list for each."""
        return [[run.model(seed) for seed in run.seeds] for run in self.runs]

    def simulate(self, models, several, start, end, within=None, begin_with=(), progress=None):
        """Simulate all members (`models` and `data` give the first two), some basins at a time, as `simulate` does.

        Yields
        ------
        (positions, list of Simulated)
            Positions of the basins in the data, and what each member gave.
        """
        groups = [(range(len(several[0].basins)), list(zip(models, several, strict=True)))]
        if self.folds:
            groups = []
            for run, of_run, data in zip(self.runs, models, several, strict=True):
                positions = [b for b, basin in enumerate(data.basins) if basin not in run.basins.index]
                if positions:
                    groups.append((positions, [(of_run, data.select(positions))]))
        for positions, pairs in groups:
            members = [(model, data) for of_run, data in pairs for model in of_run]
            at_once = min(basins_at_once(model, data, start, end) for model, data in members)
            begin = [None] * len(members)
            if begin_with:
                first_day = members[0][1].dates(start, end)[0]
                begin = [
                    state_files.read(path, *pair, first_day) for path, pair in zip(begin_with, members, strict=True)
                ]
            labels = [progress, *[None] * (len(members) - 1)]
            own = None if within is None else [days[list(positions)] for days in within]
            simulations = [
                simulate(model, data, start, end, progress=label, begin=state, within=own, at_once=at_once)
                for (model, data), label, state in zip(members, labels, begin, strict=True)
            ]
            for parts in zip(*simulations, strict=True):
                yield np.array(positions)[parts[0].basins], list(parts)


def load_group(run_dirs):
    """The run or runs of one or several run directories, of which one may hold the folds of a training.

    Raises
    ------
    InputError
        As `load_run`; if runs differ in their targets, or a basin of folds is in all or missing in several of them.
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
