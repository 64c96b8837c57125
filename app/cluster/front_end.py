"""A front end as a member of the cluster: see `app.lifespan.Cluster`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.cluster.directory import Directory
from app.cluster.membership import Coordinate, Membership
from app.cluster.shared_state import CoordinatedState
from app.cluster.store_copies import StoreCopies
from app.desired_state import SharedDesiredState
from app.engine.client import EngineClient
from app.engines import bring_up_to_date, desired_state_of, open_store
from app.settings import Settings
from app.store.stores import Store

_POLL_SECONDS = 0.1


class FrontEndMember:
    """Joins the cluster of a coordinator, and gives its engines to the client of a front end."""

    def __init__(self, settings: Settings, coordinate: Coordinate, engine_key: bytes) -> None:
        self.engine_key = engine_key
        self._settings = settings
        self._coordinate = coordinate
        self._membership: Membership
        self._endpoints: frozenset[str] = frozenset()

    async def join(self) -> tuple[Store, SharedDesiredState]:
        """See `app.lifespan.Cluster`."""
        own = open_store(self._settings)
        await asyncio.to_thread(bring_up_to_date, own)
        self._membership = Membership(self._coordinate, desired_state_of(own), own.update)
        self._membership.change(applied=-1)
        await self._membership.join()
        return StoreCopies(own, self._membership), CoordinatedState(self._membership)

    @asynccontextmanager
    async def engines_of(self, client: EngineClient) -> AsyncIterator[None]:
        """See `app.lifespan.Cluster`."""

        def follow(directory: Directory) -> None:
            known = frozenset() if directory.is_complete else self._endpoints
            self._endpoints = known | frozenset(directory.endpoints)
            client.set_endpoints(self._endpoints)

        self._membership.on_change = follow
        async with self._membership.following():
            # a coordinator that has just started does not know the engines yet
            while not self._endpoints and not self._membership.directory.is_complete:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            yield
