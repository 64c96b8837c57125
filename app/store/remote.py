"""A model store at a URL: copied into a folder of this machine, file by file, hashes checked.

A version becomes visible in the folder when all of it is there. A copy that was cut short goes on: files that came are
kept in `.parts`, by their SHA-256. A file that is not what its manifest says is copied again when it has changed there.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from app.errors import StoreNotWritable, StoreUnreachable
from app.store.manifest import Manifest
from app.store.model_store import version_folders
from app.store.publishing import MANIFEST, publishing, remove_version, write_whole
from app.store.remote_files import RemoteFiles
from app.store.source import DEFAULT_FILE, default_bytes

_PARTS, _UNFIT = ".parts", ".unfit.json"
Marks = Mapping[str, str | None]  # of remote files, see `RemoteFiles.list`
Unfit = dict[str, list[str | None]]  # files that do not fit: the mark of what was copied, and the SHA-256 that it has


def is_url(location: str) -> bool:
    return "://" in location


class RemoteStore:
    """The store at `url`, mirrored into a folder of its own below `cache`."""

    def __init__(self, url: str, cache: Path) -> None:
        self.files = RemoteFiles(url)
        self.root = cache.expanduser().resolve() / hashlib.sha256(self.files.url.encode()).hexdigest()[:16]
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(f"the cache {cache} cannot be written: {error.strerror}; set store_cache") from error
        self._done: dict[str, tuple[bytes, Marks]] = {}  # manifest and marks with which a version was up to date

    def update(self, name: str | None = None) -> None:
        """Copy what is new, of one name or of all, and remove what is gone there. Raises StoreUnreachable."""
        self.files.forget()
        names = self.files.list()
        try:
            for each in names if name is None else [name]:
                self._update_name(each, self.files.list(each) if each in names else {})
            for key, folder in version_folders(self.root).items():
                if name is None and folder.parent.name not in names and names:
                    self._remove(key, folder)
        except OSError as error:
            raise StoreUnreachable(f"the cache {self.root} cannot be written: {error.strerror or error}") from error

    def write_default(self, name: str, version: int | None) -> None:
        """See `Source`."""
        content = None if version is None else default_bytes(version)
        try:
            self.files.write(f"{name}/{DEFAULT_FILE}", content)
        except StoreUnreachable as error:
            raise StoreNotWritable(f"{DEFAULT_FILE} of {name} cannot be written: {error.detail}") from error
        self._put_default(name, content)

    def _update_name(self, name: str, found: Marks) -> None:
        there = {version for version in found if version.isdigit()}
        for version in sorted(there, key=int):
            self._update_version(f"{name}/{version}")
        for key, folder in version_folders(self.root).items():
            if folder.parent.name == name and folder.name not in there:
                self._remove(key, folder)
        if (self.root / name).is_dir():
            path = f"{name}/{DEFAULT_FILE}"
            self._put_default(name, self.files.read(path) if DEFAULT_FILE in found else None)

    def _put_default(self, name: str, content: bytes | None) -> None:
        path = self.root / name / DEFAULT_FILE
        if content is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, content)

    def _remove(self, key: str, folder: Path) -> None:
        remove_version(folder)
        self._done.pop(key, None)

    def _update_version(self, key: str) -> None:
        """What does not fit its hash is copied as it is: whoever opens the version says what is wrong with it."""
        marks = self.files.list(key)
        if MANIFEST not in marks:
            return
        content = self.files.read(f"{key}/{MANIFEST}")
        local = self.root / key
        if _content(local / MANIFEST) == content:
            if self._done.get(key) == (content, marks):
                return
            if _is_up_to_date(local, _hashes(content), marks):
                self._done[key] = content, marks
                return
        parts = {file: self._part(key, file, sha256, marks) for file, sha256 in _hashes(content).items()}
        name, _, version = key.rpartition("/")
        with publishing(self.root, name, int(version), replaces=True) as folder:
            folder.joinpath(MANIFEST).write_bytes(content)
            for file, part in parts.items():
                if part is not None:
                    shutil.copyfile(part, folder / file)
            _note_unfit(folder, _hashes(content), marks)
        for sha256 in _hashes(content).values():
            (self.root / _PARTS / sha256).unlink(missing_ok=True)

    def _part(self, key: str, file: str, sha256: str, marks: Marks) -> Path | None:
        """A file of a version by its hash: what is here, or a copy. None if it is not there."""
        parts, local = self.root / _PARTS, self.root / key
        parts.mkdir(exist_ok=True)
        for here in (local / file, parts / sha256):
            if _sha256(here) == sha256:
                return here
        if file not in marks:
            return None
        if _is_known(local, file, marks):
            return local / file
        fresh = parts / f"{sha256}.{os.getpid()}"
        self.files.copy(f"{key}/{file}", fresh)
        return fresh.replace(parts / sha256)


def _hashes(content: bytes) -> dict[str, str]:
    """The files that a manifest names. Of one that is not valid none: it is reported when it is opened."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError:
        return {}
    return {name: entry.sha256 for name, entry in manifest.files.items() if Path(name).name == name}


def _is_up_to_date(local: Path, hashes: Mapping[str, str], marks: Marks) -> bool:
    """Whether there is nothing to copy: each file is whole, or damaged there as it was when it was copied."""
    return all(_sha256(local / file) == sha256 or _is_known(local, file, marks) for file, sha256 in hashes.items())


def _note_unfit(folder: Path, hashes: Mapping[str, str], marks: Marks) -> None:
    """Keep, beside the files of a version, what is to be known of those that came damaged, or are missing there."""
    came = {file: _sha256(folder / file) for file in hashes}
    unfit: Unfit = {file: [marks.get(file), sha256] for file, sha256 in came.items() if sha256 != hashes[file]}
    if unfit:
        folder.joinpath(_UNFIT).write_text(json.dumps(unfit))


def _is_known(local: Path, file: str, marks: Marks) -> bool:
    """Whether a damaged file is what was copied, and the one there has not changed since. Without a mark nobody knows
    that; what is missing on both sides is the same."""
    unfit: Unfit = json.loads(_content(local / _UNFIT) or b"{}")
    mark = marks.get(file)
    return (mark is not None or file not in marks) and unfit.get(file) == [mark, _sha256(local / file)]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _sha256(path: Path) -> str | None:
    """None if there is no such file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
