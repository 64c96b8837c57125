"""A store that holds one model: a folder with the files of one version, or with its numbered versions.

KServe puts such a folder at `/mnt/models`, read-only, and has its own name for the model. The versions are copied into
a model store below the cache, under that name.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from app.errors import StoreError, StoreNotWritable, StoreUnreachable
from app.store.hashes import sha256_of
from app.store.listing import Listing, list_store, version_folders
from app.store.model_store import MOST_MANIFEST_BYTES, is_version
from app.store.names import CARD, MANIFEST, MOST_VERSION, is_file_name, is_model_name, version_number
from app.store.publishing import alone_in, publishing, remove_version
from app.store.regular_files import opened, read_whole

_UNNAMED = "model"  # of a version whose manifest has no usable name


def versions_of_one_model(folder: Path) -> list[Path]:
    """The folders of versions: the folder itself, or those of its subfolders that are numbered and have a manifest.
    Empty for a model store, which holds folders of models."""
    if is_version(folder):
        return [folder]
    with suppress(OSError):
        return [child for child in sorted(folder.iterdir()) if version_number(child.name) and is_version(child)]
    return []


class OneModelStore:
    """The versions in `source`, copied into a folder of their own below `cache` under `name`, or, if it is empty, under
    the name in each manifest. Raises StoreUnreachable if the cache is not writable."""

    def __init__(self, source: Path, cache: Path, name: str) -> None:
        self._source, self._name = source.resolve(), name
        place = hashlib.sha256(f"{self._source}\n{name}".encode()).hexdigest()[:16]
        self.root = cache.expanduser().resolve() / place
        self._copied: dict[str, bytes] = {}  # manifests of the versions that this process has copied

    def update(self, name: str | None = None) -> None:
        """Copy new versions, and remove those that are gone. Raises StoreUnreachable."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with alone_in(self.root):  # several processes of a machine share the cache
                there = {self._copy(folder) for folder in versions_of_one_model(self._source)}
                for key, folder in version_folders(self.root).items():
                    if key not in there:
                        remove_version(folder)
                        self._copied.pop(key, None)
        except StoreError as error:
            raise StoreUnreachable(f"{MANIFEST} in {self._source} cannot be used: {error.detail}") from error
        except OSError as error:
            where = f"the cache {self.root} is not writable: {error.strerror or error}"
            raise StoreUnreachable(f"{where}; set store_cache to a folder with room for the model") from error

    def listing(self) -> Listing:
        """See `Store`."""
        return list_store(self.root)

    @property
    def takes_uploads(self) -> bool:
        """See `Store`: the copy would forget what is not in the source."""
        return False

    def write_default(self, name: str, version: int | None) -> None:
        """See `Store`."""
        raise StoreNotWritable("a store of one model keeps no default version: it serves the newest one")

    def _copy(self, folder: Path) -> str:
        """Copy a version if it is not in the cache; returns its key. A damaged one is copied too: the engine reports
        it as broken."""
        content = read_whole(folder / MANIFEST, root=self._source, limit=MOST_MANIFEST_BYTES)
        manifest = _members(content)
        name = self._name or _name_in(manifest)
        version = _version_in(manifest) if folder == self._source else int(folder.name)
        key = f"{name}/{version}"
        if manifest:
            content = json.dumps(manifest | {"name": name}, ensure_ascii=False, indent=2).encode() + b"\n"
        if self._copied.get(key) == content:
            return key
        if not _is_copied(self.root / key, content, _hashes(manifest)):
            with publishing(self.root, name, version, replaces=True) as fresh:
                fresh.joinpath(MANIFEST).write_bytes(content)
                for file in (*_hashes(manifest), CARD):
                    self._copy_file(folder / file, fresh / file)
        self._copied[key] = content
        return key

    def _copy_file(self, source: Path, target: Path) -> None:
        """Copy a regular file of the source, if it is there."""
        with suppress(StoreError), opened(source, root=self._source) as there, target.open("wb") as copy:
            shutil.copyfileobj(there, copy)


def _members(content: bytes) -> dict[str, Any]:
    """The members of a manifest; none if it is not a JSON object."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _name_in(manifest: Mapping[str, Any]) -> str:
    name = manifest.get("name")
    return name if isinstance(name, str) and is_model_name(name) else _UNNAMED


def _version_in(manifest: Mapping[str, Any]) -> int:
    version = manifest.get("version")
    return version if isinstance(version, int) and 1 <= version <= MOST_VERSION else 1


def _hashes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The SHA-256 of each file that the manifest lists."""
    files = manifest.get("files")
    if not isinstance(files, dict):
        return {}
    return {
        file: entry.get("sha256") for file, entry in files.items() if is_file_name(file) and isinstance(entry, dict)
    }


def _is_copied(local: Path, content: bytes, hashes: Mapping[str, Any]) -> bool:
    """Whether the cache has the version, with the files of its manifest."""
    try:
        if local.joinpath(MANIFEST).read_bytes() != content:
            return False
        for file, sha256 in hashes.items():
            with opened(local / file, root=local) as there:
                if sha256_of(there) != sha256:
                    return False
    except (OSError, StoreError):
        return False
    return True
