"""The processes that a soak killed, and the connections of its workers: only these may end without an answer."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.soak.processes import Role
from benchmarks.soak.wire import Connection


@dataclass
class Kills:
    """For each kill its time, the role, and the client ports that were connected to a worker."""

    _kills: list[tuple[float, Role, frozenset[int]]] = field(default_factory=list)

    def note(self, role: Role, ports: Iterable[int] = ()) -> None:
        """A process is about to be killed. It is stopped already, so it accepts no further connection."""
        self._kills.append((time.monotonic(), role, frozenset(ports)))

    def ended(self, connection: Connection) -> bool:
        """Whether a kill ended this connection. A port can be used again, so the connection must be older."""
        return any(connection.opened <= at and connection.port in ports for at, _, ports in self._kills)

    def within(self, seconds: float) -> set[Role]:
        """The roles of which a process was killed in the last `seconds`."""
        since = time.monotonic() - seconds
        return {role for at, role, _ in self._kills if at >= since}
