"""What people at the screen read: errors that a user can act on, notes, the end of a script, short lists."""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, line or basin and the way out."""


def cli(part, *arguments, **options):
    """Run a part of a script, give its result; an error that the user can act on ends it in a sentence and code 2."""
    sys.excepthook = _end  # between the parts too, where packages take seconds to load
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # batch systems send it; what is half written is removed
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
        text, code = str(error), 2
    elif issubclass(kind, OSError):  # a full disk, a read-only folder
        text, code = f"{error.strerror or error}: {error.filename or 'while reading or writing files'}.", 2
    elif issubclass(kind, MemoryError):
        text, code = f"Not enough memory: {reason(error)}.", 2
    elif issubclass(kind, KeyboardInterrupt):
        text, code = str(error) or "Stopped.", 130
    else:
        return sys.__excepthook__(kind, error, trace)
    try:
        print(end="", flush=True)
    except OSError:
        sys.stdout = None  # a full disk or a closed pipe, of which Python would complain again at its end
    print(text, file=sys.stderr)
    sys.exit(code)


def command(script, *arguments) -> str:
    """A script and its arguments, quoted for the shell: what to run next."""
    return (subprocess.list2cmdline if os.name == "nt" else shlex.join)([script, *map(str, arguments)])


@contextlib.contextmanager
def quiet_start():
    """Import Keras with few notes of TensorFlow; InputError if the backend is not installed or not known."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns that several models are compiled, as members must be
    try:
        yield
    except (ImportError, ValueError) as error:
        raise InputError(f"Keras cannot start ({error}): set KERAS_BACKEND to tensorflow or jax.") from None


def note(text):
    """Say something to the person at the screen that is no error."""
    print(f"Note: {text}", flush=True)


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
