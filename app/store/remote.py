"""A model store at a URL, mirrored into a local folder file by file, with hashes checked.

A version becomes visible in the folder when all its files are copied. An interrupted copy resumes: finished files
stay in `.parts`, named by SHA-256. A file that does not match its manifest is copied again when it changes at the URL.
"""

import codecs
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from app.errors import StoreNotWritable, StoreUnreachable, printable
from app.store.file_entry import FileEntry
from app.store.hashes import sha256_of
from app.store.listing import MOST_DEFAULT_BYTES, Listing, list_store, version_folders
from app.store.manifest import Manifest
from app.store.model_store import MOST_MANIFEST_BYTES
from app.store.names import DEFAULT_FILE, MANIFEST, is_model_name, version_number
from app.store.publishing import alone_in, publishing, remove_version, write_whole
from app.store.remote_files import RemoteFiles
from app.store.stores import default_bytes

_PARTS, _DAMAGED = ".parts", ".damaged.json"
Marks = Mapping[str, str | None]  # change marks of remote files, see `RemoteFiles.list`
Damaged = dict[str, list[str | None]]  # files that do not match the manifest: mark and SHA-256 of the copy


class RemoteStore:
    """The store at `url`, mirrored into its own folder below `cache`."""

    def __init__(self, url: str, cache: Path) -> None:
        self.files = RemoteFiles(url)
        self.root = cache.expanduser().resolve() / hashlib.sha256(self.files.url.encode()).hexdigest()[:16]
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(f"the cache {cache} is not writable: {error.strerror}; set store_cache") from error
        self._current: dict[str, tuple[bytes, Marks]] = {}  # manifest and marks of versions that are up to date
        self._refused: dict[str, str] = {}  # names at the URL that are not copied, with the reason

    def update(self, name: str | None = None) -> None:
        """Copy new versions and remove those deleted at the URL, of one model or of all. A version that alone cannot be
        copied is listed as refused. Raises StoreUnreachable."""
        with alone_in(self.root):  # several processes of a machine share the cache
            self._update(name)

    def _update(self, name: str | None) -> None:
        self.files.forget()
        names = self.files.list()
        chosen = list(names) if name is None else [name]
        for each in chosen:
            self._forget_refused(each)
        try:
            for each in chosen:
                self._update_name(each, self.files.list(each) if each in names else {})
            for key, folder in version_folders(self.root).items():
                if name is None and folder.parent.name not in names and names:
                    self._remove(key, folder)
        except OSError as error:
            raise StoreUnreachable(f"the cache {self.root} is not writable: {error.strerror or error}") from error

    def listing(self) -> Listing:
        """See `Store`."""
        listing = list_store(self.root)
        return replace(listing, refused=listing.refused | self._refused)

    @property
    def takes_uploads(self) -> bool:
        """See `Store`: the mirror would forget what is not at the URL."""
        return False

    def write_default(self, name: str, version: int | None) -> None:
        """See `Store`."""
        content = None if version is None else default_bytes(version)
        try:
            self.files.write(f"{name}/{DEFAULT_FILE}", content)
        except StoreUnreachable as error:
            raise StoreNotWritable(f"{DEFAULT_FILE} of {name} is not writable: {error.detail}") from error
        self._put_default(name, content)

    def _update_name(self, name: str, marks: Marks) -> None:
        if not is_model_name(name):
            return
        versions = {version for version in marks if version_number(version)}
        failures = []
        for version in sorted(versions, key=int):
            try:
                self._update_version(f"{name}/{version}")
            except StoreUnreachable as error:
                failures.append(error)
                self._refused[f"{name}/{version}"] = printable(error.detail)
        if failures and len(failures) == len(versions):
            raise failures[0]
        for key, folder in version_folders(self.root).items():
            if folder.parent.name == name and folder.name not in versions:
                self._remove(key, folder)
        if (self.root / name).is_dir():
            path = f"{name}/{DEFAULT_FILE}"
            content = self.files.read(path, limit=MOST_DEFAULT_BYTES) if DEFAULT_FILE in marks else None
            self._put_default(name, content)

    def _forget_refused(self, name: str) -> None:
        self._refused = {key: why for key, why in self._refused.items() if key.partition("/")[0] != name}

    def _put_default(self, name: str, content: bytes | None) -> None:
        path = self.root / name / DEFAULT_FILE
        if content is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, content)

    def _remove(self, key: str, folder: Path) -> None:
        remove_version(folder)
        self._current.pop(key, None)

    def _update_version(self, key: str) -> None:
        """Copy a version if it has changed. A file that does not match its hash is copied too: `open_version` reports
        it."""
        marks = self.files.list(key)
        if MANIFEST not in marks:
            return
        content = self.files.read(f"{key}/{MANIFEST}", limit=MOST_MANIFEST_BYTES)
        local = self.root / key
        if _content(local / MANIFEST) == content:
            if self._current.get(key) == (content, marks):
                return
            if _is_up_to_date(local, _hashes(content), marks):
                self._current[key] = content, marks
                return
        entries = _files(content)
        self._check_room(key, sum(entry.bytes for entry in entries.values()))
        parts = {file: self._part(key, file, entry, marks) for file, entry in entries.items()}
        name, _, version = key.rpartition("/")
        with publishing(self.root, name, int(version), replaces=True) as folder:
            folder.joinpath(MANIFEST).write_bytes(content)
            for file, part in parts.items():
                if part is not None:
                    shutil.copyfile(part, folder / file)
            _write_damaged(folder, _hashes(content), marks)
        for sha256 in _hashes(content).values():
            (self.root / _PARTS / sha256).unlink(missing_ok=True)

    def _check_room(self, key: str, size: int) -> None:
        """Raises StoreUnreachable for a version that the disk cannot hold."""
        free = shutil.disk_usage(self.root).free
        if size > free:
            raise StoreUnreachable(f"{key} has {size:,} bytes; the cache {self.root} has room for {free:,}")

    def _part(self, key: str, file: str, entry: FileEntry, marks: Marks) -> Path | None:
        """A local file with this hash, copied from the URL if needed. None if the URL does not have the file."""
        sha256, parts, local = entry.sha256, self.root / _PARTS, self.root / key
        parts.mkdir(exist_ok=True)
        for here in (local / file, parts / sha256):
            if _sha256(here) == sha256:
                return here
        if file not in marks:
            return None
        if _is_known_damaged(local, file, marks):
            return local / file
        fresh = parts / f"{sha256}.{os.getpid()}"
        self.files.copy(f"{key}/{file}", fresh, limit=entry.bytes)
        return fresh.replace(parts / sha256)


