"""A path prefix behind a proxy: the outermost plain ASGI middleware, which removes it from the path of each request.

Proxies either remove the prefix or keep it: both work. All other parts see paths without it. Links that the service
sends are relative to the page, or begin with the prefix.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "unroll.root_path"  # in an ASGI scope


class RootPath:
    """Removes `prefix`, such as `/unroll`. Paths without it are served too."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[_KEY] = self._prefix
            path = scope["path"]
            if path == self._prefix or path.startswith(f"{self._prefix}/"):
                scope["path"] = path[len(self._prefix) :] or "/"
        await self._app(scope, receive, send)


def root_path_of(request: Request) -> str:
    """The path prefix of the service; empty without one."""
    return str(request.scope.get(_KEY, ""))
