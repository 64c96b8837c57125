"""The tasks' own way in: a plain ASGI middleware that calls their endpoints past the framework's routing.

The framework describes these routes and answers every other method; its routing and its dependencies cost a task more
than validation, tokenizer and sockets together, and much of the time of a request that is refused (ADR 7).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware.admission import Admission, full
from app.api.paths import Paths
from app.api.problems import response_of
from app.errors import Overloaded

Endpoint = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """Calls the endpoint of a POST to one of its paths; what an endpoint raises becomes a problem, as anywhere."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], admission: Admission) -> None:
        self._app = app
        self._endpoints = Paths(endpoints)
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._endpoints.find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = found.parameters
        request = Request(scope, receive, send)
        answer: ASGIApp
        try:
            answer = await found.value(request)
        except Overloaded:
            answer = full(self._admission, self._admission.retry_after())
        except Exception as error:
            answer = await response_of(request, error)
        with suppress(ClientDisconnect):  # in the middle of a stream: nobody is left to be told
            await answer(scope, receive, send)
