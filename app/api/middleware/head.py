"""HEAD: a plain ASGI middleware that answers it as GET. The server leaves the body out. FastAPI routes GET alone."""

from starlette.types import ASGIApp, Receive, Scope, Send

_ROUTE = "route"  # key of the route that FastAPI chose, in a scope


class Head:
    """Has the app answer a GET, so that the headers are those of GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        read = {**scope, "method": "GET"}
        try:
            await self._app(read, receive, send)
        finally:
            if _ROUTE in read:  # for metrics and the request log
                scope[_ROUTE] = read[_ROUTE]
