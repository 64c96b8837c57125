"""A model store at a URL, by fsspec: copied into a folder of this machine, file by file, hashes checked.

A version becomes visible in the folder when all of it is there and whole. A copy that was cut short goes on: files that
came are kept in `.parts`, by their SHA-256. fsspec and the file system's own package are the extra `remote`.
"""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from app.errors import StoreNotWritable, StoreUnreachable
from app.store.manifest import Manifest
from app.store.model_store import version_folders
from app.store.publishing import MANIFEST, publishing, remove_version, write_whole
from app.store.source import DEFAULT_FILE, default_bytes

_PARTS = ".parts"
_CHUNK = 1 << 20  # bytes


def is_url(location: str) -> bool:
    return "://" in location


class RemoteStore:
    """The store at `url`, mirrored into a folder of its own below `cache`."""

    def __init__(self, url: str, cache: Path) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise StoreUnreachable(f"{url} needs fsspec: pip install 'unroll-serve[remote]'") from error
        self._url = url.rstrip("/")
        self.root = cache.expanduser().resolve() / hashlib.sha256(self._url.encode()).hexdigest()[:16]
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(f"the cache {cache} cannot be written: {error.strerror}; set store_cache") from error
        try:
            files, path = fsspec.core.url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            raise StoreUnreachable(f"{url} cannot be read: {error}") from error
        self._files: Any = files
        self._path = str(path).rstrip("/")
        self._whole: set[bytes] = set()  # manifests whose files were seen to fit their hashes

    def update(self, name: str | None = None) -> None:
        """Copy what is new, of one name or of all, and remove what is gone there. Raises StoreUnreachable."""
        try:
            self._files.invalidate_cache()
            names = self._names(self._path) if name is None else [name]
            for each in names:
                self._update_name(each)
        except (OSError, ValueError) as error:
            raise StoreUnreachable(f"{self._url} cannot be read: {error}") from error
        except Exception as error:  # file systems raise what their libraries raise
            raise StoreUnreachable(f"{self._url} cannot be read: {type(error).__name__}: {error}") from error
        if name is None and names:
            for folder in version_folders(self.root).values():
                if folder.parent.name not in names:
                    remove_version(folder)

    def write_default(self, name: str, version: int | None) -> None:
        """See `Source`."""
        path = f"{self._path}/{name}/{DEFAULT_FILE}"
        try:
            if version is not None:
                self._files.pipe_file(path, default_bytes(version))
            elif self._files.exists(path):
                self._files.rm_file(path)
        except Exception as error:
            raise StoreNotWritable(f"{DEFAULT_FILE} of {name} cannot be written: {error}") from error
        self._copy_default(name, version is not None)

    def _update_name(self, name: str) -> None:
        found = self._names(f"{self._path}/{name}")
        there = {version for version in found if version.isdigit()}
        for version in sorted(there, key=int):
            if self._files.exists(f"{self._path}/{name}/{version}/{MANIFEST}"):
                self._update_version(name, version)
        for folder in version_folders(self.root).values():
            if folder.parent.name == name and folder.name not in there:
                remove_version(folder)
        if (self.root / name).is_dir():
            self._copy_default(name, DEFAULT_FILE in found)

    def _copy_default(self, name: str, is_there: bool) -> None:
        path = self.root / name / DEFAULT_FILE
        if is_there:
            write_whole(path, self._files.cat_file(f"{self._path}/{name}/{DEFAULT_FILE}"))
        else:
            path.unlink(missing_ok=True)

    def _update_version(self, name: str, version: str) -> None:
        """A version whose manifest is the same and whose files fit their hashes is there already. What does not fit is
        copied as it is, and again the next time: whoever opens the version says what is wrong with it meanwhile."""
        remote, local = f"{self._path}/{name}/{version}", self.root / name / version
        content: bytes = self._files.cat_file(f"{remote}/{MANIFEST}")
        hashes = _hashes(content)
        is_same = local.joinpath(MANIFEST).exists() and local.joinpath(MANIFEST).read_bytes() == content
        if is_same and (content in self._whole or all(_fits(local / file, sha) for file, sha in hashes.items())):
            self._whole.add(content)
            return
        parts = {file: self._part(f"{remote}/{file}", sha256) for file, sha256 in hashes.items()}
        with publishing(self.root, name, int(version)) as folder:
            folder.joinpath(MANIFEST).write_bytes(content)
            for file, part in parts.items():
                if part is not None:
                    shutil.copyfile(part, folder / file)
        for part in parts.values():
            if part is not None:
                part.unlink(missing_ok=True)

    def _part(self, path: str, sha256: str) -> Path | None:
        """A file by its hash: what came before, or a copy. None if it is not there."""
        parts = self.root / _PARTS
        parts.mkdir(exist_ok=True)
        whole = parts / sha256
        if _fits(whole, sha256):
            return whole
        if not self._files.exists(path):
            return None
        fresh = parts / f"{sha256}.{os.getpid()}"
        with self._files.open(path, "rb") as source, fresh.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        fresh.replace(whole)
        return whole

    def _names(self, path: str) -> list[str]:
        found = self._files.ls(path, detail=False) if self._files.exists(path) else []
        names = {PurePosixPath(str(item)).name for item in found}
        return sorted(name for name in names if name and not name.startswith("."))


def _hashes(content: bytes) -> dict[str, str]:
    """The files that a manifest names. Of one that is not valid none: it is reported when it is opened."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError:
        return {}
    return {name: entry.sha256 for name, entry in manifest.files.items() if Path(name).name == name}


def _fits(path: Path, sha256: str) -> bool:
    """Whether a file is there and has this hash."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
