"""The fast path of tasks: a plain ASGI middleware that calls their endpoints without FastAPI's routing.

FastAPI describes these routes and answers every other method. Its routing and dependencies take more time than
validation, tokenizer and sockets of a task together (ADR 7).
"""

from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import response_of
from app.api.routes import task_match_of


class FastPath:
    """Calls the endpoint of a POST to a task. An error becomes a problem, as on other routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = task_match_of(scope)
        if match is None or match.route.endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = match.parameters
        request = Request(scope, receive, send)
        try:
            answer = await match.route.endpoint(request)
        except Exception as error:
            answer = await response_of(request, error)
        with suppress(ClientDisconnect):  # during a stream: no client is left
            await answer(scope, receive, send)
