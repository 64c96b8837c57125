"""Stores at URLs: fsspec's local and memory file systems, and an S3 server that runs here."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import fsspec
import pytest

from app.errors import StoreUnreachable
from app.store.model_store import read_store
from app.store.remote import RemoteStore
from app.store.source import read_defaults
from tests.service.serving import until

NAME = "sentiment-en"


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server with a bucket."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    names = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": address}
    before = {name: os.environ.get(name) for name in names}
    os.environ |= names

    def answers() -> bool:
        try:
            return bool(urlopen(address).status)
        except OSError:
            return False

    try:
        until(answers)
        fsspec.filesystem("s3").mkdir("models")
        yield "s3://models"
    finally:
        process.kill()
        process.wait()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(params=["file", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, tiny_store: Path) -> str:
    """A store with one model."""
    place = uuid.uuid4().hex
    bases = {"file": f"file://{tmp_path}/remote", "memory": "memory://"}
    base = bases.get(request.param) or request.getfixturevalue("s3")
    put(f"{base}/{place}", tiny_store / NAME / "1", 1)
    return f"{base}/{place}"


def put(url: str, folder: Path, version: int) -> None:
    files, path = fsspec.core.url_to_fs(url)
    files.makedirs(f"{path}/{NAME}/{version}", exist_ok=True)
    for file in folder.iterdir():
        files.pipe_file(f"{path}/{NAME}/{version}/{file.name}", file.read_bytes())


def test_a_store_at_a_url_is_mirrored_and_kept_up_to_date(url: str, tmp_path: Path, tiny_store: Path) -> None:
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    (version,) = read_store(store.root).versions
    assert version.manifest.key == f"{NAME}/1"
    stamp = version.folder.stat().st_mtime_ns
    store.update(NAME)
    assert version.folder.stat().st_mtime_ns == stamp  # nothing was copied again
    store.write_default(NAME, 1)
    assert read_defaults(store.root) == {NAME: 1}
    another = RemoteStore(url, tmp_path / "another")
    another.update()
    assert read_defaults(another.root) == {NAME: 1}
    another.write_default(NAME, None)
    store.update()
    assert read_defaults(store.root) == {}
    files, path = fsspec.core.url_to_fs(url)
    put(url, tiny_store / NAME / "1", 2)
    files.rm(f"{path}/{NAME}/1", recursive=True)
    store.update()
    assert [path.name for path in (store.root / NAME).iterdir()] == ["2"]


def test_what_was_damaged_on_the_way_is_reported(url: str, tmp_path: Path) -> None:
    files, path = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{path}/{NAME}/1/tokenizer.json", b"{}")
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    (broken,) = read_store(store.root).broken
    assert "tokenizer.json does not have the SHA-256" in broken.reason


def test_what_was_damaged_on_the_way_is_copied_again(url: str, tmp_path: Path) -> None:
    files, path = fsspec.core.url_to_fs(url)
    good = files.cat_file(f"{path}/{NAME}/1/tokenizer.json")
    files.pipe_file(f"{path}/{NAME}/1/tokenizer.json", b"{}")
    RemoteStore(url, tmp_path / "cache").update()
    files.pipe_file(f"{path}/{NAME}/1/tokenizer.json", good)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    assert not read_store(store.root).broken


def test_a_copy_that_was_cut_short_shows_nothing_and_goes_on(tmp_path: Path, tiny_store: Path) -> None:
    url = f"memory:///{uuid.uuid4().hex}"
    put(url, tiny_store / NAME / "1", 1)
    store = RemoteStore(url, tmp_path / "cache")
    opened: list[str] = []
    real = store._files.open

    def fails_at_the_second(path: str, mode: str) -> object:
        opened.append(path)
        if len(opened) == 2:
            raise OSError("the line is cut")
        return real(path, mode)

    store._files.open = fails_at_the_second
    try:
        with pytest.raises(StoreUnreachable, match="the line is cut"):
            store.update()
        assert read_store(store.root).versions == ()
        store.update()
    finally:
        del store._files.open
    assert len(opened) == 3  # the first file was not copied again
    assert len(read_store(store.root).versions) == 1


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="nowhere"):
        RemoteStore("nowhere://x", tmp_path)
