"""The store of a front end in a cluster: an update of it reaches the copies of all members, too."""

import asyncio
from pathlib import Path

from app.cluster.membership import Membership
from app.store.listing import Listing
from app.store.stores import Store


class StoreCopies:
    """See `app.store.stores.Store`. Updates run in threads beside the event loop in which this is made."""

    def __init__(self, own: Store, membership: Membership) -> None:
        self.root: Path = own.root
        self._own = own
        self._membership = membership
        self._loop = asyncio.get_running_loop()
        self._others_are_behind = False

    def update(self, name: str | None = None) -> None:
        """Update the own copy, and then, if it changed or a model is named, all others."""
        before = self._own.listing().folders
        self._own.update(name)
        if name is not None or self._own.listing().folders != before:
            self._others_are_behind = True
        if self._others_are_behind:  # also if the coordinator did not answer the last time
            asyncio.run_coroutine_threadsafe(self._membership.update_stores(), self._loop).result()
            self._others_are_behind = False

    def listing(self) -> Listing:
        """See `Store`."""
        return self._own.listing()

    @property
    def takes_uploads(self) -> bool:
        """See `Store`."""
        return self._own.takes_uploads

    def write_default(self, name: str, version: int | None) -> None:
        """See `Store`."""
        self._own.write_default(name, version)
