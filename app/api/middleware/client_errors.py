"""Errors for clients of compatible interfaces: adds their error members to problems.

A plain ASGI middleware outside all that refuse requests, so that it sees every problem.
"""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import MEDIA_TYPE
from app.api.routes import match_of


class ClientErrors:
    """Adds the error members of a route to its problems."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = match_of(scope) if scope["type"] == "http" else None
        members = match.route.error_members if match is not None else None
        if members is None:
            await self._app(scope, receive, send)
            return
        started: Message | None = None

        async def send_with_members(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
                return
            if started is not None:  # a problem is sent in one piece
                problem = json.loads(message["body"])
                content = json.dumps(problem | members(problem)).encode()
                await send(_with_length(started, len(content)))
                started, message = None, {**message, "body": content}
            await send(message)

        await self._app(scope, receive, send_with_members)


def _is_problem(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) in message["headers"]


def _with_length(message: Message, length: int) -> Message:
    others = [header for header in message["headers"] if header[0] != b"content-length"]
    return {**message, "headers": [*others, (b"content-length", str(length).encode())]}
