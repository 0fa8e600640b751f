"""What every other file stands on: the error a user can act on, the command line of a script, files written whole."""

import contextlib
import errno
import json
import os
import sys
import tempfile
import uuid
from pathlib import Path

# Lines that TensorFlow's libraries write on any machine, and the one that they write where no GPU driver is installed.
NOTES = (b"I0000", b"WARNING: All log messages before absl")
NO_GPU_DRIVER = b"UNKNOWN ERROR (303)\n"


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, line or basin and the way out."""


def cli(main, *arguments, **options):
    """Run a script's main function: bad input ends in one sentence and exit code 2, Ctrl-C in exit code 130."""
    try:
        return main(*arguments, **options)
    except InputError as error:
        message, code = str(error), 2
    except OSError as error:  # a full disk, a read-only folder
        message, code = f"{error.strerror or error}: {error.filename or 'while reading or writing files'}.", 2
    except KeyboardInterrupt as stop:
        message, code = str(stop) or "Stopped.", 130
    print(message, file=sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def quiet_start():
    """Leave out the notes that TensorFlow's libraries print while they load; whatever else is printed then is shown.

    They go to the error stream before any setting of TensorFlow is looked at, so the stream itself is kept back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stream = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            kept.seek(0)
            for line in kept:
                if not line.startswith(NOTES) and not line.endswith(NO_GPU_DRIVER):
                    os.write(2, line)


def some(names, limit=3) -> str:
    """The first names of a long list, for a message: 'a, b, c and 4 more'."""
    names = list(names)
    return ", ".join(map(str, names[:limit])) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def reason(error) -> str:
    """First line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`; it becomes `path` when the block ends well, else it is removed.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; it names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}_{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # netCDF's library knows only RuntimeError
        code, words = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if not code and not words.startswith("NetCDF"):
            raise
        if getattr(error, "filename", None) not in (None, str(temporary)):
            raise
        raise OSError(code or errno.EIO, words, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Write UTF-8 text with plain line ends, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path, content):
    """Write a dict as JSON, all or nothing."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path, frame, **options):
    """Write a DataFrame as CSV, all or nothing; options go to `DataFrame.to_csv`."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, encoding="utf-8", lineterminator="\n", **options)


def read_json(path):
    """A JSON file that must hold an object.

    Raises
    ------
    InputError
        If it does not; FileNotFoundError if it is not there.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({reason(error)}); restore it or train again.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold a JSON object; restore it or train again.")
    return content
