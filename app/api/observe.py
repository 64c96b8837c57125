"""Counts and times every request by its route: a plain ASGI middleware."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics


class Observe:
    """Feeds the HTTP metrics. Paths without a route count as `other`, so that nobody can add labels from outside."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()
        status = 500

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", scope.get("unroll.path", "other"))
            self._metrics.http(str(route), status, time.perf_counter() - started)
