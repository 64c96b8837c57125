"""One request of a session: the state that it continues from, and the one that is kept after it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.api.sessions.kept import Kept, Place, SessionStore
from app.errors import InputError, InvalidState, SessionLost, SessionsOff
from app.tasks.job import Job, Output
from app.tasks.states.carrying import Carrying
from app.tasks.states.keys import StateKeys


@dataclass(frozen=True)
class AskedSession:
    """What a request says of its session. `state` is one to begin from; with `returns_state` the answer shows the state
    as well."""

    name: str
    starts: bool
    ends: bool
    state: str | None = None
    returns_state: bool = False


class Turn:
    """The turn of one request: it carries a state, and `keep` stores the one after it."""

    def __init__(self, store: SessionStore, place: Place, asked: AskedSession, carrying: Carrying, before: int) -> None:
        self.carrying = carrying
        self._store = store
        self._place = place
        self._asked = asked
        self._before = before

    async def keep(self, job: Job, output: Output) -> None:
        """Store the state after the answer, or end the session. Raises InvalidState for a state that is too large."""
        state: str = output.result.state  # type: ignore[attr-defined]
        if not self._asked.returns_state:
            output.result.state = None  # type: ignore[attr-defined]
        if self._asked.ends:
            await self._store.forget(self._place)
            return
        most = self._store.limits.size
        if len(state) > most:
            raise InvalidState(
                f"the state of the session has {len(state)} bytes; the limit of all sessions of a key is {most} "
                "(max_session_bytes): end the session",
                limit=most,
            )
        manifest = job.entry.manifest
        kept = Kept(state, manifest.name, manifest.version, self._before + 1, time.time())
        await self._store.keep(self._place, kept)


class Sessions:
    """The sessions of a service. Without a store they are refused."""

    def __init__(self, store: SessionStore | None, keys: StateKeys) -> None:
        self._store = store
        self._keys = keys

    @property
    def store(self) -> SessionStore:
        """The store. Raises SessionsOff."""
        if self._store is None:
            raise SessionsOff(
                "this service keeps no sessions: it has several workers and no session_storage; the operator can set "
                "one, and you can carry the state yourself (return_state, state)"
            )
        return self._store

    @asynccontextmanager
    async def turn(self, owner: str, asked: AskedSession, *, inputs: int, deadline: float) -> AsyncIterator[Turn]:
        """The turn of a request: requests of one session are answered one after the other. Raises SessionLost,
        SessionsOff, InvalidState and InputError."""
        store, place = self.store, Place(owner, asked.name)
        if inputs != 1:
            raise InputError(f"a request of a session has one input, and this one has {inputs}; send them in order")
        async with store.turn(place, deadline):
            if asked.starts:
                await store.forget(place)  # so that no request continues from it if this one fails
                state, before = asked.state, 0
            else:
                kept = await store.find(place)
                if kept is None:
                    raise lost(asked.name)
                state, before = kept.state, kept.requests
            start = None if state is None else self._keys.open(state)
            self._keys.check_on()
            yield Turn(store, place, asked, Carrying(start, self._keys), before)


def lost(name: str) -> SessionLost:
    """The error of a session that is not there."""
    return SessionLost(
        f"the service has no session {name}: it was never started, it ended, was unused for too long, left for others, "
        "or the service was restarted; start it again from the beginning (session_start, sequence_start)"
    )
