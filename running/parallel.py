"""Several devices and several processes that train one model: Keras' data-parallel distribution on the JAX backend.

Every process runs the same script on the same data. Each draws every batch whole and trains on its own part of it; each
validates by itself, which costs no time and gives all of them the same numbers. The first one prints and writes.
`LSTM_train.py --distribute` uses it; docs/scaling.md has the commands.
"""

import contextlib
import io
import os
import sys
import traceback
from dataclasses import dataclass

from libs_tf import keras
from writing.messages import InputError, reason

HEARTBEAT_SECONDS = 30  # a process that is silent for longer is given up, and all others end
JOIN_SECONDS = 300  # all processes have to be there within this time
# Number of processes, by launcher: Keras' own variable, SLURM's srun, Open MPI's mpirun.
PROCESS_COUNTS = ("KERAS_DISTRIBUTION_NUM_PROCESSES", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")


@dataclass
class Team:
    """The processes that train together; by default this one alone, on one device."""

    distribution: object = None  # Keras'
    count: int = 1  # number of processes
    index: int = 0  # which of them this is
    devices: int = 1  # of all processes together; a batch is divided between them

    @property
    def first(self):
        """Whether this process prints and writes."""
        return self.index == 0

    def training(self):
        """Context in which the shared model is built and trained."""
        return self.distribution.scope() if self.distribution else contextlib.nullcontext()


def join(distribute):
    """The team that this process belongs to: all devices of this host and of all processes that srun or mpirun started,
    or that were started one by one with the environment variables KERAS_DISTRIBUTION_JOB_ADDRESSES (host:port of the
    first), KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID."""
    if not distribute:
        return Team()
    if keras.backend.backend() != "jax":
        raise InputError("--distribute needs the JAX backend: set the environment variable KERAS_BACKEND=jax.")
    import jax

    count = max(int(os.environ.get(name) or 1) for name in PROCESS_COUNTS)
    if count > 1:
        options = {"heartbeat_timeout_seconds": HEARTBEAT_SECONDS, "initialization_timeout": JOIN_SECONDS}
        if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
            try:
                options["coordinator_address"] = os.environ["KERAS_DISTRIBUTION_JOB_ADDRESSES"].split(",")[0]
                options["process_id"] = int(os.environ["KERAS_DISTRIBUTION_PROCESS_ID"])
            except (KeyError, ValueError) as problem:
                raise InputError(f"KERAS_DISTRIBUTION_NUM_PROCESSES is {count}, but {problem} is not set.") from None
            options |= {"num_processes": count, "cluster_detection_method": "deactivate"}
        print(f"Waiting for {count} processes, {JOIN_SECONDS} seconds at most.", flush=True)
        try:
            jax.distributed.initialize(**options)
        except (RuntimeError, ValueError) as problem:
            raise InputError(f"The {count} processes did not come together ({reason(problem)}).") from None
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices(), auto_shard_dataset=False)
    return Team(distribution, jax.process_count(), jax.process_index(), jax.device_count())


@contextlib.contextmanager
def working(team):
    """Of several processes only the first prints; one that fails ends at once, and so do those that wait for it."""
    if team.count == 1:
        yield
        return
    try:
        with contextlib.nullcontext() if team.first else contextlib.redirect_stdout(io.StringIO()):
            yield
    except BaseException as problem:
        message = str(problem)
        if not isinstance(problem, InputError | OSError | KeyboardInterrupt):
            message = f"{traceback.format_exc()}If another process ended first, see its message; go on with --resume."
        print(f"Process {team.index + 1} of {team.count}: {message}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130 if isinstance(problem, KeyboardInterrupt) else 2)  # an orderly end would wait for the others
