"""Writing into a model store so that a reader finds a version whole or not at all, whenever the writer is killed.

A version is written into a folder beside its place whose name begins with a dot, which no reader looks at, and is
renamed when all of it is on disk. Its writer holds a lock on that folder; what nobody holds is a leftover.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.errors import VersionExists
from app.store.manifest import FileEntry, Manifest

MANIFEST = "manifest.json"
_NEW = ".new-"


def check_is_free(store: Path, name: str, version: int) -> None:
    """A published version is never replaced, as some service may run it. Raises VersionExists."""
    if store.joinpath(name, str(version)).exists():
        raise VersionExists(
            f"{store} has {name}/{version} already, and a version is not replaced: publish another number, or remove "
            f"it first: unroll remove {name} {version} --store {store}"
        )


@contextmanager
def publishing(store: Path, name: str, version: int, *, replaces: bool = False) -> Iterator[Path]:
    """A folder to write a version into: when the block ends it is the version. What is raised in the block is raised
    again, and nothing has changed. `replaces` is for a copy of a store, which follows it: there an older version of the
    number is gone an instant before. Raises VersionExists."""
    models, target = store / name, store / name / str(version)
    if not replaces:
        check_is_free(store, name, version)
    models.mkdir(parents=True, exist_ok=True)
    with held_folder(models, _NEW) as fresh:
        fresh.chmod(0o755)
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            _to_disk(path)
        if replaces and target.exists():
            remove_version(target)
        try:
            fresh.rename(target)
        except OSError:  # a folder does not take the place of one that is not empty
            check_is_free(store, name, version)
            raise
        _to_disk(models)


@contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder, which is removed at the end if it is still there. What killed holders of such left goes first."""
    remove_leftovers(parent, prefix)
    fresh, held = _held(parent, prefix)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        os.close(held)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the folders that nobody holds."""
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # somebody holds it, or removed it meanwhile, or it is not ours
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)


def _held(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the descriptor that keeps it locked as long as this process lives."""
    while True:
        fresh = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        with suppress(FileNotFoundError):
            held = os.open(fresh, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
            if fresh.exists():
                return fresh, held
            os.close(held)  # somebody took it for a leftover before it was locked


def entry_of(path: Path) -> FileEntry:
    """What a manifest says of a file."""
    content = path.read_bytes()
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """`manifest.json` of a version."""
    text = manifest.model_dump_json(indent=2, exclude_none=True)
    write_whole(folder / MANIFEST, (text + "\n").encode())


def remove_version(folder: Path) -> None:
    """Take a version out of its store: at once for readers, then its files."""
    gone = folder.with_name(f"{_NEW}{folder.name}-removed")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, and nothing else, whatever happens."""
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


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
