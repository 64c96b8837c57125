"""What a running service is to serve: one file, which its front ends write and its front ends and engines read.

It lives as long as the service, in a private folder. Front ends take turns to change it (`turn`), and whoever changed
it can wait until all the others have followed (`seen_by_all`). An engine that starts again loads what it says.
"""

import asyncio
import fcntl
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from app.store.publishing import write_whole

FILE = "wanted.json"
_LOOK_SECONDS = 0.02
_SLOWEST_SECONDS = 5.0  # that the others are waited for: one may hang, and is then replaced


class Wanted(msgspec.Struct, frozen=True):
    """`versions` are folders by `name/version`; `defaults` the version of a name that answers, where it is not the
    newest; `failed` says why a version that was asked for could not be loaded; `unloaded` are those that administrators
    do not want. `revision` grows with each change."""

    versions: dict[str, str] = {}
    defaults: dict[str, int] = {}
    failed: dict[str, str] = {}
    unloaded: list[str] = []
    revision: int = 0


def read_wanted(path: Path) -> Wanted:
    return msgspec.json.decode(path.read_bytes(), type=Wanted)


def begin(folder: Path, wanted: Wanted) -> Path:
    """The file of a service that starts."""
    path = folder / FILE
    write_whole(path, msgspec.json.encode(wanted))
    return path


class Board:
    """The file of one service, as one of its front ends sees it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._folder = folder
        self._turn = asyncio.Lock()
        self._mark, self._mark_path = _marked(folder)
        self._stamp: tuple[int, int] | None = None

    def close(self) -> None:
        with suppress(OSError):
            os.unlink(self._mark_path)
        os.close(self._mark)

    def read(self) -> Wanted:
        return read_wanted(self.path)

    def read_if_changed(self) -> Wanted | None:
        """What is wanted, if the file is another one than at the last call."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:  # the service is ending
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        return self.read()

    def write(self, wanted: Wanted) -> Wanted:
        """Change what is wanted, as the next revision. Only in one's `turn`."""
        wanted = msgspec.structs.replace(wanted, revision=self.read().revision + 1)
        write_whole(self.path, msgspec.json.encode(wanted))
        return wanted

    def saw(self, revision: int) -> None:
        """This front end serves what a revision says."""
        os.pwrite(self._mark, b"%020d" % revision, 0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Nobody else changes what is wanted meanwhile."""
        async with self._turn:
            lock = os.open(self._folder / "turn", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                while not _locked(lock):  # noqa: ASYNC110 - it is held by another process
                    await asyncio.sleep(_LOOK_SECONDS)
                yield
            finally:
                os.close(lock)

    async def seen_by_all(self, revision: int) -> None:
        """Return when every front end that lives serves a revision, or after some seconds."""
        end = time.monotonic() + _SLOWEST_SECONDS
        while not all(self._has_seen(mark, revision) for mark in self._folder.glob("front-*")):
            if time.monotonic() > end:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _has_seen(self, mark: Path, revision: int) -> bool:
        try:
            descriptor = os.open(mark, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            if _locked(descriptor):  # whose process is gone
                with suppress(OSError):
                    os.unlink(mark)
                return True
            return int(os.pread(descriptor, 20, 0) or b"-1") >= revision
        finally:
            os.close(descriptor)


def _marked(folder: Path) -> tuple[int, str]:
    """A file for the last revision that this front end saw, locked as long as its process lives."""
    while True:
        descriptor, path = tempfile.mkstemp(dir=folder, prefix="front-")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):
            return descriptor, path
        os.close(descriptor)  # somebody took it for that of a dead process, before it was locked


def _locked(descriptor: int) -> bool:
    """Take a lock, if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
