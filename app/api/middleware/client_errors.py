"""Errors as the clients of other interfaces read them: a member `error` beside those of a problem.

A plain ASGI middleware outside of everything that refuses, so that it sees what the gate, the limits, the endpoints and
the framework answer.
"""

import json
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.paths import Paths
from app.api.problems import MEDIA_TYPE

Members = Callable[[Mapping[str, object]], dict[str, object]]  # of a problem, what a client reads of it


class ClientErrors:
    """Adds to the problems of each of `paths` what its client reads."""

    def __init__(self, app: ASGIApp, paths: Mapping[str, Members]) -> None:
        self._app = app
        self._paths = Paths(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._paths.find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        started: Message | None = None

        async def told(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
                return
            if started is not None:  # a problem is sent in one piece
                problem = json.loads(message["body"])
                content = json.dumps(problem | found.value(problem)).encode()
                await send(_with_length(started, len(content)))
                started, message = None, {**message, "body": content}
            await send(message)

        await self._app(scope, receive, told)


def _is_problem(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) in message["headers"]


def _with_length(message: Message, length: int) -> Message:
    others = [header for header in message["headers"] if header[0] != b"content-length"]
    return {**message, "headers": [*others, (b"content-length", str(length).encode())]}
