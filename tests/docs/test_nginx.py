"""The nginx configuration of docs/deploy.md: requests, and sources in pieces, through a real nginx. Skipped on machines
without one."""

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.api.test_pieces import Stream
from tests.api.test_states import publish_states
from tests.conftest import PATIENCE, serving_store
from tests.service.serving import until

pytestmark = pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx, openssl")

_PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
_PATH, _MODEL = "/v1/sentiment/stream", {"model": "sentiment-en-uni"}
_PIECES = ("A warm, fu", "nny film that", " I would gladly see again.")
_ROOT = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/other;
    uwsgi_temp_path {folder}/other;
    scgi_temp_path {folder}/other;
    {server}
}}
"""


def _server(service: str, port: int, folder: Path) -> str:
    """The block of the page, for this service, port and certificate."""
    _, _, rest = _PAGE.read_text(encoding="utf8").partition("```nginx\n")
    block, _, _ = rest.partition("```")
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/models.pem", f"{folder}/models.pem"),
        ("/etc/ssl/models.key", f"{folder}/models.key"),
        ("http://127.0.0.1:8000", service),
    ):
        assert old in block
        block = block.replace(old, new)
    return block


def _certified(folder: Path) -> ssl.SSLContext:
    """Make a certificate of this machine, and trust it."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-keyout", str(folder / "models.key"), "-out", str(folder / "models.pem")]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *files, *names], check=True, capture_output=True)
    return ssl.create_default_context(cafile=str(folder / "models.pem"))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ssl.SSLContext]]:
    """The address of nginx before a service, and the certificates to trust."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "service").mkdir()
    trusted = _certified(folder)
    with (
        serving_store(publish_states(folder), folder / "service", precision="float32") as service,
        closing(socket.create_server(("127.0.0.1", 0))) as free,
    ):
        port = free.getsockname()[1]
        free.close()
        configuration = folder / "nginx.conf"
        configuration.write_text(_ROOT.format(folder=folder, server=_server(service, port, folder)), encoding="utf8")
        nginx = subprocess.Popen(["nginx", "-c", str(configuration), "-p", str(folder)])
        try:
            until(lambda: _answers(port) or nginx.poll() is not None, seconds=PATIENCE)
            yield f"https://127.0.0.1:{port}", trusted
        finally:
            nginx.terminate()
            nginx.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _at_once(proxied: tuple[str, ssl.SSLContext], text: str) -> Any:
    address, trusted = proxied
    with httpx.Client(base_url=address, verify=trusted, timeout=PATIENCE) as client:
        return client.post("/v1/sentiment", json={"inputs": text} | _MODEL).json()["results"]


def test_each_line_is_answered_before_the_next_is_sent(proxied: tuple[str, ssl.SSLContext]) -> None:
    with closing(Stream(proxied[0], trusted=proxied[1])) as stream:
        for piece, whole in zip(_PIECES, accumulate(_PIECES), strict=True):
            stream.send({"inputs": piece} | _MODEL)
            answer = stream.answer()
            assert answer is not None
            assert answer["results"] == _at_once(proxied, whole)
        stream.end()
        assert stream.answer() is None


def test_each_message_of_a_socket_is_answered(proxied: tuple[str, ssl.SSLContext]) -> None:
    with connect(proxied[0].replace("https", "wss") + _PATH, ssl=proxied[1]) as client:
        for piece, whole in zip(_PIECES, accumulate(_PIECES), strict=True):
            client.send(json.dumps({"inputs": piece} | _MODEL))
            assert json.loads(client.recv(timeout=PATIENCE))["results"] == _at_once(proxied, whole)


def test_tokens_are_passed_on(proxied: tuple[str, ssl.SSLContext]) -> None:
    members = {"inputs": "A warm, ", "model": "lm-en", "max_tokens": 5, "stream": True}
    with httpx.Client(base_url=proxied[0], verify=proxied[1], timeout=PATIENCE) as client:
        answer = client.post("/v1/complete", json=members)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in answer.text
