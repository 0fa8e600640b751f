"""Several devices and several processes that train one model: who computes what, who writes, how all of them end.

Keras' data-parallel distribution on the JAX backend. Every process runs the same script; each draws its own part of
every batch, the first one writes. `LSTM_train.py --distribute` uses it; docs/scaling.md has the commands.
"""

import contextlib
import io
import os
import sys
import traceback
from dataclasses import dataclass

import numpy as np

from libs_tf import keras
from writing.messages import InputError

HEARTBEAT_SECONDS = 30  # a process that is silent for longer is given up, and all others end
JOIN_SECONDS = 300  # all processes have to be there within this time
# Number of processes, by launcher: Keras' own variable, SLURM's srun, Open MPI's mpirun.
PROCESS_COUNTS = ("KERAS_DISTRIBUTION_NUM_PROCESSES", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
# Words in the errors of the libraries that join processes: of Gloo (CPU), NCCL (GPU) and JAX's own service.
LOST = ("Gloo", "NCCL", "coordination", "heartbeat")


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

    def gather(self, rows):
        """The rows of all processes, one process after the other, as one array (row, column)."""
        if self.count == 1:
            return rows
        from jax.experimental.multihost_utils import process_allgather

        sizes = process_allgather(np.int32(len(rows)))
        padded = np.zeros((sizes.max(), rows.shape[1]))
        padded[: len(rows)] = rows
        parts = process_allgather(padded)
        return np.concatenate([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def wait(self):
        """Wait until every process is here."""
        self.gather(np.zeros((1, 1)))


def join(distribute):
    """The team that this process belongs to.

    Parameters
    ----------
    distribute : bool
        Divide every batch between all devices of this host and of all processes that srun or mpirun started, or that
        were started one by one with the environment variables KERAS_DISTRIBUTION_JOB_ADDRESSES (host:port of the
        first), KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID.
    """
    if not distribute:
        return Team()
    if keras.backend.backend() != "jax":
        raise InputError("--distribute needs the JAX backend: set the environment variable KERAS_BACKEND=jax.")
    import jax

    counts = {name: os.environ.get(name) or "1" for name in PROCESS_COUNTS}
    if odd := [f"{name} is {text!r}" for name, text in counts.items() if not text.isdecimal()]:
        raise InputError(f"{odd[0]}, which is no number of processes.")
    count = max(map(int, counts.values()))
    if count > 1 and not jax.distributed.is_initialized():
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
            reason = str(problem).splitlines()[0]
            raise InputError(f"The {count} processes did not come together ({reason}).") from None
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
        if any(word in message for word in LOST):
            reason = message.splitlines()[0][:200]
            message = f"another process ended, so this one ends too; see its message and go on with --resume ({reason})"
        elif isinstance(problem, SystemExit):
            message = "asked to end"
        elif not isinstance(problem, InputError | OSError | KeyboardInterrupt):
            message = traceback.format_exc()
        print(f"Process {team.index + 1} of {team.count}: {message}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130 if isinstance(problem, KeyboardInterrupt) else 2)  # an orderly end would wait for the others
