"""The bodies that are being read: a bounded number, so that slow or endless ones lock no other client out."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from app.server.limits import ConnectionLimits

_CREDIT = 65_536  # bytes that each body counts as received at its begin: a new one is not slow
_SMALL = 64  # a body with less than this part of the limit frees little


@dataclass(eq=False, slots=True)
class Body:
    """A body that is announced and has not arrived completely. `sender` is the name of a key, or an address if no key
    is checked. `give_up` ends its request with an error that says why."""

    sender: str
    has_key: bool
    began: float
    last: float  # when bytes came
    give_up: Callable[[str], None]
    received: int = 0


class Bodies:
    """Bodies that are being read, and the bytes of all bodies whose requests are unanswered.

    Above a limit a body of the sender with most is given up: the slowest, or a large one whose bytes wait longest. So a
    client that sends at an ordinary pace finds room. Above twice the limit of bytes, small bodies are given up, too.
    One key may send a quarter of the bodies. Pure logic; `clock` returns seconds.
    """

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._reading: dict[Body, None] = {}
        self._held = Counter[str]()  # bytes by sender
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._reading)

    def begin(self, give_up: Callable[[str], None], sender: str, *, has_key: bool = False) -> Body:
        """A body is announced."""
        now = self._clock()
        body = Body(sender, has_key, now, now, give_up)
        self._reading[body] = None
        return body

    def receive(self, body: Body, size: int) -> None:
        """Bytes of a body have arrived."""
        body.received += size
        body.last = self._clock()
        self.bytes += size
        self._held[body.sender] += size

    def resume(self, body: Body) -> None:
        """The server reads a body again: it was not the sender who was slow."""
        body.began = body.last = self._clock()

    def complete(self, body: Body) -> None:
        """The whole body has arrived. Its bytes count until its request is answered."""
        self._reading.pop(body, None)

    def end(self, body: Body) -> None:
        """The request of the body has ended."""
        self.complete(body)
        self.bytes -= body.received
        self._held[body.sender] -= body.received
        if not self._held[body.sender]:
            del self._held[body.sender]
        body.received = 0

    def make_room(self, body: Body) -> None:
        """Give up another body if there are too many with this one, which has not arrived completely."""
        limits, now = self._limits, self._clock()
        if self.bytes > limits.body_bytes and (candidates := self._heaviest()):
            waiting = max(candidates, key=lambda one: one.received * (now - one.last + 0.001))
            self._give_up(waiting, f"the service holds {limits.body_bytes} bytes of bodies")
        if len(self._reading) > limits.bodies:
            self._give_up(self._slowest(self._busiest(), now), f"the service reads more than {limits.bodies} bodies")
        if body.has_key and len(mine := self._of(body.sender)) > max(1, limits.bodies // 4):
            reason = f"the key sends more than {limits.bodies // 4} bodies at the same time"
            self._give_up(self._slowest(mine, now), reason)

    def _of(self, sender: str) -> list[Body]:
        return [body for body in self._reading if body.sender == sender]

    def _heaviest(self) -> list[Body]:
        """The bodies from which one is given up for its bytes."""
        limit = self._limits.body_bytes
        large = [body for body in self._reading if body.received > limit // _SMALL]
        candidates = large or ([*self._reading] if self.bytes > 2 * limit else [])
        most = max((self._held[body.sender] for body in candidates), default=0)
        return [body for body in candidates if self._held[body.sender] == most]

    def _busiest(self) -> list[Body]:
        counts = Counter(body.sender for body in self._reading)
        return self._of(counts.most_common(1)[0][0])

    def _slowest(self, bodies: list[Body], now: float) -> Body:
        return min(bodies, key=lambda body: (body.received + _CREDIT) / (now - body.began + 0.001))

    def _give_up(self, body: Body, reason: str) -> None:
        self.end(body)
        body.give_up(reason)
