"""Files at a URL, by fsspec: listed, read, copied and written. What its file systems raise becomes StoreUnreachable.

fsspec is the extra `remote`; the package of the file system comes from its users, as do its credentials.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from app.errors import StoreUnreachable

_CHUNK = 1 << 20  # bytes
# What file systems call the things that change when a file does.
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
_LOOK_AT = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS and STORAGE_EMULATOR_HOST",
    "hf": "HF_TOKEN and HF_ENDPOINT",
}


class RemoteFiles:
    """What is below `url`. Paths are relative to it."""

    def __init__(self, url: str) -> None:
        """Raises StoreUnreachable if a package is missing. Nothing is connected yet."""
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises as well
        self.url = url.rstrip("/")
        try:
            import fsspec
        except ImportError as error:
            raise StoreUnreachable(f"{url} needs fsspec: pip install 'unroll-serve[remote]'") from error
        self._protocol = fsspec.utils.get_protocol(self.url)
        try:
            fsspec.get_filesystem_class(self._protocol)
        except (ImportError, ValueError) as error:
            raise StoreUnreachable(f"{url} cannot be read: {error}") from error

    @cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec

        files, path = fsspec.core.url_to_fs(self.url)
        return files, str(path).rstrip("/")

    def forget(self) -> None:
        """Ask again for what was listed before."""
        with self._as_unreachable():
            self._place[0].invalidate_cache()

    def list(self, path: str = "") -> dict[str, str | None]:
        """Names in a folder, each with a mark that is another one once the file is; None where the file system has no
        such thing. A folder that is not there is empty, but the store itself must be there."""
        with self._as_unreachable():
            files, base = self._place
            try:
                found = files.ls(f"{base}/{path}".rstrip("/"), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                if not path:
                    raise
                return {}
        marks = {PurePosixPath(str(item["name"])).name: _mark(item) for item in found}
        return {name: mark for name, mark in sorted(marks.items()) if name and not name.startswith(".")}

    def read(self, path: str) -> bytes:
        with self._as_unreachable():
            files, base = self._place
            content: bytes = files.cat_file(f"{base}/{path}")
            return content

    def copy(self, path: str, target: Path) -> None:
        """A file to this machine."""
        with self._as_unreachable():
            files, base = self._place
            with files.open(f"{base}/{path}", "rb") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)

    def write(self, path: str, content: bytes | None) -> None:
        """A file there; None removes it if it is there."""
        with self._as_unreachable():
            files, base = self._place
            if content is not None:
                files.pipe_file(f"{base}/{path}", content)
                return
            try:
                files.rm_file(f"{base}/{path}")
            except FileNotFoundError:
                return

    @contextmanager
    def _as_unreachable(self) -> Iterator[None]:
        """File systems raise what their libraries raise."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnreachable(f"{self.url} cannot be read: there is nothing{self._hint}") from error
        except Exception as error:
            reason = " ".join(str(error).split())
            raise StoreUnreachable(
                f"{self.url} cannot be read: {type(error).__name__}: {reason}{self._hint}"
            ) from error

    @property
    def _hint(self) -> str:
        names = _LOOK_AT.get(self._protocol)
        return f". Look at {names}" if names else ""


def _mark(info: Mapping[str, Any]) -> str | None:
    found = [f"{name}={info[name]}" for name in _MARKS if info.get(name) is not None]
    return " ".join([*found, f"size={info.get('size')}"]) if found else None
