"""Lists, reads, copies and writes files at a URL through fsspec. Every exception becomes StoreUnreachable.

fsspec comes with the extra `remote`. Users install the package of their file system and set its credentials.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from app.errors import StoreUnreachable

_CHUNK = 1 << 20  # bytes
# Fields of file systems' listings that change when a file changes.
_MARKS = (
    "ETag",
    "etag",
    "generation",
    "blob_id",
    "md5",
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "created",
)
_EXTRAS = {"http": "remote", "https": "remote", "s3": "s3", "gs": "gs", "gcs": "gs"}  # of a protocol
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS and STORAGE_EMULATOR_HOST",
    "hf": "HF_TOKEN and HF_ENDPOINT",
}


class RemoteFiles:
    """The files below `url`. Paths are relative to it."""

    def __init__(self, url: str) -> None:
        """Raises StoreUnreachable if a package is missing. Does not connect."""
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs a traceback of everything that it raises
        self.url = url.rstrip("/")
        try:
            import fsspec
        except ImportError as error:
            raise StoreUnreachable(f"{url} needs fsspec: pip install 'unroll-serve[remote]'") from error
        self._protocol = fsspec.utils.get_protocol(self.url)
        try:
            fsspec.get_filesystem_class(self._protocol)
        except (ImportError, ValueError) as error:
            extra = _EXTRAS.get(self._protocol) if isinstance(error, ImportError) else None
            what = f": pip install 'unroll-serve[{extra}]'" if extra else ""
            raise StoreUnreachable(f"{url} cannot be read: {error}{what}") from error

    @cached_property
    def _file_system(self) -> tuple[Any, str]:
        """fsspec's file system, and the path of `url` in it."""
        import fsspec

        files, path = fsspec.core.url_to_fs(self.url)
        return files, str(path).rstrip("/")

    @property
    def _from_the_beginning(self) -> dict[str, int]:
        """Options of `open`: a simple HTTP server sends whole files only, and files are read from the beginning."""
        return {"block_size": 0} if self._protocol in ("http", "https") else {}

    def forget(self) -> None:
        """Drop cached listings."""
        with self._as_unreachable():
            self._file_system[0].invalidate_cache()

    def list(self, path: str = "") -> dict[str, str | None]:
        """Names in a folder, each with a mark that changes when the file changes; None if the file system offers no
        mark. A missing folder counts as empty, except the root of the store."""
        with self._as_unreachable():
            files, base = self._file_system
            try:
                listing = files.ls(f"{base}/{path}".rstrip("/"), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                if not path:
                    raise
                return {}
        kinds = ("file", "directory")  # a pipe or a device of a local file system must not be opened
        marks = {PurePosixPath(str(item["name"])).name: _mark(item) for item in listing if item.get("type") in kinds}
        return {name: mark for name, mark in sorted(marks.items()) if name and not name.startswith(".")}

    def read(self, path: str, *, limit: int) -> bytes:
        """The content of a file, or its first `limit` bytes and one more."""
        with self._as_unreachable():
            files, base = self._file_system
            with files.open(f"{base}/{path}", "rb", **self._from_the_beginning) as source:
                content: bytes = source.read(limit + 1)
            return content

    def copy(self, path: str, target: Path, *, limit: int) -> None:
        """Download a file to `target`, or its first `limit` bytes and one more."""
        with self._as_unreachable():
            files, base = self._file_system
            with files.open(f"{base}/{path}", "rb", **self._from_the_beginning) as source, target.open("wb") as file:
                remaining = limit + 1
                while remaining and (chunk := source.read(min(remaining, _CHUNK))):
                    file.write(chunk)
                    remaining -= len(chunk)

    def write(self, path: str, content: bytes | None) -> None:
        """Upload a file; None deletes it."""
        with self._as_unreachable():
            files, base = self._file_system
            if content is not None:
                files.pipe_file(f"{base}/{path}", content)
                return
            try:
                files.rm_file(f"{base}/{path}")
            except FileNotFoundError:
                return

    @contextmanager
    def _as_unreachable(self) -> Iterator[None]:
        """Each file system raises the exceptions of its own library."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnreachable(f"{self.url} cannot be read: it does not exist{self._hint}") from error
        except Exception as error:
            reason = " ".join(str(error).split())
            raise StoreUnreachable(
                f"{self.url} cannot be read: {type(error).__name__}: {reason}{self._hint}"
            ) from error

    @property
    def _hint(self) -> str:
        names = _CREDENTIALS.get(self._protocol)
        return f". Check {names}" if names else ""


def _mark(info: Mapping[str, Any]) -> str | None:
    marks = [f"{name}={info[name]}" for name in _MARKS if info.get(name) is not None]
    return " ".join([*marks, f"size={info.get('size')}"]) if marks else None
