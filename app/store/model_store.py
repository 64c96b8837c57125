"""Reads the model store: `<root>/<name>/<version>/manifest.json` and the files that the manifest lists."""

import codecs
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import FileDamaged, FileUnreadable, InvalidManifest, StoreError, printable
from app.store.hashes import HashOf, sha256_of
from app.store.listing import list_store
from app.store.manifest import Manifest
from app.store.names import MANIFEST
from app.store.regular_files import opened, read_whole, size_of
from app.store.weights_header import read_header

WEIGHTS = "model.safetensors"
MOST_MANIFEST_BYTES = 2**20
_SPARE_BYTES = 16 * 2**20  # of any file beside the weights
_LONGEST_PLACE = 100  # characters
_WORD_BYTES = 512  # of a tokenizer file, for each id of the network


@dataclass(frozen=True)
class Version:
    """A version with a valid manifest and regular files of the declared sizes. `weights` counts the numbers in its
    tensors."""

    folder: Path
    manifest: Manifest
    weights: int

    @property
    def root(self) -> Path:
        """The model store."""
        return self.folder.parent.parent


@dataclass(frozen=True)
class BrokenVersion:
    """A version that cannot be used, and the reason. It `may_pass` if the machine failed to read a file."""

    name: str
    version: str
    reason: str
    may_pass: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Contents:
    """The versions in a store, sorted by name and number."""

    versions: tuple[Version, ...]
    broken: tuple[BrokenVersion, ...]


def open_version(folder: Path) -> Version:
    """A version with the hash of each file checked. Raises InvalidManifest or FileDamaged."""
    version = inspect_version(folder)
    check_hashes(version, version.manifest.files)
    return version


def read_store(root: Path, read: Callable[[Path], Version] = open_version) -> Contents:
    """Read every version, and verify it unless `read` is `inspect_version`. A broken version is returned, never
    raised."""
    listing = list_store(root)
    versions: list[Version] = []
    broken = [BrokenVersion(*_split(key), reason) for key, reason in listing.refused.items()]
    for folder in listing.folders.values():
        try:
            versions.append(read(folder))
        except StoreError as error:
            may_pass = isinstance(error, FileUnreadable)
            broken.append(BrokenVersion(folder.parent.name, folder.name, error.detail, may_pass))
    versions.sort(key=lambda version: (version.manifest.name, version.manifest.version))
    return Contents(tuple(versions), tuple(broken))


def _split(key: str) -> tuple[str, str]:
    name, _, version = key.partition("/")
    return name, version


def is_version(folder: Path) -> bool:
    """Whether the folder contains a manifest. A version that is being copied may not have it yet."""
    return os.path.lexists(folder / MANIFEST)


def inspect_version(folder: Path) -> Version:
    """A version with a valid manifest, whose files are regular, have the sizes that the manifest declares, and have
    weights with a valid header. Hashes are not checked. Raises InvalidManifest or FileDamaged."""
    manifest = _read_manifest(folder)
    weights = 0
    for name, entry in manifest.files.items():
        with opened(folder / name, root=folder.parent.parent) as file:
            if (size := size_of(file)) != entry.bytes:
                raise _damaged(name, f": it has {size:,} bytes, not {entry.bytes:,}")
            if name == WEIGHTS:
                header = read_header(file, WEIGHTS)
                weights = sum(math.prod(tensor.shape) for tensor in header.tensors.values())
    return Version(folder, manifest, weights)


def check_hashes(version: Version, names: Iterable[str], hash_of: HashOf = sha256_of) -> None:
    """Compare files with their hashes in the manifest. Raises FileDamaged."""
    for name in names:
        entry = version.manifest.files[name]
        with opened(version.folder / name, root=version.root) as file:
            if size_of(file) != entry.bytes or hash_of(file) != entry.sha256:
                raise _damaged(name, "")


def _read_manifest(folder: Path) -> Manifest:
    """The manifest of a version, which names the version and all files that it needs. Raises InvalidManifest."""
    try:
        content = read_whole(folder / MANIFEST, root=folder.parent.parent, limit=MOST_MANIFEST_BYTES)
        manifest = Manifest.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except FileDamaged as error:
        raise InvalidManifest(error.detail) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise InvalidManifest(f"{MANIFEST} is not JSON: {first['msg']}") from error
        where = printable(".".join(map(str, first["loc"])), most=_LONGEST_PLACE)
        raise InvalidManifest(f"{MANIFEST} is not valid at {where or 'its root'}: {first['msg']}") from error
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise InvalidManifest(f"{MANIFEST} is of {manifest.key}, but lies in {folder.parent.name}/{folder.name}")
    for needed in (WEIGHTS, *manifest.tokenizer_files):
        if needed not in manifest.files:
            raise InvalidManifest(f"{MANIFEST} has no hash for {needed}: add it to files")
    _check_sizes(manifest)
    return manifest


def _check_sizes(manifest: Manifest) -> None:
    """Raises InvalidManifest for files beside the weights that are larger than a network of this size can need."""
    words = max(manifest.source_vocabulary, manifest.target_vocabulary)
    for name, entry in manifest.files.items():
        if name == WEIGHTS:
            continue
        limit = _SPARE_BYTES + (_WORD_BYTES * words if name in manifest.tokenizer_files else 0)
        if entry.bytes > limit:
            raise InvalidManifest(f"{MANIFEST} gives {name} {entry.bytes:,} bytes; the limit is {limit:,}")


def _damaged(name: str, how: str) -> FileDamaged:
    return FileDamaged(f"{name} does not have the SHA-256 in {MANIFEST}{how}: restore it or publish again")
