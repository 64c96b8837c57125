"""How long a caller waits, and how often it is tried."""

import random
import time
from dataclasses import dataclass

from unroll_client.errors import ConnectionFailed, NotReady, Overloaded, UnrollClientError

_NO_USE = "/problems/model-unavailable"  # a 503 that does not pass by waiting
_JITTER = 0.25  # of a wait that the service named, on top: those who were refused together do not come back together
_TOLD = 0.9  # of the time that is left: an answer as far as it came has to arrive as well


@dataclass(frozen=True)
class Timeout:
    """In seconds: to `connect`, and for a request in `total`, all its tries and the waiting between them included.
    `None` is no limit of the client's own."""

    connect: float = 5.0
    total: float | None = 120.0


@dataclass(frozen=True)
class Retries:
    """At most `attempts` in all. Where the service names no time to wait, the n-th wait is drawn between 0 and
    `first_wait` * 2**(n - 1) seconds, at most `longest_wait`."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 10.0

    def wait_after(self, attempt: int, error: UnrollClientError) -> float | None:
        """Seconds to wait after the attempt with this number, from 1; None if it is not to be tried again."""
        if attempt >= self.attempts or not _passes(error):
            return None
        if isinstance(error, Overloaded | NotReady) and error.retry_after is not None:
            return error.retry_after * random.uniform(1, 1 + _JITTER)
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)))


DEFAULT_TIMEOUT = Timeout()
DEFAULT_RETRIES = Retries()


def seconds_left(deadline: float | None) -> float | None:
    """Until the deadline, on the clock of `time.monotonic`; None if there is none."""
    return None if deadline is None else deadline - time.monotonic()


def told_milliseconds(left: float | None, wanted: int | None) -> int | None:
    """`timeout_ms` for the service when `left` seconds are left and the caller asked for `wanted`."""
    if left is None:
        return wanted
    own = max(1, int(left * _TOLD * 1000))
    return own if wanted is None else min(own, wanted)


def _passes(error: UnrollClientError) -> bool:
    """Whether the same request may be answered later, and has not been run."""
    if isinstance(error, ConnectionFailed):
        return not error.sent
    return isinstance(error, Overloaded | NotReady) and error.type != _NO_USE
