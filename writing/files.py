"""Files that are written whole or not at all, and locks."""

import contextlib
import errno
import json
import os
import uuid
from pathlib import Path

import filelock

from writing.messages import InputError, reason


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`; it becomes `path` when the block ends well, else it is removed.

    An OSError, of a full disk or a folder that cannot be written, names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".unfinished_{uuid.uuid4().hex[:8]}_{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None
    except RuntimeError as error:  # netCDF's library knows no other kind
        if not str(error).startswith("NetCDF"):
            raise
        raise OSError(errno.EIO, f"{error}, the disk may be full", str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path, busy, wait=0):
    """Hold the file `path` as a lock that ends with this process, however that ends.

    InputError with the message `busy` if another process still holds it after `wait` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except filelock.Timeout:
        raise InputError(busy) from None
    try:
        yield
    finally:
        lock.release()


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
    """A JSON file that must hold an object; raises InputError if it does not, FileNotFoundError if it is not there."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))  # some editors write a mark first
        if not isinstance(content, dict):
            raise ValueError("no object")
        return content
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({reason(error)}); restore it or train again.") from None
