"""A service without keys on a loopback address, and what web pages of other sites send to it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.conftest import serving, wait_until_ready

PATHS = ("/", "/docs", "/openapi.json", "/healthz", "/metrics", "/v1/models", "/v2", "/v1/sentiment")
OURS, ALLOWED = "https://app.example", "models.example"


@pytest.fixture(scope="module")
def named(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service with another name, and an origin that may use it."""
    settings = Settings(store=tiny_store, allowed_hosts=f"{ALLOWED}, other.example", cors_origins=OURS)
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


def post(address: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{address}/v1/sentiment",
        json={"inputs": "a good film"},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:8000", "localhost.attacker.example", "127.0.0.1.attacker.example"]
)
def test_a_name_that_is_not_of_this_machine_is_refused(server: str, path: str, host: str) -> None:
    """DNS rebinding: the page's own name resolves to 127.0.0.1, so its origin is that of the service."""
    answer = httpx.get(f"{server}{path}", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/host-not-allowed"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST", "unroll.localhost:80", "127.0.0.1:1", "[::1]:8000", "10.1.2.3"]
)
def test_names_and_addresses_of_this_machine_are_answered(server: str, host: str) -> None:
    assert post(server, Host=host).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000", "Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ],
)
def test_pages_of_other_origins_cannot_use_the_tasks(server: str, headers: dict[str, str]) -> None:
    answer = post(server, **headers)
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/cross-site"


def test_an_image_element_of_another_site_reads_nothing(server: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert httpx.get(f"{server}/metrics", headers=headers).status_code == 403


def test_links_and_the_own_page_work(server: str) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx.get(f"{server}/docs", headers=link).status_code == 200
    host = server.removeprefix("http://")
    assert post(server, Origin=server, Sec_Fetch_Site="same-origin", Host=host).status_code == 200


def test_the_page_works_behind_a_proxy(server: str, named: str) -> None:
    """The proxy sends its own `Host`; the browser knows that page and service have one origin."""
    proxy = "https://models.company.example"
    assert post(server, Origin=proxy, Sec_Fetch_Site="same-origin").status_code == 200
    assert post(server, Origin=proxy, X_Forwarded_Host="models.company.example").status_code == 200
    assert post(server, Origin=proxy).status_code == 403
    assert post(named, Origin=f"https://{ALLOWED}").status_code == 200


def test_names_and_origins_can_be_allowed(named: str) -> None:
    assert post(named, Host=ALLOWED).status_code == 200
    assert post(named, Host=f"{ALLOWED}:443", Origin=OURS, Sec_Fetch_Site="cross-site").status_code == 200
    assert post(named, Host="attacker.example").status_code == 403
    assert post(named, Origin="https://attacker.example").status_code == 403


@pytest.mark.parametrize("settings", [{"allowed_hosts": "*"}, {"host": "0.0.0.0", "open": True}, {"keys": True}])
def test_elsewhere_any_name_is_answered(settings: dict[str, object], tiny_store: Path, engine_endpoint: str) -> None:
    """With keys a page of another site lacks one; on other addresses the service has names that it does not know."""
    keys = {"api_keys": '{"keys": []}'} if settings.pop("keys", False) else {}
    app = create_app(Settings(store=tiny_store, **settings, **keys), engines=[engine_endpoint])  # type: ignore[arg-type]
    with serving(app) as address:
        wait_until_ready(address)
        assert post(address, Host="anything.example").status_code == (401 if keys else 200)
