"""Where versions come from: a folder, or a URL that is mirrored into one (`app.store.remote`)."""

import json
from pathlib import Path
from typing import Protocol

from app.errors import StoreNotWritable
from app.store.publishing import write_whole

DEFAULT_FILE = "default.json"  # beside the versions of a name


class Source(Protocol):
    """A model store. `root` is a folder of this machine with what was there when it was last brought up to date."""

    root: Path

    def update(self, name: str | None = None) -> None:
        """Bring `root` up to date, at least with one name. Raises StoreUnreachable."""
        ...

    def write_default(self, name: str, version: int | None) -> None:
        """Say for good which version of a name answers by default; None is the newest. Raises StoreNotWritable."""
        ...


class Folder:
    """A store that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def update(self, name: str | None = None) -> None:
        """It always is."""

    def write_default(self, name: str, version: int | None) -> None:
        path = self.root / name / DEFAULT_FILE
        try:
            if version is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, default_bytes(version))
        except OSError as error:
            raise StoreNotWritable(f"{DEFAULT_FILE} of {name} cannot be written: {error.strerror}") from error


def default_bytes(version: int) -> bytes:
    return json.dumps({"version": version}).encode() + b"\n"


def read_defaults(root: Path) -> dict[str, int]:
    """The default versions that a store names. A file that cannot be read counts as none."""
    found = {}
    for path in sorted(root.glob(f"*/{DEFAULT_FILE}")):
        try:
            version = json.loads(path.read_bytes())["version"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if type(version) is int:
            found[path.parent.name] = version
    return found
