"""What the service keeps of a session, and what a store of sessions does."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

import msgspec


class Place(NamedTuple):
    """The owner of a session, which is the name of a key or empty without one, and its name."""

    owner: str
    name: str


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A session: its state as a text, the version that it is of, the number of its requests, and the time of the last
    one in seconds since 1970."""

    state: str
    model: str
    version: int
    requests: int
    used: float


class SessionLimits(NamedTuple):
    """Seconds after the last request of a session, and the number and bytes of the sessions of an owner."""

    seconds: float
    number: int
    size: int


class SessionStore(Protocol):
    """Keeps the sessions of each owner within limits: the least recently used leave first."""

    limits: SessionLimits

    def turn(self, place: Place, deadline: float) -> AbstractAsyncContextManager[None]:
        """The context in which no other request changes the session. It is entered in the order of arrival."""

    async def find(self, place: Place) -> Kept | None:
        """A session, if it is there."""

    async def keep(self, place: Place, kept: Kept) -> None:
        """Keep a session, in its turn."""

    async def forget(self, place: Place) -> bool:
        """Drop a session. Returns whether it was there."""

    async def of(self, owner: str) -> Sequence[tuple[str, Kept]]:
        """The sessions of an owner with their names, the least recently used first."""

    async def close(self) -> None:
        """End connections."""
