"""The connections of workers that a soak killed: only these may end without an answer."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.soak.wire import Connection


@dataclass
class Kills:
    """For each kill, its time and the client ports that were connected to the worker."""

    _kills: list[tuple[float, frozenset[int]]] = field(default_factory=list)

    def note(self, ports: Iterable[int]) -> None:
        """A worker is about to be killed. It is stopped already, so it accepts no further connection."""
        self._kills.append((time.monotonic(), frozenset(ports)))

    def ended(self, connection: Connection) -> bool:
        """Whether a kill ended this connection. A port can be used again, so the connection must be older."""
        return any(connection.opened <= at and connection.port in ports for at, ports in self._kills)

    def within(self, seconds: float) -> bool:
        """Whether a worker was killed in the last `seconds`."""
        return bool(self._kills) and time.monotonic() - self._kills[-1][0] <= seconds

    def __len__(self) -> int:
        return len(self._kills)
