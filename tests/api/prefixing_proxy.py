"""A real proxy in front of a service, at a path prefix."""

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

PREFIX = "/unroll"
_OF_CONNECTION = {"host", "content-length", "transfer-encoding", "connection"}


def prefixing_proxy(service: str, *, strips: bool) -> FastAPI:
    """Forwards paths that begin with the prefix, without it if the proxy `strips`. All others get 404."""
    app = FastAPI(openapi_url=None)

    async def forward(request: Request) -> Response:
        path = request.scope["path"]
        if path != PREFIX and not path.startswith(f"{PREFIX}/"):
            return Response("not of this service", status_code=404)
        path = path.removeprefix(PREFIX) if strips else path
        headers = [(name, value) for name, value in request.headers.items() if name not in _OF_CONNECTION]
        query = f"?{request.url.query}" if request.url.query else ""
        async with (
            httpx.AsyncClient(timeout=100) as client,
            client.stream(
                request.method, f"{service}{path or '/'}{query}", headers=headers, content=await request.body()
            ) as answer,
        ):
            content = b"".join([part async for part in answer.aiter_raw()])  # compressed, as it came
        kept = {name: value for name, value in answer.headers.items() if name not in _OF_CONNECTION}
        return Response(content, answer.status_code, kept)

    app.add_route("/{path:path}", forward, methods=["GET", "HEAD", "POST", "PUT"])
    return app
