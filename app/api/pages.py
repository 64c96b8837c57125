"""Pages for people: Swagger UI at /docs with its assets from a package, and the demo page at / with its files."""

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from app.api.middleware.root_path import root_path_of
from app.web.bundle import BUILT, STATIC, BuiltFile, built_file, bundle

SWAGGER_ASSETS = Path(str(files("fastapi_offline"))) / "static"
WEB_ASSETS = STATIC
# Pages load nothing from other hosts and run no inline script, even if an answer contains one.
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
_A_YEAR = 31_536_000  # seconds
DEMO_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
# Swagger UI sends a text of JSON lines as one JSON string.
_LINES_AS_THEY_ARE = b"""
requestInterceptor: (request) => {
  if (request.headers["Content-Type"] === "application/x-ndjson") request.body = JSON.parse(request.body);
  return request;
},
"""
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
async def docs() -> HTMLResponse:
    """Swagger UI, without requests to other hosts."""
    return _DOCS


def _swagger_ui() -> HTMLResponse:
    """The page has one inline script, which the policy allows by its hash, and sets inline styles. Its links are
    relative, for a path prefix."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Unroll",
        swagger_js_url="assets/swagger/swagger-ui-bundle.js",
        swagger_css_url="assets/swagger/swagger-ui.css",
        swagger_favicon_url="assets/web/favicon.svg",
        swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0},
    )
    page = HTMLResponse(bytes(page.body).replace(b"SwaggerUIBundle({", b"SwaggerUIBundle({" + _LINES_AS_THEY_ARE, 1))
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    policy = f"{_POLICY}; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'"
    page.headers.update({"Content-Security-Policy": policy, "Cache-Control": "no-cache"})
    return page


_DOCS = _swagger_ui()


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
