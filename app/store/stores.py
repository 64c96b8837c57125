"""The two kinds of model store: a local folder, and a URL that is mirrored into a folder (`app.store.remote`)."""

import json
from pathlib import Path
from typing import Protocol

from app.errors import StoreNotWritable
from app.store.listing import Listing, list_store
from app.store.names import DEFAULT_FILE
from app.store.publishing import write_whole


class Store(Protocol):
    """A model store. `root` is a local folder with the store's content at the last update."""

    root: Path

    def update(self, name: str | None = None) -> None:
        """Bring `root` up to date, for one model or for all. Raises StoreUnreachable."""
        ...

    def listing(self) -> Listing:
        """The names in the store at the last update."""
        ...

    @property
    def takes_uploads(self) -> bool:
        """Whether versions can be written into `root`."""
        ...

    def write_default(self, name: str, version: int | None) -> None:
        """Store the default version of a model; None means the newest. Raises StoreNotWritable."""
        ...


class FolderStore:
    """A store in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def update(self, name: str | None = None) -> None:
        """Nothing to do: readers use the folder itself."""

    def listing(self) -> Listing:
        """See `Store`."""
        return list_store(self.root)

    @property
    def takes_uploads(self) -> bool:
        """See `Store`."""
        return True

    def write_default(self, name: str, version: int | None) -> None:
        path = self.root / name / DEFAULT_FILE
        try:
            if version is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, default_bytes(version))
        except OSError as error:
            raise StoreNotWritable(f"{DEFAULT_FILE} of {name} is not writable: {error.strerror}") from error


def default_bytes(version: int) -> bytes:
    return json.dumps({"version": version}).encode() + b"\n"
