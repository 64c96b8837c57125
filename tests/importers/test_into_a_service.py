"""`unroll import --into` sends a version to a running service, which serves it at once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import click
import httpx
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from app.cli.into import next_version
from app.cli.main import main
from tests.conftest import serving_store
from tests.importers.importing import saved
from tests.service.versions import KEY


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """A service over an empty store."""
    folder = tmp_path / "engine"
    folder.mkdir()
    store = tmp_path / "served"
    store.mkdir()
    with serving_store(store, folder, admin_key=KEY, max_version_bytes=200_000) as address:
        yield address


def _forecaster() -> nn.Module:
    torch.manual_seed(1)
    return nn.ModuleDict({"lstm": nn.LSTM(1, 4), "fc": nn.Linear(4, 1)})


def _into(address: str, folder: Path, module: nn.Module, *options: str, key: str = KEY) -> tuple[int, str]:
    arguments = [saved(folder, module), "--usual", "--scaler=none", f"--into={address}", f"--key={key}", *options]
    ran = CliRunner().invoke(main, ["import", "--name=mine", *arguments])
    return ran.exit_code, ran.output


def test_a_running_service_answers_with_it(service: str, tmp_path: Path) -> None:
    for version in (1, 2):
        code, printed = _into(service, tmp_path, _forecaster())
        assert code == 0, printed
        assert f"{service} serves mine/{version}" in printed
        assert f"--url {service}" in printed
    line = printed.strip().splitlines()[-1].replace("unroll ask", f"{sys.executable} -m app ask")
    ran = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("step"), ran.stdout
    answer = httpx.post(f"{service}/v1/forecast", json={"inputs": [1, 2, 3]}, timeout=30)  # it is the only one
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["version"] == 2
    assert [model["default"] for model in httpx.get(f"{service}/v1/models").json()["models"]] == [True, True]


def test_without_an_administrators_key_it_is_refused(service: str, tmp_path: Path) -> None:
    code, printed = _into(service, tmp_path, _forecaster(), key="wrong")
    assert code == 1
    assert "give an administrator's key" in printed
    assert httpx.get(f"{service}/v1/models").json()["models"] == []


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, printed = _into("http://127.0.0.1:9", tmp_path, _forecaster())
    assert code == 1
    assert "http://127.0.0.1:9 does not answer" in printed


class _Another(BaseHTTPRequestHandler):
    """A server of something else."""

    body = b""
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{}", 200, "is no Unroll service"),
        (b"<html>", 200, "is no Unroll service"),
        (b"[]", 200, "is no Unroll service"),
        (b'{"models": [1], "broken": []}', 200, "is no Unroll service"),
        (b'{"models": [], "broken": [{"model": 1}]}', 200, "is no Unroll service"),
        (b"[]", 500, "status 500"),
        (b'{"detail": "\\u001b]0;title\\u0007"}', 500, r"\x1b]0;title\x07"),
    ],
)
def test_another_server_is_named(body: bytes, status: int, said: str) -> None:
    handler = type("Handler", (_Another,), {"body": body, "status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(click.ClickException) as caught:
            next_version(f"http://127.0.0.1:{server.server_port}", None, "mine")
    assert said in caught.value.message


def test_a_version_above_the_limit_is_refused_and_forgotten(service: str, tmp_path: Path) -> None:
    code, printed = _into(service, tmp_path, nn.ModuleDict({"lstm": nn.LSTM(1, 150), "fc": nn.Linear(150, 1)}))
    assert code == 1
    assert "limit of max_version_bytes" in printed
    assert not [path for path in (tmp_path / "served").rglob("*") if path.is_file()]


def _put(service: str, file: str, content: bytes, offset: int = 0, name: str = "mine") -> httpx.Response:
    return httpx.put(
        f"{service}/v1/models/{name}/uploads/1/{file}",
        params={"offset": offset},
        content=content,
        headers={"Authorization": f"Bearer {KEY}"},
    )


def test_pieces_that_do_not_fit_are_refused(service: str, tmp_path: Path) -> None:
    assert _put(service, "weights.safetensors", b"abc").json()["bytes"] == 3
    wrong = _put(service, "weights.safetensors", b"def", offset=7)
    assert (wrong.status_code, wrong.json()["offset"]) == (422, 3)
    assert _put(service, "weights.safetensors", b"def", offset=3).json()["bytes"] == 6
    assert _put(service, ".hidden", b"a").status_code == 422
    assert _put(service, "..%2f..%2fescape", b"a").status_code in (404, 422)
    assert _put(service, "a", b"a", name="..").status_code in (404, 405, 422)
    assert "missing or invalid" in _put(service, "manifest.json", b"{}").json()["detail"]
    assert not (tmp_path / "served" / "mine" / "1").exists()
    assert httpx.get(f"{service}/v1/models").json()["models"] == []
    assert not list(tmp_path.rglob("escape*"))


def test_a_file_that_was_damaged_on_its_way_is_refused(service: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = [
        "import",
        "--name=mine",
        saved(tmp_path, _forecaster()),
        "--usual",
        f"--store={store}",
        "--scaler=none",
    ]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    folder = store / "mine" / "1"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    for file in files:
        content = (folder / file).read_bytes()
        assert _put(service, file, content[:-1] + bytes([content[-1] ^ 1])).status_code == 200
    refused = _put(service, "manifest.json", (folder / "manifest.json").read_bytes())
    assert "was damaged on its way" in refused.json()["detail"]
