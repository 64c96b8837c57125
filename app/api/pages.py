"""Pages for people: Swagger UI at /docs with its assets from a package, and the demo page at / with its files."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from app.api.middleware.root_path import root_path_of
from app.web.bundle import BUILT, STATIC, BuiltFile, built_file, bundle

SWAGGER_ASSETS = Path(str(files("fastapi_offline"))) / "static"
WEB_ASSETS = STATIC
_DOCS = WEB_ASSETS / "docs" / "index.html"
# Pages load nothing from other hosts and run no inline script, even if an answer contains one.
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
_A_YEAR = 31_536_000  # seconds
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


class WebFiles(FreshFiles):
    """The files of the demo page, and those that are joined of them: their names have a hash, so browsers keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See `StaticFiles.get_response`."""
        file = built_file(f"assets/web/{path}".removeprefix(BUILT))
        if file is None:
            return await super().get_response(path, scope)
        return _sent(Request(scope), file, {"Cache-Control": f"public, max-age={_A_YEAR}, immutable"})


static_swagger = StaticFiles(directory=SWAGGER_ASSETS)
static_web = WebFiles(directory=WEB_ASSETS)


@router.get("/docs")
async def docs() -> FileResponse:
    """Swagger UI, without requests to other hosts."""
    return FileResponse(_DOCS, headers=DOCS_HEADERS)


@router.get("/")
async def demo(request: Request) -> Response:
    """The demo page, which shows the tasks and the memory of the network. Its links are relative to its address, or to
    the path prefix of the service."""
    return _sent(request, _page_at(root_path_of(request), bundle().page), DEMO_HEADERS)


@lru_cache(maxsize=2)
def _page_at(root_path: str, page: str) -> BuiltFile:
    if root_path:
        page = page.replace("<head>", f'<head>\n  <base href="{root_path}/">', 1)
    return BuiltFile(page.encode(), "text/html; charset=utf-8")


def _sent(request: Request, file: BuiltFile, headers: dict[str, str]) -> Response:
    """A file, compressed if the browser takes that; without its content if the browser has it."""
    headers = {**headers, "ETag": f'"{file.tag}"', "Vary": "Accept-Encoding"}
    if file.tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
