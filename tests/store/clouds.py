"""Object stores that run here: S3 (moto), Google's (gcp-storage-emulator), and the little of a Hugging Face Hub that is
read."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import fsspec

from tests.service.serving import until

REPOSITORY = "me/store"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def s3_bucket() -> Iterator[str]:
    """The URL of a bucket of an S3 server; s3fs is led to it by the environment."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["moto.server", "-H", "127.0.0.1", "-p", str(port)]
    names = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": address}
    with _running(command, address), environment(names):
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # it would go on asking the server before this one
        fsspec.filesystem("s3").mkdir("models")
        yield "s3://models"


def upload(folder: Path, url: str) -> None:
    """The folder of a version into a store. The manifest last: nothing is a version before it is there."""
    files, path = fsspec.core.url_to_fs(url)
    for file in sorted(folder.iterdir(), key=lambda file: file.name == "manifest.json"):
        files.pipe_file(f"{path}/{folder.parent.name}/{folder.name}/{file.name}", file.read_bytes())


@contextmanager
def google_server() -> Iterator[str]:
    """The address of a server of Google Cloud Storage with a bucket `models`; gcsfs is led to it by the environment."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["gcp_storage_emulator", "start", "-H", "127.0.0.1", "--port", str(port), "-q", "-M"]
    with (
        _running([*command, "--default-bucket", "models"], f"{address}/storage/v1/b"),
        environment({"STORAGE_EMULATOR_HOST": address}),
    ):
        yield address


@contextmanager
def hub_server(folder: Path) -> Iterator[str]:
    """The address of a Hub whose one repository has the files of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Hub,), {"folder": folder}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def environment(names: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in names}
    os.environ |= names
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _running(module: list[str], address: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )

    def answers() -> bool:
        try:
            return bool(urlopen(address).status)
        except OSError:
            return False

    try:
        until(answers)
        yield
    finally:
        process.kill()
        process.wait()


class _Hub(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        tree, files = f"/api/models/{REPOSITORY}/tree/main", f"/{REPOSITORY}/resolve/main/"
        if path.startswith(tree) and (place := self.folder / path.removeprefix(tree).strip("/")).is_dir():
            self._answer(200, json.dumps([self._entry(child) for child in sorted(place.iterdir())]).encode())
        elif path.startswith(files) and (file := self.folder / path.removeprefix(files)).is_file():
            self._send_part(file.read_bytes())
        elif path == f"/api/models/{REPOSITORY}":
            self._answer(200, json.dumps({"id": REPOSITORY, "sha": "0" * 40, "tags": [], "siblings": []}).encode())
        else:
            code = "EntryNotFound" if path.startswith((tree, files)) else "RepoNotFound"
            self._answer(404, b"{}", {"X-Error-Code": code})

    def _entry(self, path: Path) -> dict[str, object]:
        entry = {"type": "directory", "path": str(path.relative_to(self.folder)), "oid": "0" * 40, "size": 0}
        if path.is_file():
            content = path.read_bytes()
            entry |= {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content)}
        return entry

    def _send_part(self, content: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self._answer(200, content)
            return
        first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        self._answer(206, part, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"})

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass
