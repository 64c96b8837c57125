"""Stores at URLs: fsspec's local and memory file systems, and servers of S3, Google Cloud Storage and a Hub that run
here."""

import dataclasses
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest

from app.errors import StoreUnreachable
from app.store.listing import list_store
from app.store.model_store import read_store
from app.store.remote import RemoteStore
from tests.store.clouds import REPOSITORY, hub_server

NAME = "sentiment-en"


@pytest.fixture(params=["file", "memory", "s3", "gs"])
def url(request: pytest.FixtureRequest, tmp_path: Path, tiny_store: Path) -> str:
    """A store with one model."""
    place = uuid.uuid4().hex
    bases = {"file": f"file://{tmp_path}/remote", "memory": "memory://"}
    base = bases.get(request.param) or request.getfixturevalue(request.param)
    put(f"{base}/{place}", tiny_store / NAME / "1", 1)
    return f"{base}/{place}"


def put(url: str, folder: Path, version: int) -> None:
    files, path = fsspec.core.url_to_fs(url)
    files.makedirs(f"{path}/{NAME}/{version}", exist_ok=True)
    for file in folder.iterdir():
        files.pipe_file(f"{path}/{NAME}/{version}/{file.name}", file.read_bytes())


@contextmanager
def copied(url: str) -> Iterator[list[str]]:
    """The names of files that are copied meanwhile, as a list that grows; manifests are read at every look."""
    files, _ = fsspec.core.url_to_fs(url)
    real, names = files.open, []

    def noting(path: str, mode: str = "rb", **options: Any) -> Any:
        name = path.rpartition("/")[2]
        if mode == "rb" and name != "manifest.json":
            names.append(name)
        return real(path, mode, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "open", noting)
        yield names


def test_a_store_at_a_url_is_mirrored_and_kept_up_to_date(url: str, tmp_path: Path, tiny_store: Path) -> None:
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    (version,) = read_store(store.root).versions
    assert version.manifest.key == f"{NAME}/1"
    stamp = version.folder.stat().st_mtime_ns
    store.update(NAME)
    assert version.folder.stat().st_mtime_ns == stamp  # nothing was copied again
    store.write_default(NAME, 1)
    assert list_store(store.root).defaults == {NAME: 1}
    another = RemoteStore(url, tmp_path / "another")
    another.update()
    assert list_store(another.root).defaults == {NAME: 1}
    another.write_default(NAME, None)
    store.update()
    assert list_store(store.root).defaults == {}
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


def test_what_is_damaged_there_is_copied_again_only_when_it_has_changed(url: str, tmp_path: Path) -> None:
    files, path = fsspec.core.url_to_fs(url)
    good = files.cat_file(f"{path}/{NAME}/1/tokenizer.json")
    files.pipe_file(f"{path}/{NAME}/1/tokenizer.json", good[::-1])
    store = RemoteStore(url, tmp_path / "cache")
    with copied(url) as names:
        store.update()
        assert names.count("tokenizer.json") == 1
        names.clear()
        store.update()
        RemoteStore(url, tmp_path / "cache").update()  # after a restart, too
        assert names == []
        assert read_store(store.root).broken
        files.pipe_file(f"{path}/{NAME}/1/tokenizer.json", good)
        store.update()
        assert names == ["tokenizer.json"]
    assert not read_store(store.root).broken


def test_what_is_missing_there_is_copied_when_it_comes(url: str, tmp_path: Path) -> None:
    files, path = fsspec.core.url_to_fs(url)
    tokenizer = f"{path}/{NAME}/1/tokenizer.json"
    good = files.cat_file(tokenizer)
    files.rm(tokenizer)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    with copied(url) as names:
        store.update()
        assert names == []
        assert "tokenizer.json cannot be read" in read_store(store.root).broken[0].reason
        files.pipe_file(tokenizer, good)
        store.update()
        assert names == ["tokenizer.json"]
    assert not read_store(store.root).broken


def test_what_is_damaged_here_is_copied_again(url: str, tmp_path: Path) -> None:
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    (store.root / NAME / "1" / "tokenizer.json").write_text("{}")
    with copied(url) as names:
        RemoteStore(url, tmp_path / "cache").update()
    assert names == ["tokenizer.json"]
    assert not read_store(store.root).broken


def test_a_changed_manifest_copies_only_the_files_that_it_changes(url: str, tmp_path: Path) -> None:
    files, path = fsspec.core.url_to_fs(url)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    manifest = f"{path}/{NAME}/1/manifest.json"
    files.pipe_file(manifest, files.cat_file(manifest) + b"\n")
    with copied(url) as names:
        store.update()
    assert names == []
    assert (store.root / NAME / "1" / "manifest.json").read_bytes() == files.cat_file(manifest)
    assert not read_store(store.root).broken


def test_a_store_that_cannot_be_listed_loses_nothing(url: str, tmp_path: Path) -> None:
    """An outage, or credentials that are no longer valid, must not be taken for an empty store."""
    files, _ = fsspec.core.url_to_fs(url)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()

    def refuses(*arguments: object, **options: object) -> None:
        raise PermissionError("Access Denied")

    with pytest.MonkeyPatch.context() as patch:
        for method in ("ls", "info", "exists"):
            patch.setattr(files, method, refuses)
        for name in (None, NAME):
            with pytest.raises(StoreUnreachable, match="PermissionError: Access Denied"):
                store.update(name)
    assert len(read_store(store.root).versions) == 1
    files.rm(files._strip_protocol(url), recursive=True)
    with pytest.raises(StoreUnreachable, match="it does not exist"):
        store.update()
    assert len(read_store(store.root).versions) == 1


