"""Versions with equal tokenizers share one: a store may have hundreds of versions."""

import json
import shutil
from pathlib import Path

from app.tasks.catalog import open_catalog
from app.tasks.registry import CHECKS


def test_equal_tokenizers_are_opened_once(tiny_store: Path, tmp_path: Path) -> None:
    for name in ("sentiment-en", "same", "other-use"):
        shutil.copytree(tiny_store / "sentiment-en" / "1", tmp_path / name / "1")
        path = tmp_path / name / "1" / "manifest.json"
        manifest = json.loads(path.read_text()) | {"name": name}
        if name == "other-use":
            manifest["tokenizer"] |= {"lower": True}
        path.write_text(json.dumps(manifest))
    catalog = open_catalog(tmp_path, CHECKS)
    assert catalog._broken == {}
    first, same, other = (catalog.entries[name, 1].tokenizer for name in ("sentiment-en", "same", "other-use"))
    assert first is same
    assert first is not other
    assert first.encode("A Warm film") != other.encode("A Warm film")
