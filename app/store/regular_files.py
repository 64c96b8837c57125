"""Opens files of a model store that may hold anything: only regular files inside the store, and never one that blocks.

A link is followed as long as it stays inside the store. A pipe, a device or a folder is refused before it is opened.
FileDamaged is an error of the file itself, FileUnreadable one of the machine or the disk, which may pass.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from app.errors import FileDamaged, FileUnreadable, StoreError

_OF_THE_FILE = {  # no later try can read it, unless the store changes
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
    errno.ENXIO,
}
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(path: Path, *, root: Path) -> Iterator[BufferedReader]:
    """A regular file below `root`, for reading. Raises FileDamaged, or FileUnreadable, also while it is read."""
    with os.fdopen(_descriptor(path, root), "rb") as file:
        try:
            yield file
        except OSError as error:
            raise _unreadable(path, error) from error


def is_inside(path: str, folder: str) -> bool:
    """Whether a path without links is that of a folder or below it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def size_of(file: BufferedReader) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def read_whole(path: Path, *, root: Path, limit: int) -> bytes:
    """The content of a regular file below `root`, of at most `limit` bytes. Raises FileDamaged or
    FileUnreadable."""
    with opened(path, root=root) as file:
        size = size_of(file)
        content = b"" if size > limit else file.read(limit + 1)
    if max(size, len(content)) > limit:
        raise FileDamaged(f"{path.name} has {max(size, len(content)):,} bytes; the limit is {limit:,}")
    return content


def _descriptor(path: Path, root: Path) -> int:
    try:
        real = os.path.realpath(path)
        if not is_inside(real, os.path.realpath(root)):
            raise FileDamaged(f"{path.name} is a link out of the model store: put the file itself into the version")
        if not stat.S_ISREG(os.lstat(real).st_mode):
            raise FileDamaged(f"{path.name} is not a regular file: put a file with its content into the version")
        descriptor = os.open(real, _FLAGS)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # replaced since
        os.close(descriptor)
        raise FileDamaged(f"{path.name} is not a regular file: put a file with its content into the version")
    return descriptor


def _unreadable(path: Path, error: OSError) -> StoreError:
    reason = f"{path.name} cannot be read: {error.strerror or error}"
    return FileDamaged(reason) if error.errno in _OF_THE_FILE else FileUnreadable(reason)
