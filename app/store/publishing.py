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

from app.store.manifest import FileEntry, Manifest

MANIFEST = "manifest.json"
_NEW, _OLD = ".new-", ".old-"


@contextmanager
def publishing(store: Path, name: str, version: int) -> Iterator[Path]:
    """A folder to write a version into: when the block ends it is the version, in place of one that was there. What is
    raised in the block is raised again, and nothing has changed. Leftovers of the name are removed first."""
    models = store / name
    models.mkdir(parents=True, exist_ok=True)
    remove_leftovers(models)
    fresh = Path(tempfile.mkdtemp(dir=models, prefix=f"{_NEW}{version}-"))
    held = os.open(fresh, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        fresh.chmod(0o755)
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            _to_disk(path)
        _put(fresh, models / str(version))
        _to_disk(models)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    finally:
        os.close(held)


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


def remove_leftovers(models: Path) -> None:
    """Remove what killed writers of a name left, and put back a version that was killed while it was being replaced."""
    for path in models.glob(f"{_NEW}*"):
        if not _is_held(path):
            shutil.rmtree(path, ignore_errors=True)
    for path in models.glob(f"{_OLD}*"):
        target = models / path.name.removeprefix(_OLD)
        if target.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(target)


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


def _put(fresh: Path, target: Path) -> None:
    """Rename; a folder cannot take the place of one that is not empty, so that one steps aside for a moment."""
    if not target.exists():
        fresh.rename(target)
        return
    old = target.with_name(f"{_OLD}{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    """Whether a writer that lives works in a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
