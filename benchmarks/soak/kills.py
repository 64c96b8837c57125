"""The processes that a soak killed, and the connections of its workers: only these may end without an answer."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.soak.processes import Role
from benchmarks.soak.wire import Connection


@dataclass(frozen=True)
class Kill:
    """A process was stopped at `since`, with these client ports connected to it, and dies before `until`."""

    role: Role
    since: float
    until: float
    ports: frozenset[int]


@dataclass
class Kills:
    """All kills of a soak; times are of `time.monotonic`."""

    _kills: list[Kill] = field(default_factory=list)

    def note(self, role: Role, ports: Iterable[int] = (), *, within: float = 0) -> None:
        """A process is stopped, so it accepts no further connection, and dies `within` some seconds."""
        now = time.monotonic()
        self._kills.append(Kill(role, now, now + within, frozenset(ports)))

    def ended(self, connection: Connection) -> bool:
        """Whether a kill ended this connection. A port can be used again, so the connection must be older."""
        return any(connection.opened <= kill.since and connection.port in kill.ports for kill in self._kills)

    def count(self, role: Role, since: float) -> int:
        """How many processes of a role died, or were dying, at `since` or later."""
        return sum(kill.role is role and kill.until >= since for kill in self._kills)
