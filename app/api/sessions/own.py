"""Sessions in the memory of a service with one front end."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from app.api.sessions.kept import Kept, Place, SessionLimits
from app.api.sessions.turns import Turns


class OwnSessions:
    """A `SessionStore` in this process; it ends with it."""

    def __init__(self, limits: SessionLimits, *, clock: Callable[[], float] = time.time) -> None:
        self.limits = limits
        self._clock = clock
        self._kept: dict[str, OrderedDict[str, Kept]] = {}
        self._sizes: dict[str, int] = {}
        self._turns = Turns()

    def turn(self, place: Place, deadline: float) -> AbstractAsyncContextManager[None]:
        """See `SessionStore.turn`."""
        return self._turns.of(place)

    async def find(self, place: Place) -> Kept | None:
        """See `SessionStore.find`."""
        self._drop_old(place.owner)
        sessions = self._kept.get(place.owner)
        return None if sessions is None else sessions.get(place.name)

    async def keep(self, place: Place, kept: Kept) -> None:
        """See `SessionStore.keep`."""
        await self.forget(place)
        self._drop_old(place.owner)
        sessions = self._kept.setdefault(place.owner, OrderedDict())
        sessions[place.name] = kept
        self._sizes[place.owner] = self._sizes.get(place.owner, 0) + len(kept.state)
        while len(sessions) > self.limits.number or self._sizes[place.owner] > self.limits.size:
            await self.forget(Place(place.owner, next(iter(sessions))))

    async def forget(self, place: Place) -> bool:
        """See `SessionStore.forget`."""
        sessions = self._kept.get(place.owner)
        kept = sessions.pop(place.name, None) if sessions else None
        if sessions is None or kept is None:
            return False
        self._sizes[place.owner] -= len(kept.state)
        if not sessions:
            del self._kept[place.owner], self._sizes[place.owner]
        return True

    async def of(self, owner: str) -> Sequence[tuple[str, Kept]]:
        """See `SessionStore.of`."""
        self._drop_old(owner)
        sessions = self._kept.get(owner)
        return [] if sessions is None else [*sessions.items()]

    async def close(self) -> None:
        """See `SessionStore.close`."""

    def drop_old(self) -> None:
        """Drop the sessions of all owners that were not used for too long."""
        for owner in [*self._kept]:
            self._drop_old(owner)

    def _drop_old(self, owner: str) -> None:
        oldest = self._clock() - self.limits.seconds
        sessions = self._kept.get(owner, OrderedDict())
        for name in [*sessions]:
            if sessions[name].used > oldest:
                break
            self._sizes[owner] -= len(sessions.pop(name).state)
        if owner in self._kept and not sessions:
            del self._kept[owner], self._sizes[owner]
