"""Runs that are scored together: several whose simulations are averaged, or the folds of one training."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from reading.concepts import parse_concept, times_of
from reading.prepared import digest
from running.learned import learned_days, learned_words
from running.runs import load_run, origin
from running.settings import run_folders
from running.simulation import SPINUP_DAYS, basins_at_once, simulate
from running.state_files import read_state
from writing.messages import InputError, command, some


@dataclass
class Group:
    """Runs that are scored together: the folds of one run, or runs whose simulations are averaged."""

    runs: list  # of Run
    folds: bool  # whether a basin is simulated by the runs alone that were not trained on it; else by all of them
    basins: pd.DataFrame  # basins.csv of the runs together, in the units of the first
    times: list  # of arrays (target,): factors from a run's numbers to those of the first

    @property
    def members(self):
        """Name of every simulation of a basin."""
        if self.folds or len(self.runs) == 1:
            return [f"seed {seed}" for seed in self.runs[0].seeds]
        return [f"{run.path.name} seed {seed}" for run in self.runs for seed in run.seeds]

    @property
    def known(self):
        """The basins that all runs know, of folds those that any knows."""
        return [b for b in self.basins.index if self.folds or all(b in run.basins.index for run in self.runs)]

    def data(self, start, end, basins=None, **others):
        """As `Run.data`, for each of the runs; if no basins are named, those that all know, of folds those of any."""
        if not (basins or self.known):
            raise InputError(f"{self.runs[0].path} and {self.runs[1].path} have no basin in common.")
        if self.folds:  # their data are the same
            together = replace(self.runs[0], path=self.folder, basins=self.basins)
            return [together.data(start, end, basins or self.known, **others)] * len(self.runs)
        return [run.data(start, end, basins or self.known, **others) for run in self.runs]

    @property
    def folder(self):
        """Where results belong: in the run or the folder of the folds, or beside several runs."""
        first = self.runs[0].path
        if len(self.runs) == 1:
            return first
        names = [run.path.name for run in self.runs]
        many = "_".join(names) if sum(map(len, names)) < 100 else f"{len(names)}_runs_{digest(names)[:6]}"
        return first.parent if self.folds else first.parent / f"mean_of_{many}"

    def origin(self, several, learned_from=""):
        """What made an output file, as `runs.origin`, of all runs together; `several` are the data of each."""
        made = [origin(run, data, learned_from) for run, data in zip(self.runs, several, strict=True)]
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

    def simulated_by(self, basin):
        """Positions of the runs that simulate a basin."""
        return tuple(k for k, run in enumerate(self.runs) if not (self.folds and basin in run.basins.index))

    def learned(self, basins, start, end):
        """On how many days of a period what each member gives was learned from.

        Returns
        -------
        list of Series (basin) of int
            One for each member, and one for their mean if there are several.
        """
        by_run = [learned_days(run.lessons, basins, start, end) for run in self.runs]
        of = {b: [lesson for k in self.simulated_by(b) for lesson in self.runs[k].lessons] for b in basins}
        together = pd.Series({b: learned_days(lessons, [b], start, end)[b] for b, lessons in of.items()})
        members = [by_run[k] for k, run in enumerate(self.runs) for _ in run.seeds]
        members = [together] * len(self.members) if self.folds else members
        return members + [together] * (len(members) > 1)

    def learned_words(self, basins, start, end):
        """What was learned from of some basins in a period, and of folds ever, in sentences; "" if nothing was."""
        if not self.folds:
            lessons = list(dict.fromkeys(lesson for run in self.runs for lesson in run.lessons))
            return learned_words(lessons, basins, start, end)
        known = {basin: lesson.run for basin in basins for k in self.simulated_by(basin)
                 for lesson in self.runs[k].lessons if basin in lesson.basins}  # fmt: skip
        if not known:
            return ""
        whose = f"{', '.join(dict.fromkeys(known.values()))}, with which the folds began, learned from"
        return f"{whose} {len(known)} of {len(basins)} basins, which are not ungauged: {some(known)}."

    def simulate_members(self, models, several, start, end, begin_with=(), progress=None):
        """Simulate every member in batches of basins; of folds a member is the mean of its runs that may be used.

        Parameters
        ----------
        models : list of lists of ConceptLSTM
            The members of each run.
        several : list of prepared.Prepared
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
            by_runs.setdefault(self.simulated_by(basin), []).append(b)
        for runs, positions in by_runs.items():
            pairs = [(model, several[k].select(positions)) for k in runs for model in models[k]]
            times = [self.times[k] for k in runs for _ in models[k]]
            at_once = min(basins_at_once(model, data, data.dates(start, end, SPINUP_DAYS)) for model, data in pairs)
            first_day, simulations = several[0].dates(start, end)[0], []
            for m, (model, data) in enumerate(pairs):
                state = read_state(begin_with[m], model, data, first_day) if begin_with else None
                label = None if m else progress
                simulations.append(simulate(model, data, start, end, progress=label, begin=state, at_once=at_once,
                                            watch=True))  # fmt: skip
            for parts in zip(*simulations, strict=True):
                parts = [replace(one, prediction=one.prediction * by) for one, by in zip(parts, times, strict=True)]
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
    paths, folds = run_folders([run_dirs] if isinstance(run_dirs, str | os.PathLike) else run_dirs)
    group = [load_run(path) for path in paths]
    for run in group[1:]:
        if run.targets != group[0].targets or (folds and run.seeds != group[0].seeds):
            raise InputError(f"{run.path} and {group[0].path} have other targets or, as folds, other seeds.")
    times = [times_to_first(run, group[0]) for run in group]
    basins = pd.concat([run.basins.assign(**{f"mean_{name}": run.basins[f"mean_{name}"] * factor
                        for name, factor in zip(run.targets, by, strict=True)})
                        for run, by in zip(group, times, strict=True)])  # fmt: skip
    if folds:
        if len(group) != group[0].settings["folds"]:
            go_on = command("LSTM_train.py", "--resume", "--run-dir", paths[0].parent)
            raise InputError(f"{paths[0].parent} holds {len(group)} of {group[0].settings['folds']} folds: go on with "
                             f"{go_on}, or remove what is no fold of it.")  # fmt: skip
        if (basins.index.value_counts() != len(group) - 1).any():
            raise InputError(f"{paths[0].parent}: a basin is not missing in exactly one fold; train again.")
    return Group(group, folds, basins[~basins.index.duplicated()].sort_index(), times)


def times_to_first(run, first):
    """Factors (target,) from the numbers of a run to those of the first of its group; InputError for two things of one
    name."""
    factors = [1.0]  # of streamflow
    for one, other in zip(*(map(parse_concept, of.settings["concepts"]) for of in (run, first)), strict=True):
        factor = times_of(one, other, f"in {run.path}", f"in {first.path}")
        if factor is None:
            words = f"{one.name} is {one.column} in {run.path} and {other.column} in {first.path}"
            raise InputError(f"{words}: these are two things, of which there is no mean.")
        factors.append(factor)
    return np.array(factors, np.float32)
