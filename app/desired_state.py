"""The versions that a running service should serve: one file, which front ends write, and front ends and engines read.

It lives as long as the service, in a private folder. Front ends change it one at a time (`turn`); the one that changed
it can wait until the others follow (`wait_for_all`). An engine that is restarted loads the versions it names. On
several machines a coordinator keeps it instead (`app.cluster`).
"""

import asyncio
import fcntl
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from app.store.publishing import write_whole

FILE = "desired_state.json"
_POLL_SECONDS = 0.02
_WAIT_SECONDS = 5.0  # longest wait for the other front ends: one may hang until its supervisor replaces it


class DesiredState(msgspec.Struct, frozen=True):
    """`versions` are folders by `name/version`; `defaults` the default version of a name, where it is not the newest;
    `failed` the reasons why versions could not be loaded; `refused` other names in the store, with the reasons;
    `unloaded` the versions that an administrator unloaded. `revision` grows with each change."""

    versions: dict[str, str] = {}
    defaults: dict[str, int] = {}
    failed: dict[str, str] = {}
    refused: dict[str, str] = {}
    unloaded: list[str] = []
    revision: int = 0


class SharedDesiredState(Protocol):
    """The desired state of one service, as one of its front ends uses it."""

    def read(self) -> DesiredState:
        """The state; inside a `turn` it is the latest."""
        ...

    def read_if_changed(self) -> DesiredState | None:
        """The state, if it changed since the last call."""
        ...

    async def write(self, state: DesiredState) -> DesiredState:
        """Write the next revision. The caller holds the `turn`. Raises NotReady."""
        ...

    def acknowledge(self, revision: int) -> None:
        """Note that this front end serves a revision."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """No other front end changes the state inside this context. Raises NotReady."""
        ...

    async def wait_for_all(self, revision: int) -> None:
        """Return when every live front end serves a revision, or after some seconds."""
        ...


def read_desired_state(path: Path) -> DesiredState:
    return msgspec.json.decode(path.read_bytes(), type=DesiredState)


def create_desired_state(folder: Path, state: DesiredState) -> Path:
    """Write the file of a service that starts."""
    path = folder / FILE
    write_whole(path, msgspec.json.encode(state))
    return path


class DesiredStateFile:
    """The file of one service: see `SharedDesiredState`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._folder = folder
        self._turn = asyncio.Lock()
        self._mark, self._mark_path = _create_mark(folder)
        self._stamp: tuple[int, int] | None = None

    def close(self) -> None:
        with suppress(OSError):
            os.unlink(self._mark_path)
        os.close(self._mark)

    def read(self) -> DesiredState:
        return read_desired_state(self.path)

    def read_if_changed(self) -> DesiredState | None:
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:  # the service is ending
            return None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp == self._stamp:
            return None
        state = self.read()
        self._stamp = stamp  # not if it could not be read
        return state

    async def write(self, state: DesiredState) -> DesiredState:
        state = msgspec.structs.replace(state, revision=self.read().revision + 1)
        write_whole(self.path, msgspec.json.encode(state))
        return state

    def acknowledge(self, revision: int) -> None:
        os.pwrite(self._mark, b"%020d" % revision, 0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._turn:
            lock = os.open(self._folder / "turn", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                while not _locked(lock):  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(_POLL_SECONDS)
                yield
            finally:
                os.close(lock)

    async def wait_for_all(self, revision: int) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while not all(self._has_acknowledged(mark, revision) for mark in self._folder.glob("front-*")):
            if time.monotonic() > end:
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _has_acknowledged(self, mark: Path, revision: int) -> bool:
        try:
            descriptor = os.open(mark, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            if _locked(descriptor):  # its process is gone
                with suppress(OSError):
                    os.unlink(mark)
                return True
            return int(os.pread(descriptor, 20, 0) or b"-1") >= revision
        finally:
            os.close(descriptor)


def _create_mark(folder: Path) -> tuple[int, str]:
    """A file for the revision that this front end serves, locked while its process lives."""
    while True:
        descriptor, path = tempfile.mkstemp(dir=folder, prefix="front-")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):
            return descriptor, path
        os.close(descriptor)  # another front end removed it before the lock, as the mark of a dead process


def _locked(descriptor: int) -> bool:
    """Take a lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
