"""Work ends when its client disconnects or its deadline passes."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.errors import TimedOut

_GRACE_SECONDS = 1.0  # in which the engine, which knows the deadline, may still answer as far as it came


class UntilDisconnect:
    """`async with` around the work of a request whose body has been read.

    The block is cancelled when the client hangs up, and raises ClientDisconnect; when `deadline`, on the clock of
    `time.monotonic`, is well over, it raises TimedOut.
    """

    def __init__(self, receive: Receive, deadline: float) -> None:
        self._receive = receive
        self._deadline = deadline
        self._why: Exception | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._work = task
        self._watch = loop.create_task(self._hang_up())
        self._timer = loop.call_at(self._deadline + _GRACE_SECONDS, self._end, TimedOut("no answer within its time"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._watch.cancel()
        why, work = self._why, self._work
        del self._timer, self._watch, self._work, self._receive  # cycles would leave the whole request to the collector
        if why is not None and work.uncancel() == 0 and kind is asyncio.CancelledError:
            raise why from None

    async def _hang_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(ClientDisconnect())

    def _end(self, why: Exception) -> None:
        if self._why is None:
            self._why = why
            self._work.cancel()