def test_a_copy_that_was_cut_short_shows_nothing_and_goes_on(tmp_path: Path, tiny_store: Path) -> None:
    url = f"memory:///{uuid.uuid4().hex}"
    put(url, tiny_store / NAME / "1", 1)
    store = RemoteStore(url, tmp_path / "cache")
    files, _ = fsspec.core.url_to_fs(url)
    with copied(url) as names:
        noting = files.open

        def fails_at_the_second(path: str, mode: str) -> object:
            if len(names) == 1:
                files.open = noting
                raise OSError("the line is cut")
            return noting(path, mode)

        files.open = fails_at_the_second
        with pytest.raises(StoreUnreachable, match="the line is cut"):
            store.update()
        assert read_store(store.root).versions == ()
        store.update()
    assert len(names) == len(set(names)) == 2  # the first file was not copied again
    assert len(read_store(store.root).versions) == 1


def test_a_bad_version_at_a_url_is_reported_beside_the_others(tmp_path: Path, tiny_store: Path) -> None:
    url = f"memory:///{uuid.uuid4().hex}"
    files, path = fsspec.core.url_to_fs(url)
    put(url, tiny_store / NAME / "1", 1)
    manifest = files.cat_file(f"{path}/{NAME}/1/manifest.json")
    contents = {
        "2": b"[" * 200_000,
        "3": b" " * 3_000_000,
        "4": manifest.replace(b'"model.safetensors"', b'"a\\u0000b"'),
        "5": manifest.replace(b'"model.safetensors"', b'".."'),
        "6": manifest.replace(b'"bytes": ', b'"bytes": 1000000'),
        "\u00b2": manifest,
        "a\0b": manifest,
    }
    for version, content in contents.items():
        files.pipe_file(f"{path}/{NAME}/{version}/manifest.json", content)
    files.pipe_file(f"{path}/\0/1/manifest.json", manifest)
    files.pipe_file(f"{path}/{NAME}/default.json", b"[" * 200_000)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    read = read_store(store.root)
    assert [version.manifest.key for version in read.versions] == [f"{NAME}/1"]
    assert {broken.key for broken in read.broken} == {f"{NAME}/{name}" for name in ("2", "3", "4", "5", "default.json")}
    refused = store.listing().refused
    assert "has room for" in refused[f"{NAME}/6"]
    store.update("..")
    assert [version.manifest.key for version in read_store(store.root).versions] == [f"{NAME}/1"]


def test_a_file_larger_than_its_manifest_says_is_not_copied_whole(tmp_path: Path, tiny_store: Path) -> None:
    url = f"memory:///{uuid.uuid4().hex}"
    files, path = fsspec.core.url_to_fs(url)
    put(url, tiny_store / NAME / "1", 1)
    tokenizer = f"{path}/{NAME}/1/tokenizer.json"
    good = files.cat_file(tokenizer)
    files.pipe_file(tokenizer, good + b" " * 10_000_000)
    store = RemoteStore(url, tmp_path / "cache")
    store.update()
    (broken,) = read_store(store.root).broken
    assert "tokenizer.json does not have the SHA-256" in broken.reason
    assert (store.root / NAME / "1" / "tokenizer.json").stat().st_size == len(good) + 1


def test_a_pipe_in_a_folder_url_does_not_block(tmp_path: Path, tiny_store: Path) -> None:
    remote = tmp_path / "remote"
    shutil.copytree(tiny_store / NAME, remote / NAME)
    shutil.copytree(remote / NAME / "1", remote / NAME / "2")
    for version, file in (("1", "tokenizer.json"), ("2", "manifest.json")):
        (remote / NAME / version / file).unlink()
        os.mkfifo(remote / NAME / version / file)
    store = RemoteStore(f"file://{remote}", tmp_path / "cache")
    store.update()
    (broken,) = read_store(store.root).broken
    assert "tokenizer.json cannot be read" in broken.reason


def test_one_object_that_cannot_be_read_does_not_keep_the_others_from_being_copied(
    tmp_path: Path, tiny_store: Path
) -> None:
    url = f"memory:///{uuid.uuid4().hex}"
    files, _ = fsspec.core.url_to_fs(url)
    for version in (1, 2):
        put(url, tiny_store / NAME / "1", version)
    real = files.open

    def refuses_one(path: str, mode: str = "rb", **options: Any) -> Any:
        if path.endswith(f"{NAME}/1/tokenizer.json"):
            raise PermissionError("Access Denied")
        return real(path, mode, **options)

    store = RemoteStore(url, tmp_path / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "open", refuses_one)
        store.update()
    assert [folder.name for folder in (store.root / NAME).iterdir()] == ["2"]
    assert "Access Denied" in store.listing().refused[f"{NAME}/1"]
    store.update()
    assert sorted(folder.name for folder in (store.root / NAME).iterdir()) == ["1", "2"]
    assert store.listing().refused == {}


def test_a_repository_of_a_hub_is_mirrored(tmp_path: Path, tiny_store: Path) -> None:
    with hub_server(tiny_store.parent) as address:
        fsspec.config.conf["hf"] = {"endpoint": address}
        try:
            store = RemoteStore(f"hf://{REPOSITORY}/{tiny_store.name}", tmp_path)
            store.update()
            with pytest.raises(StoreUnreachable, match="HF_TOKEN"):
                RemoteStore("hf://me/nothing", tmp_path).update()
        finally:
            del fsspec.config.conf["hf"]
    assert read_store(store.root).versions == tuple(
        dataclasses.replace(version, folder=store.root / version.manifest.key)
        for version in read_store(tiny_store).versions
    )


def test_what_is_not_known_or_not_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="nowhere"):
        RemoteStore("nowhere://x", tmp_path)
    with pytest.raises(StoreUnreachable, match="adlfs"):
        RemoteStore("az://container/models", tmp_path)
