"""HEAD on every GET route: the status and headers of GET, and no body."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from app.api import pages
from app.main import create_app
from app.settings import Settings
from tests.api.operations import ADMIN_KEY, OPERATIONS
from tests.conftest import serving, wait_until_ready

HIDDEN = [route.path for route in pages.router.routes if isinstance(route, APIRoute)]
PAGES = [*HIDDEN, "/openapi.json", "/assets/web/app.js", "/assets/swagger/swagger-ui.css"]
GETS = [*PAGES, *(operation.url for operation in OPERATIONS if operation.method == "GET")]
VARYING = {"date", "x-request-id", "server-timing"}


def stable(headers: httpx.Headers, path: str) -> dict[str, str]:
    varying = VARYING | ({"content-length"} if path == "/metrics" else set())
    return {name: value for name, value in headers.items() if name not in varying}


@pytest.mark.parametrize("path", [*GETS, "/v1/models/nobody", "/v2/models/nobody", "/no-such-path", "/docs/"])
def test_head_is_get_without_a_body(http: httpx.Client, path: str) -> None:
    head, got = http.head(path), http.get(path)
    assert head.status_code == got.status_code
    assert stable(head.headers, path) == stable(got.headers, path)
    assert "content-length" in head.headers
    assert head.content == b""


def test_the_connection_can_be_used_again(server: str) -> None:
    """Bytes of a body would be read as the next answer."""
    address = urlsplit(server)
    connection = HTTPConnection(address.hostname or "", address.port)
    for path in GETS * 2:
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/v1/sentiment", "/v1/completions", "/v2/models/lm-en/generate", "/v2/repository/index"]
)
def test_head_of_other_routes_is_refused(http: httpx.Client, path: str) -> None:
    answer = http.head(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", [path for path in GETS if not path.startswith("/assets")])
def test_what_is_allowed_names_head(http: httpx.Client, path: str) -> None:
    answer = http.request("PATCH", path)
    allowed = sorted({"HEAD", *(operation.method for operation in OPERATIONS if operation.url == path), "GET"})
    assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(allowed))
    assert answer.json()["detail"] == f"PATCH is not allowed at {path}; use {', '.join(allowed)}"


def test_the_document_does_not_list_it() -> None:
    assert {operation.method for operation in OPERATIONS} == {"GET", "POST", "PUT", "DELETE"}


def test_a_key_is_needed_alike(tiny_store: object, engine_endpoint: str) -> None:
    settings = Settings(store=str(tiny_store), api_keys=SecretStr('{"keys": []}'), admin_key=SecretStr(ADMIN_KEY))
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        for path in GETS:
            statuses = [
                (
                    httpx.head(address + path, headers=headers).status_code,
                    httpx.get(address + path, headers=headers).status_code,
                )
                for headers in ({}, {"X-API-Key": "guessed"}, {"X-API-Key": ADMIN_KEY})
            ]
            assert all(head == got for head, got in statuses), (path, statuses)
            assert statuses[2] == (200, 200)
        assert httpx.head(f"{address}/v1/models").status_code == 401
        metrics = httpx.get(f"{address}/metrics", headers={"X-API-Key": ADMIN_KEY}).text
        assert 'route="/v1/models"' in metrics
