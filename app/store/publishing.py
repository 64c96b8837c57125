"""Writes versions into a model store atomically: a reader sees a complete version or none.

The writer fills a folder whose name begins with a dot, which readers skip, and renames it when all files are on disk.
It holds a lock on that folder meanwhile; an unlocked folder is a leftover of a killed writer.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.errors import VersionExists
from app.store.file_entry import FileEntry
from app.store.hashes import sha256_of
from app.store.manifest import Manifest
from app.store.names import DEFAULT_FILE, MANIFEST
from app.store.regular_files import size_of

_NEW = ".new-"


def check_is_free(store: Path, name: str, version: int) -> None:
    """Raises VersionExists if the version is in the store: a service may run it, so it is never replaced."""
    if store.joinpath(name, str(version)).exists():
        raise VersionExists(
            f"{store} already contains {name}/{version}, and versions are never replaced: publish another number, or "
            f"first run: unroll remove {name} {version} --store {store}"
        )


@contextmanager
def publishing(store: Path, name: str, version: int, *, replaces: bool = False) -> Iterator[Path]:
    """A folder to write a version into. It becomes the version when the block ends; an exception leaves the store
    unchanged. `replaces` is for the local copy of a remote store: it removes the old version an instant before the
    rename. Raises VersionExists."""
    models, target = store / name, store / name / str(version)
    if not replaces:
        check_is_free(store, name, version)
    models.mkdir(parents=True, exist_ok=True)
    with held_folder(models, _NEW) as fresh:
        fresh.chmod(0o755)
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            to_disk(path)
        if replaces and target.exists():
            remove_version(target)
        try:
            fresh.rename(target)
        except OSError:  # another writer published the version meanwhile: the target is not empty
            check_is_free(store, name, version)
            raise
        to_disk(models)


@contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new, locked folder, removed at the end of the block if it still exists. Removes leftovers first."""
    remove_leftovers(parent, prefix)
    fresh, lock = _locked_folder(parent, prefix)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        os.close(lock)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """No other thread or process is inside this context for the same folder."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove unlocked folders of this user."""
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # it is locked, removed meanwhile, or of another user
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.geteuid():
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock until it is closed or the process ends."""
    while True:
        fresh = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        with suppress(FileNotFoundError):
            lock = os.open(fresh, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if fresh.exists():
                return fresh, lock
            os.close(lock)  # another process removed the folder as a leftover before it was locked


def file_entry(path: Path) -> FileEntry:
    """The manifest's entry for a file."""
    with path.open("rb") as file:
        return FileEntry(sha256=sha256_of(file), bytes=size_of(file))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` of a version."""
    text = manifest.model_dump_json(indent=2, exclude_none=True)
    write_whole(folder / MANIFEST, (text + "\n").encode())


def remove_version(folder: Path) -> None:
    """Remove a version, and the folder of its model if nothing else is in it. Readers stop seeing it at once; then its
    files are deleted."""
    gone = folder.with_name(f"{_NEW}{folder.name}-removed")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)
    if [path.name for path in folder.parent.iterdir()] == [DEFAULT_FILE]:
        folder.parent.joinpath(DEFAULT_FILE).unlink()
    with suppress(OSError):  # it has other versions
        folder.parent.rmdir()


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
