"""Reads the model store: `<root>/<name>/<version>/manifest.json` and the files that the manifest lists."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import FileDamaged, InvalidManifest, StoreError
from app.store.manifest import Manifest

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Version:
    """A version with a valid manifest and undamaged files."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class BrokenVersion:
    """A version that cannot be used, and the reason."""

    name: str
    version: str
    reason: str

    @property
    def key(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Contents:
    """The versions in a store, sorted by name and number."""

    versions: tuple[Version, ...]
    broken: tuple[BrokenVersion, ...]


def read_store(root: Path) -> Contents:
    """Read and verify every version. A broken version is returned, never raised."""
    versions: list[Version] = []
    broken: list[BrokenVersion] = []
    for folder in version_folders(root).values():
        try:
            versions.append(open_version(folder))
        except StoreError as error:
            broken.append(BrokenVersion(folder.parent.name, folder.name, error.detail))
    versions.sort(key=lambda version: (version.manifest.name, version.manifest.version))
    return Contents(tuple(versions), tuple(broken))


def newest_version(root: Path, name: str) -> int:
    """The highest version number of a model, broken versions included; 0 without versions."""
    return max((int(folder.name) for folder in _folders(root / name) if folder.name.isdecimal()), default=0)


def version_folders(root: Path) -> dict[str, Path]:
    """All version folders by `name/version`. Their content is not checked."""
    folders = [folder for name in _folders(root) for folder in _folders(name)]
    return {f"{folder.parent.name}/{folder.name}": folder for folder in folders}


def is_version(folder: Path) -> bool:
    """Whether the folder has a number as its name and contains a manifest."""
    return folder.name.isdigit() and folder.joinpath("manifest.json").exists()


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(child for child in parent.iterdir() if child.is_dir() and not child.name.startswith("."))


def open_version(folder: Path) -> Version:
    """Validate the manifest and check the hash of each file. Raises InvalidManifest or FileDamaged."""
    path = folder / "manifest.json"
    try:
        manifest = Manifest.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise InvalidManifest(f"manifest.json cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidManifest(f"manifest.json is not valid at {where or 'its root'}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidManifest(f"manifest.json is not JSON: {error}") from error
    if (manifest.name, str(manifest.version)) != (folder.parent.name, folder.name):
        raise InvalidManifest(f"manifest.json is of {manifest.key}, but lies in {folder.parent.name}/{folder.name}")
    tokenizers = [use.file for use in (manifest.tokenizer, manifest.target_tokenizer) if use is not None]
    for needed in (WEIGHTS, *tokenizers):
        if needed not in manifest.files:
            raise InvalidManifest(f"manifest.json has no hash for {needed}: add it to files")
    for name, entry in manifest.files.items():
        if Path(name).name != name:
            raise InvalidManifest(f"manifest.json lists {name!r}: files need plain names without a folder")
        try:
            with folder.joinpath(name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise FileDamaged(f"{name} cannot be read: {error.strerror}") from error
        if digest != entry.sha256:
            raise FileDamaged(f"{name} does not have the SHA-256 in manifest.json: restore it or publish again")
    return Version(folder, manifest)
