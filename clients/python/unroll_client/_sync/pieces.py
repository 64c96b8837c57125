# Generated from unroll_client/_async by `make client`; change that.
"""A source that is sent piece by piece: `pieces.send(piece)` returns the answer to all pieces so far."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Generic, Self

import httpcore

from unroll_client._sync.http import Http
from unroll_client._sync.socket import Socket
from unroll_client.calls import make_call
from unroll_client.errors import ConnectionFailed, TimedOut, UnexpectedAnswer
from unroll_client.pieces import message_of, result_of
from unroll_client.results import ResultT
from unroll_client.tasks import Task


class Pieces(Generic[ResultT]):
    """One stream to the service, which opens with the first piece. A mistake ends it, and so does a timeout: open
    another one, from `state` of the last answer if the options had `return_state`."""

    def __init__(self, http: Http, task: Task[ResultT], options: Mapping[str, Any]) -> None:
        self._http = http
        self._task = task
        self._options: Mapping[str, Any] = options
        self._socket: Socket | None = None
        self._is_over = False

    def send(self, piece: Any, /, **options: Any) -> ResultT:
        """Send what came since the piece before. Options hold for the pieces after it, too. Raises UnrollClientError
        and TypeError."""
        call = make_call(self._task, piece, {**self._options, **options})
        deadline = self._http.deadline()
        content = message_of(call, deadline)
        if self._is_over:
            raise ConnectionFailed("the stream has ended; open another one", sent=False)
        self._options = {}
        self._is_over = True
        try:
            if self._socket is None:
                self._socket = self._http.socket(f"{self._task.path}/stream", deadline)
            answer = self._socket.ask(content, deadline)
        except httpcore.TimeoutException as error:
            self.close()
            raise TimedOut("no answer to a piece within the timeout") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ValueError) as error:
            self.close()
            raise ConnectionFailed(f"the stream broke: {error or type(error).__name__}", sent=True) from error
        try:
            result = result_of(self._task, json.loads(answer))
        except ValueError as error:
            raise UnexpectedAnswer(f"{self._task.path}/stream does not answer as this service does: {error}") from error
        self._is_over = False
        return result

    def close(self) -> None:
        """Close the connection."""
        self._is_over = True
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
