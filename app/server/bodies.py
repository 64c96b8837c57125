"""The bodies that are being read: a bounded number, so that slow or endless ones lock no other client out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.server.limits import ConnectionLimits

_GRACE = 1.0  # seconds in which no body counts as slow


@dataclass(eq=False, slots=True)
class Body:
    """A body that has begun to arrive. `caller` is the name of the key that sends it, empty without keys. `give_up`
    ends its request with an error that says why."""

    caller: str
    began: float
    give_up: Callable[[str], None]
    received: int = 0


class Bodies:
    """Bodies that are being read, and the bytes of all bodies whose requests are unanswered.

    Above a limit the slowest body is given up, so a client that sends at an ordinary pace always finds room. One key
    may hold a quarter of the room. Pure logic; `clock` returns seconds.
    """

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._reading: dict[Body, None] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._reading)

    def begin(self, caller: str, give_up: Callable[[str], None]) -> Body:
        """Begin to read a body."""
        body = Body(caller, self._clock(), give_up)
        self._reading[body] = None
        mine = [other for other in self._reading if caller and other.caller == caller]
        if len(mine) > max(1, self._limits.bodies // 4):
            self._give_up(mine, f"the key sends more than {self._limits.bodies // 4} bodies at the same time")
        elif len(self._reading) > self._limits.bodies:
            self._give_up([*self._reading], f"the service reads more than {self._limits.bodies} bodies")
        return body

    def receive(self, body: Body, size: int) -> None:
        """Bytes of a body have arrived."""
        body.received += size
        self.bytes += size
        if self.bytes > self._limits.body_bytes and self._reading:
            self._give_up([*self._reading], f"the service holds {self._limits.body_bytes} bytes of bodies")

    def complete(self, body: Body) -> None:
        """The whole body has arrived. Its bytes count until its request is answered."""
        self._reading.pop(body, None)

    def end(self, body: Body) -> None:
        """The request of the body has ended."""
        self.complete(body)
        self.bytes -= body.received
        body.received = 0

    def _give_up(self, bodies: list[Body], reason: str) -> None:
        """Give up the slowest body. A new one is not judged yet, unless all are new."""
        now = self._clock()
        old = [body for body in bodies if now - body.began > _GRACE]
        slowest = min(old, key=lambda body: body.received / (now - body.began)) if old else bodies[-1]
        self.complete(slowest)
        slowest.give_up(reason)
