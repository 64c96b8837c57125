"""Which model answers a request that names none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.engine.client import EngineView
from app.errors import UnknownLanguage
from app.tasks.catalog import Catalog, open_catalog
from app.tasks.registry import BY_NAME, CHECKS

NO_ENGINES = EngineView((), 0)


def _copy(store: Path, folder: Path, model: str, name: str, **members: Any) -> None:
    shutil.copytree(store / model / "1", folder / name / "1")
    path = folder / name / "1" / "manifest.json"
    content = json.loads(path.read_text()) | {"name": name, "default": False} | members
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _default(catalog: Catalog, task: str, **languages: str) -> str:
    return catalog.default(BY_NAME[task].selection, NO_ENGINES, kinds=["text"], **languages).manifest.name


def test_the_only_model_of_a_task_is_its_default(tiny_store: Path, tmp_path: Path) -> None:
    _copy(tiny_store, tmp_path, "sentiment-en", "mine", source_language=None)
    catalog = open_catalog(tmp_path, CHECKS)
    assert _default(catalog, "sentiment", source="en") == "mine"
    assert _default(catalog, "sentiment", source="ko") == "mine"  # it names no language
    assert catalog.is_default(catalog.entries["mine", 1].manifest, NO_ENGINES)


def test_the_only_model_does_not_answer_another_language(tiny_store: Path, tmp_path: Path) -> None:
    _copy(tiny_store, tmp_path, "sentiment-en", "mine", source_language="en")
    with pytest.raises(UnknownLanguage, match="mine"):
        _default(open_catalog(tmp_path, CHECKS), "sentiment", source="ko")


def test_two_models_without_a_choice_have_no_default(tiny_store: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _copy(tiny_store, tmp_path, "sentiment-en", name)
    catalog = open_catalog(tmp_path, CHECKS)
    with pytest.raises(UnknownLanguage, match="one, two"):
        _default(catalog, "sentiment", source="en")
    assert not catalog.is_default(catalog.entries["one", 1].manifest, NO_ENGINES)


def test_the_latest_choice_of_several_is_the_default(tiny_store: Path, tmp_path: Path) -> None:
    for name, since in (("a-shipped", 0), ("b-imported", 1_800_000_000), ("c-imported", 1_700_000_000)):
        _copy(tiny_store, tmp_path, "sentiment-en", name, default=True, default_since=since)
    catalog = open_catalog(tmp_path, CHECKS)
    assert _default(catalog, "sentiment", source="en") == "b-imported"
    chosen = [name for name, _ in catalog.entries if catalog.is_default(catalog.entries[name, 1].manifest, NO_ENGINES)]
    assert chosen == ["b-imported"]


def test_the_only_model_of_a_task_comes_before_a_default_of_another(tiny_store: Path, tmp_path: Path) -> None:
    _copy(tiny_store, tmp_path, "sentiment-en", "sentiment-en", default=True)
    _copy(tiny_store, tmp_path, "sentiment-en", "mine", task="classification", source_language=None)
    catalog = open_catalog(tmp_path, CHECKS)
    assert _default(catalog, "classification", source="en") == "mine"
    assert catalog.is_default(catalog.entries["mine", 1].manifest, NO_ENGINES)


def test_of_two_defaults_as_old_as_each_other_one_is_the_default(tiny_store: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        _copy(tiny_store, tmp_path, "sentiment-en", name, default=True, source_language="en")
    catalog = open_catalog(tmp_path, CHECKS)
    chosen = [name for name, _ in catalog.entries if catalog.is_default(catalog.entries[name, 1].manifest, NO_ENGINES)]
    assert chosen == [_default(catalog, "sentiment", source="en")]
