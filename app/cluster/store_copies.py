"""The store of a front end in a cluster: an update of it reaches the copies of all members, too."""

import asyncio
import threading
from pathlib import Path

from app.cluster.membership import Membership
from app.store.listing import Listing
from app.store.stores import Store


class OwnCopy:
    """The store as one member has it. Any thread may update it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._updating = threading.Lock()

    def update(self, name: str | None = None) -> None:
        """See `Store.update`. Raises StoreUnreachable."""
        with self._updating:
            self.store.update(name)


class StoreCopies:
    """See `app.store.stores.Store`. Updates run in threads beside the event loop in which this is made."""

    def __init__(self, own: OwnCopy, membership: Membership) -> None:
        self.root: Path = own.store.root
        self._own = own
        self._membership = membership
        self._loop = asyncio.get_running_loop()

    def update(self, name: str | None = None) -> None:
        """Update the own copy, and then, if it changed or a model is named, all others."""
        before = self._own.store.listing().folders
        self._own.update(name)
        if name is not None or self._own.store.listing().folders != before:
            asyncio.run_coroutine_threadsafe(self._membership.ask("update_stores"), self._loop).result()

    def listing(self) -> Listing:
        """See `Store`."""
        return self._own.store.listing()

    @property
    def takes_uploads(self) -> bool:
        """See `Store`."""
        return self._own.store.takes_uploads

    def write_default(self, name: str, version: int | None) -> None:
        """See `Store`."""
        self._own.store.write_default(name, version)
