"""A service without keys on a loopback address, and pages that another program of the same machine serves.

Browsers send `Sec-Fetch-Site` to addresses and localhost; to the machine's own name over HTTP only `Origin`.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.conftest import serving, wait_until_ready

MACHINE = socket.gethostname().lower()
ALLOWED, FRONT_END = "models.example", "http://localhost:3000"


@pytest.fixture(scope="module")
def allowing(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service with an allowed name, and the origin of a developer's front end."""
    settings = Settings(store=tiny_store, allowed_hosts=ALLOWED, cors_origins=FRONT_END)
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


def status_of(address: str, origin: str, host: str | None = None) -> int:
    headers = {"Origin": origin} | ({} if host is None else {"Host": host})
    return httpx.post(f"{address}/v1/sentiment", json={"inputs": "a good film"}, headers=headers).status_code


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (f"http://{MACHINE}:3000", f"{MACHINE}:8000"),
        (f"http://{MACHINE}", f"{MACHINE}:8000"),
        (f"http://{MACHINE}:3000", None),
        (FRONT_END, None),
        ("http://127.0.0.1:3000", None),
        ("http://[::1]:3000", "[::1]:8000"),
    ],
)
def test_another_port_of_this_machine_is_another_origin(server: str, origin: str, host: str | None) -> None:
    assert status_of(server, origin, host) == 403


@pytest.mark.parametrize("host", [f"{MACHINE}:8000", "localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_the_own_origin_is_the_host_of_the_request(server: str, host: str) -> None:
    assert status_of(server, f"http://{host}", host) == 200


def test_origins_that_the_settings_name(allowing: str) -> None:
    assert status_of(allowing, FRONT_END) == 200
    assert status_of(allowing, f"https://{ALLOWED}") == 200
    for origin in (f"https://{ALLOWED}:8443", "http://localhost:3001", f"http://{MACHINE}:3000"):
        assert status_of(allowing, origin) == 403
