"""Pages for people: Swagger UI at /docs with its assets from a package, and the demo page at /."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from app.api.middleware.root_path import root_path_of

SWAGGER_ASSETS = Path(str(files("fastapi_offline"))) / "static"
WEB_ASSETS = Path(str(files("app.web"))) / "static"
_DEMO = WEB_ASSETS / "index.html"
_DOCS = WEB_ASSETS / "docs" / "index.html"
# Pages load nothing from other hosts and run no inline script, even if an answer contains one.
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
DEMO_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
# Swagger UI sets inline styles.
DOCS_HEADERS = DEMO_HEADERS | {"Content-Security-Policy": f"{_POLICY}; style-src 'self' 'unsafe-inline'"}
router = APIRouter(include_in_schema=False)


class FreshFiles(StaticFiles):
    """Files that browsers revalidate, so that an update never mixes modules of two versions."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


static_swagger = StaticFiles(directory=SWAGGER_ASSETS)
static_web = FreshFiles(directory=WEB_ASSETS)


@router.get("/docs")
async def docs() -> FileResponse:
    """Swagger UI, without requests to other hosts."""
    return FileResponse(_DOCS, headers=DOCS_HEADERS)


@router.get("/")
async def demo(request: Request) -> Response:
    """The demo page, which shows the tasks and the memory of the network. Its links are relative to its address, or to
    the path prefix of the service."""
    if root_path := root_path_of(request):
        return HTMLResponse(_page_at(root_path), headers=DEMO_HEADERS)
    return FileResponse(_DEMO, headers=DEMO_HEADERS)


@cache
def _page_at(root_path: str) -> str:
    return _DEMO.read_text(encoding="utf8").replace("<head>", f'<head>\n  <base href="{root_path}/">', 1)
