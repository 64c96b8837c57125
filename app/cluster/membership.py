"""A front end or an engine as a member of the cluster: it reports to the coordinator, and follows its directory."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import msgspec

from app.cluster.directory import Directory, Report
from app.desired_state import DesiredState
from app.errors import NotReady

_RETRY_SECONDS = 0.5
_CALL_SECONDS = 15.0  # longest wait for an answer of the coordinator, which may be gone with its machine
_LEAVE_SECONDS = 2.0
_ASK_SECONDS = 30.0  # of a change, while the coordinator restarts
_STORES_SECONDS = 620.0  # until all members have brought their copies of the store up to date
_STORE_RETRY_SECONDS = 5.0

log = logging.getLogger("unroll.cluster")


class Coordinate(Protocol):
    """Calls a method of the coordinator, on whichever machine it is. It may fail in any way while that restarts."""

    async def __call__(self, method: str, *arguments: Any) -> Any: ...


class Membership:
    """A member of the cluster. `desired` is the state at the start of a cluster. `update_store` brings the copy of the
    store up to date. `on_change` is called with each directory."""

    def __init__(self, coordinate: Coordinate, desired: DesiredState, update_store: Callable[[], None]) -> None:
        self.on_change: Callable[[Directory], None] = lambda directory: None
        self.directory: Directory
        self._coordinate = coordinate
        self._update_store = update_store
        self._report = Report(member=uuid.uuid4().hex, desired=desired)
        self._sent: Report | None = None
        self._news = asyncio.Event()
        self._updates = 0  # of the directory that the copy of the store has followed
        self._newer_store = asyncio.Event()

    @property
    def name(self) -> str:
        return self._report.member

    async def join(self) -> None:
        """Report, and learn the directory; wait for a coordinator if there is none."""
        while not await self._try(self._send):  # noqa: ASYNC110 - the coordinator cannot say that it is back
            await asyncio.sleep(_RETRY_SECONDS)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the directory, and report what changes here, inside this context; then leave the cluster."""
        work = (self._follow(), self._keep_reported(), self._keep_store())
        tasks = [asyncio.create_task(each) for each in work]
        self.on_change(self.directory)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):  # there may be no coordinator
                await self._call("leave", self.name, seconds=_LEAVE_SECONDS)

    def change(self, **members: Any) -> None:
        """Change what is reported of this member."""
        self._report = msgspec.structs.replace(self._report, **members)
        self._news.set()

    async def ask(self, method: str, *arguments: Any, seconds: float = _CALL_SECONDS) -> Any:
        """Call a method of the coordinator, which answers in `seconds`, again while it restarts. Raises NotReady."""
        end = time.monotonic() + _ASK_SECONDS
        while time.monotonic() < end:
            try:
                return await self._call(method, *arguments, seconds=seconds)
            except Exception as error:
                log.warning("the coordinator does not answer: %r", error)
            await asyncio.sleep(_RETRY_SECONDS)
        raise NotReady("the coordinator of the cluster does not answer; retry in a moment")

    async def update_stores(self) -> None:
        """Return when every member has tried to bring its copy of the store up to date. Raises NotReady."""
        await self.ask("update_stores", seconds=_STORES_SECONDS)

    def learn(self, directory: Directory) -> None:
        """Take over a directory, unless a newer one of the same coordinator is known. A coordinator that knows an older
        desired state gets the newer one."""
        known: Directory | None = getattr(self, "directory", None)
        if known is not None and known.coordinator == directory.coordinator and known.number > directory.number:
            return
        desired = max(self._report.desired, directory.desired, key=lambda state: state.revision)
        if known is None:
            desired = directory.desired
        self.directory = msgspec.structs.replace(directory, desired=desired)
        if desired != self._report.desired:
            self.change(desired=desired)
        elif desired.revision > directory.desired.revision:
            self._sent = None
            self._news.set()
        self._newer_store.set()
        self.on_change(self.directory)

    def learn_desired(self, desired: DesiredState) -> None:
        """Take over a desired state before the directory has it."""
        self.learn(msgspec.structs.replace(self.directory, desired=desired))

    async def _follow(self) -> None:
        while True:
            if not await self._try(self._watch):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _keep_store(self) -> None:
        """Bring the copy of the store up to date as often as the directory says, beside the watch: a copy may take
        longer than the coordinator waits for a silent member. One that fails does not hold up the others, and is tried
        again."""
        while True:
            await self._newer_store.wait()
            self._newer_store.clear()
            while (updates := self.directory.updates) > self._updates:
                try:
                    await asyncio.to_thread(self._update_store)
                    self._updates = updates
                except Exception as error:
                    log.warning("the copy of the store is not up to date: %s", getattr(error, "detail", repr(error)))
                self.change(updates=updates)
                if self._updates < updates:
                    await asyncio.sleep(_STORE_RETRY_SECONDS)

    async def _keep_reported(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._sent != self._report and not await self._try(self._send):  # noqa: ASYNC110 - as above
                await asyncio.sleep(_RETRY_SECONDS)

    async def _watch(self) -> None:
        directory = await self._call("watch", self.name, self.directory.coordinator, self.directory.number)
        if directory is None:
            await self._send()
        else:
            self.learn(directory)

    async def _send(self) -> None:
        report = self._report
        directory = await self._call("report", report)
        self._sent = report
        self.learn(directory)

    async def _call(self, method: str, *arguments: Any, seconds: float = _CALL_SECONDS) -> Any:
        async with asyncio.timeout(seconds):
            return await self._coordinate(method, *arguments)

    async def _try(self, call: Any) -> bool:
        try:
            await call()
        except Exception as error:
            log.warning("the coordinator does not answer: %r", error)
            return False
        return True
