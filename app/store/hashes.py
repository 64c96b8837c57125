"""SHA-256 of files, read in pieces. A service computes that of a large file once, for all its processes."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

HashOf = Callable[[BufferedReader], str]
FOLDER = "hashes"  # in the service folder
_SHARED_BYTES = 2**20  # size from which a hash costs more than its record
_DIGITS = 64


def sha256_of(file: BufferedReader) -> str:
    """The SHA-256 of an open file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


class Hashes:
    """Remembers the SHA-256 of each file that has not changed since: here, and for large files in a `folder` that the
    processes of a service share. A file is known by its place on the disk, its size and the times of its last changes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}
        if folder is not None:
            with suppress(OSError):  # as below
                folder.mkdir(exist_ok=True)

    def of(self, file: BufferedReader) -> str:
        """The SHA-256 of an open file."""
        stat = os.fstat(file.fileno())
        identity = f"{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
        if identity not in self._known:
            is_shared = self._folder is not None and stat.st_size >= _SHARED_BYTES
            self._known[identity] = self._shared(identity, file) if is_shared else sha256_of(file)
        return self._known[identity]

    def _shared(self, identity: str, file: BufferedReader) -> str:
        """One process computes it; those that need it meanwhile wait for its lock. It is not shared if the folder is
        full, or gone because the service is ending."""
        assert self._folder is not None
        known = ""
        with suppress(OSError):
            record = os.open(self._folder / identity, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(record, fcntl.LOCK_EX)
                recorded = os.read(record, _DIGITS).decode()
                known = recorded if len(recorded) == _DIGITS else sha256_of(file)
                if known != recorded:
                    os.pwrite(record, known.encode(), 0)
            finally:
                os.close(record)
        return known or sha256_of(file)
