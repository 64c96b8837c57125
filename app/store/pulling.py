"""Copies versions from a folder into a model store. Each file is compared with its hash in the manifest."""

import shutil
from collections.abc import Collection
from pathlib import Path

from app.errors import VersionExists
from app.store.listing import list_store
from app.store.model_store import Version, check_hashes, inspect_version
from app.store.names import CARD, DEFAULT_FILE, MANIFEST
from app.store.publishing import publishing
from app.store.regular_files import opened
from app.store.stores import FolderStore

_INNER_STORE = "model_store"  # of a checkout


def store_in(source: Path) -> Path:
    """The model store in a folder: the one of a checkout, or the folder itself."""
    inner = source / _INNER_STORE
    return inner if inner.is_dir() else source


def chosen_versions(source: Path, names: Collection[str]) -> dict[str, Path]:
    """Folders of the versions in a store, by `name/version`: all, or those of the `names` (`name`, `name/version`)."""
    folders = list_store(source).folders
    return {key: path for key, path in folders.items() if not names or {key, path.parent.name} & set(names)}


def pull_version(folder: Path, store: Path) -> bool:
    """Copy a version with its model card, and the default version of its name if the store has none. False if the store
    has the same version already. Raises StoreError, and VersionExists for another version of this number."""
    version = inspect_version(folder)
    manifest = version.manifest
    target = store / manifest.name / str(manifest.version)
    if target.exists():
        if _same(folder, target):
            return False
        raise VersionExists(
            f"{store} already contains another {manifest.key}; first run: unroll remove {manifest.name} "
            f"{manifest.version} --store {store}"
        )
    store.mkdir(parents=True, exist_ok=True)
    with publishing(store, manifest.name, manifest.version) as fresh:
        for name in (MANIFEST, *manifest.files, *_card(folder)):
            with opened(folder / name, root=version.root) as file, (fresh / name).open("wb") as copy:
                shutil.copyfileobj(file, copy)
        check_hashes(Version(fresh, manifest, version.weights), manifest.files)
    default = list_store(version.root).defaults.get(manifest.name)
    if default is not None and not (store / manifest.name / DEFAULT_FILE).exists():
        FolderStore(store).write_default(manifest.name, default)
    return True


def _same(folder: Path, other: Path) -> bool:
    return (other / MANIFEST).exists() and (folder / MANIFEST).read_bytes() == (other / MANIFEST).read_bytes()


def _card(folder: Path) -> list[str]:
    return [CARD] if (folder / CARD).is_file() else []