def _files(content: bytes) -> dict[str, FileEntry]:
    """The files in a manifest. Empty for an invalid manifest, which `open_version` reports."""
    try:
        return Manifest.model_validate_json(content.removeprefix(codecs.BOM_UTF8)).files
    except ValidationError:
        return {}


def _hashes(content: bytes) -> dict[str, str]:
    """SHA-256 of each file in a manifest."""
    return {name: entry.sha256 for name, entry in _files(content).items()}


def _is_up_to_date(local: Path, hashes: Mapping[str, str], marks: Marks) -> bool:
    """Whether nothing must be copied: each file matches its hash, or its damaged original has not changed."""
    return all(
        _sha256(local / file) == sha256 or _is_known_damaged(local, file, marks) for file, sha256 in hashes.items()
    )


def _write_damaged(folder: Path, hashes: Mapping[str, str], marks: Marks) -> None:
    """Record the files of a version that are damaged or missing at the URL, so that they are not copied each time."""
    copied = {file: _sha256(folder / file) for file in hashes}
    damaged: Damaged = {file: [marks.get(file), sha256] for file, sha256 in copied.items() if sha256 != hashes[file]}
    if damaged:
        folder.joinpath(_DAMAGED).write_text(json.dumps(damaged))


def _is_known_damaged(local: Path, file: str, marks: Marks) -> bool:
    """Whether the copy of a damaged file is recorded, and the file at the URL has not changed since. False without a
    mark, which shows changes; a file that is missing on both sides has not changed."""
    damaged: Damaged = json.loads(_content(local / _DAMAGED) or b"{}")
    mark = marks.get(file)
    return (mark is not None or file not in marks) and damaged.get(file) == [mark, _sha256(local / file)]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _sha256(path: Path) -> str | None:
    """None if the file does not exist."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return sha256_of(file)
