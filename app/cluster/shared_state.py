"""The desired state that front ends on several machines share, kept by the coordinator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.cluster.membership import Membership
from app.desired_state import DesiredState
from app.errors import NotReady

_TURNS, _PAUSE_SECONDS = 3000, 0.1  # tries: another front end may be loading a large version


class CoordinatedState:
    """See `app.desired_state.SharedDesiredState`."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._seen: DesiredState | None = None

    def read(self) -> DesiredState:
        return self._membership.directory.desired

    def read_if_changed(self) -> DesiredState | None:
        state = self.read()
        if state == self._seen:
            return None
        self._seen = state
        return state

    async def write(self, state: DesiredState) -> DesiredState:
        written: DesiredState | None = await self._membership.ask("write", self._membership.name, state)
        if written is None:
            raise NotReady("the coordinator of the cluster was restarted meanwhile; retry in a moment")
        self._membership.learn_desired(written)
        return written

    def acknowledge(self, revision: int) -> None:
        self._membership.change(applied=revision)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        name = self._membership.name
        for _ in range(_TURNS):
            directory = await self._membership.ask("take_turn", name)
            if directory is not None:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            raise NotReady("another front end is changing the versions; retry in a moment")
        self._membership.learn(directory)
        try:
            yield
        finally:
            await self._membership.ask("end_turn", name)

    async def wait_for_all(self, revision: int) -> None:
        await self._membership.ask("wait_for_all", revision)
