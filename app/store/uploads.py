"""Versions that come over the network piece by piece: files grow in a hidden folder, and become a version together.

Readers skip the folder. The manifest comes last, and names every file with its size and SHA-256.
"""

import os
import shutil
from pathlib import Path

import msgspec
from pydantic import ValidationError

from app.errors import ContradictoryOptions, StoreNotWritable, VersionExists
from app.store.hashes import sha256_of
from app.store.manifest import Manifest
from app.store.names import MANIFEST, is_file_name, is_model_name
from app.store.publishing import check_is_free

_MOST_FILES = 32
_MANIFEST_BYTES = 16 * 2**20


def append(root: Path, name: str, version: int, file: str, offset: int, content: bytes, *, most: int) -> int:
    """Append a piece to a file of a version that is being uploaded; returns the bytes of the file so far. A piece at 0
    begins the file anew.

    Raises ContradictoryOptions for a name or a place that cannot be, VersionExists, StoreNotWritable.
    """
    if not is_model_name(name) or not is_file_name(file) or file.startswith("."):
        raise ContradictoryOptions(
            f"{name}/{file}: names of models and files are plain, without a folder or a dot first"
        )
    _check_free(root, name, version)
    folder = _folder(root, name, version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file
        size = path.stat().st_size if path.exists() and offset else 0
        if offset != size:
            raise ContradictoryOptions(
                f"{file} has {size} bytes so far: send the piece with offset={size}", offset=size
            )
        held = [one for one in folder.iterdir() if one.name != file]
        if sum(one.stat().st_size for one in held) + size + len(content) > most:
            shutil.rmtree(folder, ignore_errors=True)
            raise ContradictoryOptions(
                f"the version has more than {most} bytes, the limit of max_version_bytes", limit=most
            )
        if len(held) >= _MOST_FILES:
            raise ContradictoryOptions(f"a version has at most {_MOST_FILES} files", limit=_MOST_FILES)
        with path.open("r+b" if offset else "wb") as target:
            target.seek(offset)
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise StoreNotWritable(f"the model store is not writable: {error.strerror}") from error
    return size + len(content)


def finish(root: Path, name: str, version: int) -> None:
    """Make a version of the uploaded files. Raises ContradictoryOptions if files are missing or differ from the
    manifest, VersionExists, StoreNotWritable."""
    folder, target = _folder(root, name, version), root / name / str(version)
    _check_free(root, name, version)
    manifest = _manifest(folder)
    if (manifest.name, manifest.version) != (name, version):
        raise ContradictoryOptions(f"the manifest is that of {manifest.key}, not of {name}/{version}")
    for file, entry in manifest.files.items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != entry.bytes:
            raise ContradictoryOptions(f"{file} is not uploaded whole: it has {entry.bytes} bytes in the manifest")
        with path.open("rb") as content:
            if sha256_of(content) != entry.sha256:
                raise ContradictoryOptions(f"{file} was damaged on its way: its SHA-256 is not that of the manifest")
    try:
        for path in folder.iterdir():
            path.chmod(0o644)
        folder.chmod(0o755)
        folder.rename(target)
    except OSError as error:
        _check_free(root, name, version)
        raise StoreNotWritable(f"the model store is not writable: {error.strerror}") from error


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = path.read_bytes() if path.stat().st_size <= _MANIFEST_BYTES else b""
        return Manifest.model_validate(msgspec.json.decode(content))
    except (OSError, ValueError, ValidationError, msgspec.DecodeError) as error:
        raise ContradictoryOptions(f"{MANIFEST} is missing or invalid: {str(error)[:200]}") from error


def _folder(root: Path, name: str, version: int) -> Path:
    return root / name / f".upload-{version}"


def _check_free(root: Path, name: str, version: int) -> None:
    try:
        check_is_free(root, name, version)
    except VersionExists as error:
        raise ContradictoryOptions(f"{name}/{version} exists already: upload another version number") from error
