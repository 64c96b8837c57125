"""Errors for clients of compatible interfaces: adds their error members to problems.

A plain ASGI middleware outside all that refuse requests, so that it sees every problem.
"""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import MEDIA_TYPE
from app.api.routes import ErrorMembers, match_of


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
                start, message = with_members(started, message, members)
                started = None
                await send(start)
            await send(message)

        await self._app(scope, receive, send_with_members)


def _is_problem(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) in message["headers"]


def with_members(start: Message, body: Message, members: ErrorMembers) -> tuple[Message, Message]:
    """The two messages of a problem, with the error members of a route."""
    problem = json.loads(body["body"])
    content = json.dumps(problem | members(problem)).encode()
    others = [header for header in start["headers"] if header[0] != b"content-length"]
    headers = [*others, (b"content-length", str(len(content)).encode())]
    return {**start, "headers": headers}, {**body, "body": content}
