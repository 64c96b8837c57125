"""Versions that come piece by piece: what is left of unfinished ones, and what becomes part of a version."""

import os
import shutil
import time
from pathlib import Path

import pytest

from app.errors import ContradictoryOptions, StoreNotWritable
from app.store.listing import list_store
from app.store.names import MANIFEST
from app.store.uploads import append, finish


def _piece(root: Path, name: str, *, version: int = 1, file: str = "weights", content: bytes = b"ab") -> int:
    return append(root, name, version, file, 0, content, most=1_000)


def test_only_some_uploads_may_be_unfinished(tmp_path: Path) -> None:
    for version in (1, 2, 3, 4):
        _piece(tmp_path, "mine", version=version)
    with pytest.raises(ContradictoryOptions, match=r"4 uploads are not finished \(limit 4\)"):
        _piece(tmp_path, "other")
    assert not (tmp_path / "other").exists()
    assert append(tmp_path, "mine", 4, "weights", 2, b"c", most=1_000) == 3, "the others go on"


def test_an_empty_piece_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContradictoryOptions, match="the body is empty: send a piece of weights"):
        _piece(tmp_path, "mine", content=b"")
    assert not (tmp_path / "mine").exists()


def test_an_upload_is_forgotten_after_a_day(tmp_path: Path) -> None:
    old = tmp_path / "mine" / ".upload-1"
    _piece(tmp_path, "mine")
    for path in (*old.iterdir(), old):
        os.utime(path, (time.time() - 90_000,) * 2)
    _piece(tmp_path, "mine", version=2)
    assert not old.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "mine" / ".upload-1", tmp_path / "outside"
    folder.mkdir(parents=True)
    (folder / "weights").symlink_to(outside)
    with pytest.raises(StoreNotWritable):
        _piece(tmp_path, "mine")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreNotWritable):
        _piece(tmp_path, "mine", file="other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "mine"]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["weights"]


@pytest.mark.parametrize("file", ["{file}", ".hidden", "a b", "a/b", "", "a" * 101, "né"])
def test_names_of_files_are_plain(tmp_path: Path, file: str) -> None:
    with pytest.raises(ContradictoryOptions, match="letters, digits, dot, - and _"):
        _piece(tmp_path, "mine", file=file)
    assert not (tmp_path / "mine").exists()


def test_a_version_has_the_files_of_its_manifest_and_no_others(tiny_store: Path, tmp_path: Path) -> None:
    source = tiny_store / "sentiment-en" / "1"
    files = [path for path in source.iterdir() if path.name != MANIFEST]
    for path in (*files, source / MANIFEST):
        append(tmp_path, "sentiment-en", 1, path.name, 0, path.read_bytes(), most=10**9)
    append(tmp_path, "sentiment-en", 1, "program.sh", 0, b"#", most=10**9)
    finish(tmp_path, "sentiment-en", 1)
    made = tmp_path / "sentiment-en" / "1"
    assert {path.name: path.read_bytes() for path in made.iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    assert list(list_store(tmp_path).folders) == ["sentiment-en/1"]
    with pytest.raises(ContradictoryOptions, match="exists already"):
        append(tmp_path, "sentiment-en", 1, "weights", 0, b"a", most=10**9)
    shutil.rmtree(made)
    assert append(tmp_path, "sentiment-en", 1, "weights", 0, b"a", most=10**9) == 1


@pytest.mark.parametrize("manifest", [b"[" * 200_000, b"{", b"[]"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    append(tmp_path, "mine", 1, MANIFEST, 0, manifest, most=10**9)
    with pytest.raises(ContradictoryOptions, match="missing or invalid"):
        finish(tmp_path, "mine", 1)
