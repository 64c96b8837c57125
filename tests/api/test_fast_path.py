"""The fast path calls tasks without FastAPI, and does everything that FastAPI would do."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from app.api.middleware.fast_path import FastPath
from app.api.middleware.observe import Observe
from app.api.problems import install_problems
from app.api.routes import Route, Routes
from app.errors import EmptyInput, Overloaded
from app.main import create_app
from app.metrics import Metrics

ERRORS: dict[str, Exception] = {
    "empty": EmptyInput("nothing is there", input=2),
    "full": Overloaded("too much", retry_after_seconds=7),
    "bug": KeyError("x"),
}


async def endpoint(request: Request) -> Response:
    kind = request.query_params.get("kind")
    if kind:
        raise ERRORS[kind]
    return Response(request.scope["path"])


async def never(request: Request) -> Response:
    raise AssertionError("the framework was asked")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.post("/task")(never)
    app.add_middleware(FastPath)
    app.add_middleware(Observe, routes=Routes([Route("/task", endpoint)]), metrics=Metrics(), log=None, tracing=None)
    return app


def ask(app: ASGIApp, method: str, path: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path)

    return asyncio.run(asked())


def test_a_post_goes_past_the_framework(app: FastAPI) -> None:
    assert ask(app, "POST", "/task").text == "/task"


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("POST", "/task?kind=empty", 422, "empty-input"),
        ("POST", "/task?kind=full", 429, "overloaded"),
        ("POST", "/task?kind=bug", 500, "internal"),
        ("GET", "/task", 405, "method-not-allowed"),
        ("POST", "/other", 404, "not-found"),
    ],
)
def test_errors_are_problems(app: FastAPI, method: str, path: str, status: int, slug: str) -> None:
    answer = ask(app, method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{slug}"
    assert ("retry-after" in answer.headers) == (status == 429)


def test_every_task_has_its_endpoint_where_the_framework_describes_it() -> None:
    app: Any = create_app(engines=[])
    (routes,) = (item.kwargs["routes"] for item in app.user_middleware if item.cls is Observe)
    described = app.openapi()["paths"]
    others = {"Administration", "Models"}
    tasks = {path for path, item in described.items() if "post" in item and not others & set(item["post"]["tags"])}
    fast = {path for path in described if (match := routes.match(path)) and match.route.endpoint is not None}
    assert fast == tasks - {"/v2/repository/index"}
