"""The store of a soak: a copy with a second version of one model, whose weights are those of the first."""

import json
import shutil
from pathlib import Path

from app.engine.client import EngineView
from app.errors import UnrollError
from app.store.manifest import Manifest
from app.store.publishing import publishing, write_manifest
from app.tasks.catalog import Entry, open_catalog
from app.tasks.registry import BY_NAME, CHECKS

SECOND = 2


def copy_of_store(store: Path, folder: Path, name: str) -> Path:
    """Copy `store` into `folder`, and publish version 2 of the model `name` with the weights of its newest version: the
    right answers do not depend on which of the two answers."""
    copy = folder / "store"
    shutil.copytree(store, copy)
    newest = max(path for path in (copy / name).iterdir() if path.name.isdigit())
    with publishing(copy, name, SECOND) as target:
        shutil.copytree(newest, target, dirs_exist_ok=True)
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf8"))
        write_manifest(target, Manifest.model_validate(manifest | {"version": SECOND}))
    return copy


def default_models(store: Path) -> dict[str, Entry]:
    """The default model of each task, for English texts. Tasks without one are left out."""
    catalog = open_catalog(store, CHECKS)
    found = {}
    for task, language in (("sentiment", "en"), ("captioning", None), ("translation", "en"), ("completion", "en")):
        try:
            found[task] = catalog.default(BY_NAME[task].selection, EngineView((), 0), source=language)
        except UnrollError:
            continue
    return found
