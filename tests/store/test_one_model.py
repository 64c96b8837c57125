"""A folder with the files of one version, or with numbered versions, is a store of one model."""

import json
import shutil
from pathlib import Path

import pytest

from app.engines import open_store
from app.errors import StoreNotWritable, StoreUnreachable
from app.settings import Settings
from app.store.model_store import open_version, read_store
from app.store.one_model import OneModelStore, versions_of_one_model
from app.store.stores import FolderStore
from tests.service.versions import put_version


@pytest.fixture
def models(tiny_store: Path, tmp_path: Path) -> Path:
    """A copy of one version where KServe would put it."""
    return Path(shutil.copytree(tiny_store / "sentiment-en" / "1", tmp_path / "mnt" / "models"))


def updated(source: Path, tmp_path: Path, name: str = "") -> OneModelStore:
    store = OneModelStore(source, tmp_path / "cache", name)
    store.update()
    return store


def test_settings_tell_it_from_a_store_of_models(models: Path, tiny_store: Path, tmp_path: Path) -> None:
    assert isinstance(open_store(Settings(store=str(models), store_cache=str(tmp_path))), OneModelStore)
    assert isinstance(open_store(Settings(store=str(tiny_store / "lm-en"))), OneModelStore)
    assert isinstance(open_store(Settings(store=str(tiny_store))), FolderStore)
    assert isinstance(open_store(Settings(store=str(tmp_path / "missing"))), FolderStore)


@pytest.mark.parametrize(("name", "served"), [("", "sentiment-en"), ("reviews", "reviews")])
def test_one_version_is_copied_under_its_name(models: Path, tmp_path: Path, name: str, served: str) -> None:
    store = updated(models, tmp_path, name)
    (folder,) = store.listing().folders.values()
    assert open_version(folder).manifest.key == f"{served}/1"
    assert store.listing().folders.keys() == {f"{served}/1"}
    assert (folder / "MODEL_CARD.md").read_bytes() == (models / "MODEL_CARD.md").read_bytes()


def test_a_number_in_the_manifest_is_kept(models: Path, tmp_path: Path) -> None:
    manifest = models / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 7}))
    assert updated(models, tmp_path, "reviews").listing().folders.keys() == {"reviews/7"}


def test_numbered_versions_come_and_go(tiny_store: Path, tmp_path: Path) -> None:
    source = tmp_path / "own" / "sentiment-en"
    shutil.copytree(tiny_store / "sentiment-en", source)
    store = updated(source, tmp_path, "reviews")
    put_version(source.parent, "sentiment-en", 2)
    assert [folder.name for folder in versions_of_one_model(source)] == ["1", "2"]
    store.update()
    assert [version.manifest.key for version in read_store(store.root).versions] == ["reviews/1", "reviews/2"]
    shutil.rmtree(source / "1")
    store.update()
    assert [version.manifest.key for version in read_store(store.root).versions] == ["reviews/2"]


def test_what_is_in_the_cache_is_not_copied_again(models: Path, tmp_path: Path) -> None:
    folder = next(iter(updated(models, tmp_path).listing().folders.values()))
    before = (folder / "model.safetensors").stat().st_ino
    updated(models, tmp_path)
    assert (folder / "model.safetensors").stat().st_ino == before
    (folder / "model.safetensors").write_bytes(b"damaged")
    updated(models, tmp_path)
    assert open_version(folder).manifest.name == "sentiment-en"


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"name": "../up", "version": 0, "files": {"../x": {}}}'])
def test_a_broken_manifest_is_reported_as_a_broken_version(models: Path, tmp_path: Path, content: str) -> None:
    (models / "manifest.json").write_text(content)
    store = updated(models, tmp_path)
    (broken,) = read_store(store.root).broken
    assert broken.key == "model/1"
    assert "manifest.json is not" in broken.reason


def test_files_outside_the_folder_are_not_copied(models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes((models / "model.safetensors").read_bytes())
    (models / "model.safetensors").unlink()
    (models / "model.safetensors").symlink_to(tmp_path / "secret")
    (broken,) = read_store(updated(models, tmp_path).root).broken
    assert "model.safetensors" in broken.reason


def test_a_cache_that_cannot_be_written_is_explained(models: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreUnreachable, match="set store_cache to a folder with room"):
        updated(models, tmp_path)


def test_it_keeps_no_default_version(models: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreNotWritable, match="serves the newest"):
        updated(models, tmp_path).write_default("sentiment-en", 1)


def test_a_name_that_no_model_may_have_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a model's name"):
        Settings(model_name="Reviews!")
