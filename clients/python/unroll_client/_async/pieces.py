"""A source that is sent piece by piece: `await pieces.send(piece)` returns the answer to all pieces so far."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Generic, Self

import httpcore

from unroll_client._async.http import AsyncHttp
from unroll_client._async.socket import AsyncSocket
from unroll_client.calls import make_call_async
from unroll_client.errors import ConnectionFailed, TimedOut, UnexpectedAnswer
from unroll_client.pieces import message_of, result_of
from unroll_client.results import ResultT
from unroll_client.tasks import Task


class AsyncPieces(Generic[ResultT]):
    """One stream to the service, which opens with the first piece. A mistake ends it, and so does a timeout: open
    another one, from `state` of the last answer if the options had `return_state`."""

    def __init__(self, http: AsyncHttp, task: Task[ResultT], options: Mapping[str, Any]) -> None:
        self._http = http
        self._task = task
        self._options: Mapping[str, Any] = options
        self._socket: AsyncSocket | None = None
        self._is_over = False

    async def send(self, piece: Any, /, **options: Any) -> ResultT:
        """Send what came since the piece before. Options hold for the pieces after it, too. Raises UnrollClientError
        and TypeError."""
        call = await make_call_async(self._task, piece, {**self._options, **options})
        deadline = self._http.deadline()
        content = message_of(call, deadline)
        if self._is_over:
            raise ConnectionFailed("the stream has ended; open another one", sent=False)
        self._options = {}
        self._is_over = True
        try:
            if self._socket is None:
                self._socket = await self._http.socket(f"{self._task.path}/stream", deadline)
            answer = await self._socket.ask(content, deadline)
        except httpcore.TimeoutException as error:
            await self.aclose()
            raise TimedOut("no answer to a piece within the timeout") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ValueError) as error:
            await self.aclose()
            raise ConnectionFailed(f"the stream broke: {error or type(error).__name__}", sent=True) from error
        try:
            result = result_of(self._task, json.loads(answer))
        except ValueError as error:
            raise UnexpectedAnswer(f"{self._task.path}/stream does not answer as this service does: {error}") from error
        self._is_over = False
        return result

    async def aclose(self) -> None:
        """Close the connection."""
        self._is_over = True
        if self._socket is not None:
            await self._socket.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
