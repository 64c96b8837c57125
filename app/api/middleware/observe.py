"""Observability: the outermost plain ASGI middleware, which matches every request to a route, counts and times it."""

import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.request_log import RequestLog
from app.api.routes import Routes, task_match_of
from app.metrics import Metrics
from app.request_context import ARRIVED, REQUEST_CONTEXT, context_of

if TYPE_CHECKING:
    from app.tracing import Tracing


class Observe:
    """Feeds HTTP metrics, request log and spans, and adds `X-Request-ID` and `Server-Timing` to responses.

    Paths without a route count as `other`, so that callers cannot add labels to metrics.
    """

    def __init__(
        self, app: ASGIApp, routes: Routes, metrics: Metrics, log: RequestLog | None, tracing: "Tracing | None"
    ) -> None:
        self._app = app
        self._routes = routes
        self._metrics = metrics
        self._log = log
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        self._routes.note(scope)
        context = context_of(scope["headers"], scope.get(ARRIVED))
        REQUEST_CONTEXT.set(context)
        status = 500

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *context.headers(time.monotonic())]}
            else:
                context.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        finally:
            seconds = time.monotonic() - context.started
            task = task_match_of(scope)
            route = task.route.path if task is not None else str(getattr(scope.get("route"), "path", "other"))
            self._metrics.http(route, status, seconds)
            if self._tracing is not None and task is not None:
                self._tracing.trace(context, scope["method"], route, status, seconds)
            if self._log is not None:
                self._log.tell(context, scope["method"], route, status, seconds)
