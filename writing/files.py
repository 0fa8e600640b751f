"""What every other file stands on: the error a user can act on, the command line of a script, files written whole."""

import contextlib
import errno
import functools
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
import uuid
from pathlib import Path

if os.name == "nt":
    import msvcrt
else:
    import fcntl

MOST_BYTES = 500e6  # of a file that is read whole; text of one basin has a few million
UNFINISHED = ".unfinished_"  # how the names of files and folders begin that are being written
DAY = 86400  # seconds
_begun = set()  # paths of this process that have no place when it ends: files being written, locks

# Lines that TensorFlow's libraries write on any machine, and the one that they write where no GPU driver is installed.
NOTES = (b"I0000", b"WARNING: All log messages before absl")
NO_GPU_DRIVER = b"UNKNOWN ERROR (303)\n"


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, line or basin and the way out."""


def cli(main, *arguments, **options):
    """Run a script's main function: bad input ends in one sentence and exit code 2, Ctrl-C in exit code 130.

    Asked to end by SIGTERM, as batch systems do, it removes what is half written and ends.
    """
    signal.signal(signal.SIGTERM, _end)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed
            setattr(sys, name, open(os.devnull, "w"))
        with contextlib.suppress(AttributeError, OSError):  # a notebook's stream
            getattr(sys, name).reconfigure(errors="backslashreplace")  # what a screen of ASCII cannot show
    try:
        sys.argv[1:] = map(home_written_out, sys.argv[1:])
        main(*arguments, **options)
        print(end="", flush=True)
        return
    except InputError as error:
        message, code = str(error), 2
    except OSError as error:  # a full disk, a read-only folder
        message, code = f"{error.strerror or error}: {error.filename or 'while reading or writing files'}.", 2
    except MemoryError as error:
        message, code = f"Not enough memory: {reason(error)}.", 2
    except KeyboardInterrupt as stop:
        message, code = str(stop) or "Stopped.", 130
    try:
        print(end="", flush=True)
    except OSError:
        sys.stdout = None  # a full disk or a closed pipe, of which Python would complain again at its end
    print(printable(message), file=sys.stderr)
    sys.exit(code)


def _end(number, frame):
    """Leave nothing half written, then end as the signal would have done.

    Not by an exception, as Ctrl-C: one that is raised while Python collects garbage is lost.
    """
    for path in list(_begun):
        _remove(path)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _remove(path):
    """Remove a file or a folder, if that can be done."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def end_quietly():
    """Let Ctrl-C end a script in a word, not in a traceback, from its first line on: packages take long to load."""

    def hook(kind, error, trace):
        if issubclass(kind, KeyboardInterrupt):
            print("Stopped.", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


def home_written_out(word):
    """A word of a command with the `~` at its start or behind a `=` written out; shells do that at its start only."""
    if not word.isprintable():
        raise InputError(f"{word!r:.60}: only printable characters can be used here.")

    def home(match):
        folder = os.path.expanduser(match[0])
        if folder == match[0]:
            raise InputError(f"{word}: there is no home folder {match[0]} here; write the path in full.")
        return folder

    return re.sub(r"(?<![^=])~[^/\\]*(?=[/\\]|$)", home, word)


def printable(text) -> str:
    """Text without what would steer a terminal, such as the names of columns in a file from elsewhere."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


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


def note(words):
    """Say something to the person at the screen that is no error; of several processes the first alone is heard."""
    print(f"Note: {words}", flush=True)


def some(names, limit=3) -> str:
    """The first names of a long list, for a message: 'a, b, c and 4 more'."""
    names = [printable(str(name)[:200]) for name in names]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


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
    _sweep(path.parent)
    temporary = unfinished(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # netCDF's library knows only RuntimeError
        code, words = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if isinstance(error, RuntimeError) and not words.startswith("NetCDF"):
            raise
        if getattr(error, "filename", None) not in (None, str(temporary)):
            raise
        raise OSError(code or errno.EIO, words, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
        _begun.discard(temporary)


def unfinished(path):
    """The name beside `path` under which it is written before it is whole."""
    temporary = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:8]}_{path.name}")
    _begun.add(temporary)
    return temporary


@functools.cache  # once for each folder
def _sweep(folder):
    """Remove what processes that were killed left unfinished in a folder more than a day ago."""
    remove_unfinished(folder, older_than=DAY)


def remove_unfinished(folder, older_than=0):
    """Remove what has been left unfinished in a folder and not been written to for some seconds."""
    for path in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            if time.time() - path.lstat().st_mtime >= older_than:
                _remove(path)


@contextlib.contextmanager
def locked(path, busy, wait=0):
    """Hold the file `path` as a lock that ends with this process, however that ends.

    Raises
    ------
    InputError
        With the words `busy`, if another process still holds it after `wait` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait
    while (file := _lock(path)) is None:
        if time.monotonic() > until:
            raise InputError(busy)
        time.sleep(0.1)
    _begun.add(path)
    with file:
        try:
            yield
        finally:
            _begun.discard(path)
            if os.name == "nt":  # where an open file cannot be removed
                file.close()
            _remove(path)


def _lock(path):
    """The open file if this process has the lock on it, None if another one has."""
    file = path.open("ab")
    try:
        if os.name == "nt":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            file.close()
            return None
        # else a network disk that knows no locks: go on without
    if os.name != "nt" and os.fstat(file.fileno()).st_nlink == 0:  # removed by the process that had it
        file.close()
        return None
    return file


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


def regular(path, most=MOST_BYTES):
    """The path of a file that may be read whole.

    Raises
    ------
    InputError
        If it is a pipe, a device or a folder, which could be read for ever, or larger than `most` bytes.
    FileNotFoundError
        If it is not there.
    """
    path = Path(path)
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise InputError(f"{path} is no regular file; put the file itself there.")
    if state.st_size > most:
        raise InputError(f"{path} has {state.st_size:,} bytes, more than the {most:,.0f} that such a file may have.")
    return path


def read_json(path):
    """A JSON file that must hold an object.

    Raises
    ------
    InputError
        If it does not, or as `regular`; FileNotFoundError if it is not there.
    """
    try:
        content = json.loads(regular(path).read_text(encoding="utf-8"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({reason(error)}); restore it or train again.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold a JSON object; restore it or train again.")
    return content
