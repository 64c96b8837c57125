"""The desired state that front ends on several machines share, kept by the coordinator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.cluster.membership import Membership
from app.desired_state import DesiredState
from app.errors import NotReady

_TURNS, _PAUSE_SECONDS = 3000, 0.1  # tries: another front end may be loading a large version


class CoordinatedState:
    """See `app.desired_state.SharedDesiredState`."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._seen: DesiredState | None = None
        self._turn = asyncio.Lock()  # of the changes at this front end: the coordinator knows only members

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
        async with self._turn:
            try:
                await self._take_turn()
                yield
            finally:
                ending = asyncio.ensure_future(self._membership.ask("end_turn", self._membership.name))
                with suppress(NotReady):  # a coordinator that restarts knows of no turn
                    await asyncio.shield(ending)

    async def _take_turn(self) -> None:
        for _ in range(_TURNS):
            asking = asyncio.ensure_future(self._membership.ask("take_turn", self._membership.name))
            try:
                directory = await asyncio.shield(asking)
            except asyncio.CancelledError:
                await asyncio.wait([asking])  # the coordinator may just be giving the turn
                raise
            if directory is not None:
                self._membership.learn(directory)
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise NotReady("another front end is changing the versions; retry in a moment")

    async def wait_for_all(self, revision: int) -> None:
        await self._membership.ask("wait_for_all", revision)
