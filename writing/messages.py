"""What people at the screen read: errors that a user can act on, notes, the end of a script, short lists."""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# Lines that TensorFlow's libraries write on any machine, and the one that they write where no GPU driver is installed.
NOTES = (b"I0000", b"WARNING: All log messages before absl")
NO_GPU_DRIVER = b"UNKNOWN ERROR (303)\n"


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, line or basin and the way out."""


def cli(part, *arguments, **options):
    """Run a part of a script and return what it returns; an error that the user can act on ends it in one sentence.

    With exit code 2, of Ctrl-C 130; SIGTERM, as batch systems send it, ends the script with 143. From the first part on
    that also holds between the parts, where packages take seconds to load.
    """
    sys.excepthook = _end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half written is removed
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a notebook's stream
            stream.reconfigure(errors="backslashreplace")  # what a screen of ASCII cannot show
    try:
        result = part(*arguments, **options)
        print(end="", flush=True)
        return result
    except (InputError, OSError, MemoryError, KeyboardInterrupt) as error:
        _end(type(error), error, error.__traceback__)


def _end(kind, error, trace):
    """End the script in one sentence, or in a traceback if the fault is the program's own."""
    if issubclass(kind, InputError):
        words, code = str(error), 2
    elif issubclass(kind, OSError):  # a full disk, a read-only folder
        words, code = f"{error.strerror or error}: {error.filename or 'while reading or writing files'}.", 2
    elif issubclass(kind, MemoryError):
        words, code = f"Not enough memory: {reason(error)}.", 2
    elif issubclass(kind, KeyboardInterrupt):
        words, code = str(error) or "Stopped.", 130
    else:
        sys.__excepthook__(kind, error, trace)
        return
    try:
        print(end="", flush=True)
    except OSError:
        sys.stdout = None  # a full disk or a closed pipe, of which Python would complain again at its end
    print(words, file=sys.stderr)
    sys.exit(code)


def command(script, *words) -> str:
    """A command to type next, begun as this process was (uv run, python3 -u, …) and quoted for the shell."""
    here, start = Path(sys.argv[0]), ["python"]
    if not here.name.startswith("LSTM_"):  # a notebook
        here = Path(script)
    elif "UV_RUN_RECURSION_DEPTH" in os.environ:
        start = ["uv", "run"]
    elif sys.orig_argv[-len(sys.argv) :] == sys.argv:
        start = sys.orig_argv[: -len(sys.argv)]
    words = [*start, str(here.with_name(script)), *map(str, words)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


@contextlib.contextmanager
def quiet_start():
    """Import Keras without the notes that TensorFlow's libraries print while they load; what else is printed is shown.

    They go to the error stream before any setting of TensorFlow is looked at, so the stream itself is kept back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns that several models are compiled, as members must be
    sys.stderr.flush()
    stream = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except (ImportError, ValueError) as problem:  # a backend that is not installed, or that Keras does not know
            words = f"Keras cannot start ({problem}): set KERAS_BACKEND to tensorflow or jax."
            raise problem if isinstance(problem, InputError) else InputError(words) from None
        finally:
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            kept.seek(0)
            for line in kept:
                if not line.startswith(NOTES) and not line.endswith(NO_GPU_DRIVER):
                    os.write(2, line)


def note(words):
    """Say something to the person at the screen that is no error; of several processes the first alone is heard."""
    print(f"Note: {words}", flush=True)


def some(names, limit=3) -> str:
    """The first names of a long list, for a message: 'a, b, c and 4 more'."""
    names = [str(name) for name in names]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def basin_count(number) -> str:
    """'1 basin', '2 basins'."""
    return f"{number:,} basin{'s' * int(number != 1)}"


def reason(error) -> str:
    """First line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
