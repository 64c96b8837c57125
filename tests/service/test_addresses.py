"""The address that `unroll serve` prints can be opened as it stands."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from unroll_client import Unroll

from tests.service.serving import started


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="NO IPV6: this machine has no address ::1, which is NOT tested")


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        pytest.param("::1", r"http://\[::1\]:\d+", marks=[needs_ipv6, pytest.mark.slow]),
        pytest.param("::", r"http://\[::\]:\d+", marks=needs_ipv6),
        ("localhost", r"http://127\.0\.0\.1:\d+"),
        pytest.param("0.0.0.0", r"http://0\.0\.0\.0:\d+", marks=pytest.mark.slow),
    ],
)
def test_the_printed_address_works(tiny_store: Path, host: str, shown: str) -> None:
    command = [sys.executable, "-m", "app", "serve", "--store", str(tiny_store), "--port", "0", "--engines", "1"]
    with started([*command, "--host", host, "--open"], f"(?<= on ){shown}(?= )") as served:
        assert httpx.get(f"{served.address}/docs").status_code == 200
        with Unroll(served.address) as client:
            assert client.sentiment("a").model == "sentiment-en"
        asking = [sys.executable, "-m", "app", "ask", "sentiment", "a", "--url", served.address]
        asked = subprocess.run(asking, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize(
    "host",
    ["no.such.host.invalid", *(pytest.param(host, marks=pytest.mark.slow) for host in ("not a host", "1.2.3.4.5"))],
)
def test_what_is_no_address(tiny_store: Path, host: str) -> None:
    command = [sys.executable, "-m", "app", "serve", "--store", str(tiny_store), "--host", host, "--open"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"{host} is no address of this machine" in ended.stderr
    assert "Traceback" not in ended.stderr
