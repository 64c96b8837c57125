"""Cancels the work of a request when its client disconnects or its deadline passes."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.errors import TimedOut

_GRACE_SECONDS = 1.0  # after the deadline, in which the engine may still send a partial answer
UNWATCHED_SECONDS = 0.05  # a shorter request ends before its client could gain by hanging up


class UntilDisconnect:
    """`async with` around the work of a request whose body has been read.

    The block is cancelled and raises ClientDisconnect when the client disconnects, or TimedOut after `deadline` (on the
    clock of `time.monotonic`) and a grace period. The client is watched from `after` seconds on.
    """

    _watch: asyncio.Task[None] | None = None

    def __init__(self, receive: Receive, deadline: float, *, after: float) -> None:
        self._receive = receive
        self._deadline, self._after = deadline, after
        self._cause: Exception | None = None

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._work = task
        self._timer = asyncio.get_running_loop().call_later(self._after, self._begin)
        return self

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._watch = loop.create_task(self._watch_client())
        self._timer = loop.call_at(
            self._deadline + _GRACE_SECONDS, self._cancel, TimedOut("no answer before the deadline; allow more time")
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        cause, work = self._cause, self._work
        self._watch = None
        del self._timer, self._work, self._receive, self._cause
        try:
            if cause is not None and work.uncancel() == 0 and kind is asyncio.CancelledError:
                raise cause from None
        finally:
            del cause, work, error, traceback  # no cycles through the traceback, which would delay freeing the request

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancel(ClientDisconnect())

    def _cancel(self, cause: Exception) -> None:
        if self._cause is None:
            self._cause = cause
            self._work.cancel()
