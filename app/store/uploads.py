"""Versions that come over the network piece by piece: files grow in a hidden folder, and become a version together.

Readers skip the folder. The manifest comes last, and names every file with its size and SHA-256. Each piece, and the
end, locks the folder, so that no piece follows the hash. An unfinished upload is removed after a day.
"""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from pydantic import ValidationError

from app.errors import ContradictoryOptions, StoreNotWritable, VersionExists
from app.store.hashes import sha256_of
from app.store.manifest import Manifest
from app.store.names import CARD, MANIFEST, is_model_name, is_plain_file_name
from app.store.publishing import check_is_free, to_disk

_MOST_FILES = 32
_MANIFEST_BYTES = 16 * 2**20
_UPLOAD = ".upload-"
_MOST_UNFINISHED = 4  # in a store: each may have `max_version_bytes`
_FORGOTTEN_SECONDS = 24 * 3600


def append(root: Path, name: str, version: int, file: str, offset: int, content: bytes, *, most: int) -> int:
    """Append a piece to a file of a version that is being uploaded; returns the bytes of the file so far. A piece at 0
    begins the file anew.

    Raises ContradictoryOptions for a name or a place that cannot be, VersionExists, StoreNotWritable.
    """
    if not is_model_name(name) or not is_plain_file_name(file):
        raise ContradictoryOptions(
            f"{name}/{file}: names of models and files are letters, digits, dot, - and _, at most 100, without a dot "
            "first"
        )
    if not content:
        raise ContradictoryOptions(f"the body is empty: send a piece of {file}")
    _check_free(root, name, version)
    folder = _folder(root, name, version)
    try:
        if not folder.exists():
            _make_room(root)
            folder.mkdir(parents=True, exist_ok=True)
        with _held(folder) as place:
            sizes = {entry.name: entry.stat(follow_symlinks=False).st_size for entry in os.scandir(place)}
            size = sizes.pop(file, 0) if offset else 0
            if offset != size:
                raise ContradictoryOptions(
                    f"{file} has {size} bytes so far: send the piece with offset={size}", offset=size
                )
            sizes.pop(file, None)
            if sum(sizes.values()) + size + len(content) > most:
                shutil.rmtree(folder, ignore_errors=True)
                raise ContradictoryOptions(
                    f"the version has more than {most} bytes, the limit of max_version_bytes", limit=most
                )
            if len(sizes) >= _MOST_FILES:
                raise ContradictoryOptions(f"a version has at most {_MOST_FILES} files", limit=_MOST_FILES)
            _write(place, file, offset, content)
    except OSError as error:
        raise StoreNotWritable(f"the model store is not writable: {error.strerror}") from error
    return size + len(content)


def finish(root: Path, name: str, version: int) -> None:
    """Make a version of the uploaded files that the manifest names, and of its card. Raises ContradictoryOptions if
    files are missing or differ from the manifest, VersionExists, StoreNotWritable."""
    folder, target = _folder(root, name, version), root / name / str(version)
    try:
        with _held(folder):
            _check_free(root, name, version)
            manifest = _manifest(folder)
            if (manifest.name, manifest.version) != (name, version):
                raise ContradictoryOptions(f"the manifest is that of {manifest.key}, not of {name}/{version}")
            _check_files(folder, manifest)
            for path in folder.iterdir():
                if path.name not in (MANIFEST, CARD, *manifest.files):
                    path.unlink()
                    continue
                path.chmod(0o644)
                to_disk(path)
            folder.chmod(0o755)
            to_disk(folder)
            folder.rename(target)
            to_disk(target.parent)
    except OSError as error:
        _check_free(root, name, version)
        raise StoreNotWritable(f"the model store is not writable: {error.strerror}") from error


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """A descriptor of the folder, which no other piece has meanwhile. Raises ContradictoryOptions if the upload ended
    before this one's turn."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        if not _is_at(folder, place):
            raise ContradictoryOptions("the upload of this version ended before this piece: begin it anew")
        yield place
    finally:
        os.close(place)


def _is_at(folder: Path, place: int) -> bool:
    try:
        return os.path.samestat(folder.lstat(), os.fstat(place))
    except FileNotFoundError:
        return False


def _write(place: int, file: str, offset: int, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (0 if offset else os.O_TRUNC)
    with os.fdopen(os.open(file, flags, 0o600, dir_fd=place), "wb") as target:
        target.seek(offset)
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def _make_room(root: Path) -> None:
    """Remove forgotten uploads. Raises ContradictoryOptions for one more than may be unfinished."""
    unfinished = 0
    for folder in root.glob(f"*/{_UPLOAD}*"):
        with suppress(OSError):  # another process ended or removed it
            latest = max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - latest < _FORGOTTEN_SECONDS:
                unfinished += 1
            else:
                shutil.rmtree(folder)
    if unfinished >= _MOST_UNFINISHED:
        raise ContradictoryOptions(
            f"{unfinished} uploads are not finished (limit {_MOST_UNFINISHED}): send the rest of one. Each is "
            "forgotten a day after its last piece",
            limit=_MOST_UNFINISHED,
        )


def _check_files(folder: Path, manifest: Manifest) -> None:
    for file, entry in manifest.files.items():
        path = folder / file
        status = path.lstat() if os.path.lexists(path) else None
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != entry.bytes:
            raise ContradictoryOptions(f"{file} is not uploaded whole: it has {entry.bytes} bytes in the manifest")
        with path.open("rb") as content:
            if sha256_of(content) != entry.sha256:
                raise ContradictoryOptions(f"{file} was damaged on its way: its SHA-256 is not that of the manifest")


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = path.read_bytes() if path.stat().st_size <= _MANIFEST_BYTES else b""
        return Manifest.model_validate(msgspec.json.decode(content))
    except (OSError, ValueError, ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise ContradictoryOptions(f"{MANIFEST} is missing or invalid: {str(error)[:200]}") from error


def _folder(root: Path, name: str, version: int) -> Path:
    return root / name / f"{_UPLOAD}{version}"


def _check_free(root: Path, name: str, version: int) -> None:
    try:
        check_is_free(root, name, version)
    except VersionExists as error:
        raise ContradictoryOptions(f"{name}/{version} exists already: upload another version number") from error
