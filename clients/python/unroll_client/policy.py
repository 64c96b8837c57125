"""Timeouts and retries of a client."""

import random
import time
from dataclasses import dataclass

import httpx

from unroll_client.errors import ConnectionFailed, NotReady, Overloaded, ServiceFailed, UnrollClientError

_NEVER_READY = "/problems/model-unavailable"  # a 503 that waiting does not change
_NO_PROBLEM = "about:blank"  # the service names each problem
_JITTER = 0.25  # of a `Retry-After`, added at random, so that refused clients do not return together
_SERVICE_SHARE = 0.9  # of the remaining time; the rest is for the way of a partial answer


@dataclass(frozen=True)
class Timeout:
    """Seconds to `connect`, and in `total` for a request with all its retries and waits. `None` is no limit."""

    connect: float = 5.0
    total: float | None = 120.0

    def deadline(self) -> float | None:
        """The end of a request that starts now, on the clock of `time.monotonic`."""
        return None if self.total is None else time.monotonic() + self.total

    def for_httpx(self, deadline: float | None) -> httpx.Timeout:
        """Limits of one attempt."""
        left = seconds_left(deadline)
        if left is None:
            return httpx.Timeout(None, connect=self.connect)
        left = max(0.001, left)
        return httpx.Timeout(left, connect=min(self.connect, left), pool=None)


@dataclass(frozen=True)
class Retries:
    """At most `attempts` in all. A `Retry-After` of the service sets the wait; without one, wait n is drawn between 0
    and `first_wait` * 2**(n - 1) seconds, at most `longest_wait`. With `broken` a request is also sent again when its
    connection broke, or a proxy lost it: the service may run it twice, which matters in a session alone."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 10.0
    broken: bool = False

    def wait_after(self, attempt: int, error: UnrollClientError) -> float | None:
        """Seconds to wait after attempt number `attempt`, from 1; None if it is the last."""
        if attempt >= self.attempts or not (_is_transient(error) or (self.broken and _is_lost(error))):
            return None
        if isinstance(error, Overloaded | NotReady) and error.retry_after is not None:
            return error.retry_after * random.uniform(1, 1 + _JITTER)
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)))


DEFAULT_TIMEOUT = Timeout()
DEFAULT_RETRIES = Retries()


def as_timeout(given: Timeout | float | None) -> Timeout:
    """A number is the `total`."""
    return given if isinstance(given, Timeout) else Timeout(total=given)


def as_retries(given: Retries | int) -> Retries:
    """A number is the `attempts`. Raises ValueError."""
    retries = given if isinstance(given, Retries) else Retries(attempts=given)
    if retries.attempts < 1:
        raise ValueError(f"retries allow {retries.attempts} attempts; the attempts are at least 1")
    return retries


def seconds_left(deadline: float | None) -> float | None:
    """Until the deadline, on the clock of `time.monotonic`; None if there is none."""
    return None if deadline is None else deadline - time.monotonic()


def service_timeout_ms(left: float | None, requested: int | None) -> int | None:
    """`timeout_ms` for the service when `left` seconds remain and the caller requested `requested`."""
    if left is None:
        return requested
    remaining = max(1, int(left * _SERVICE_SHARE * 1000))
    return remaining if requested is None else min(remaining, requested)


def _is_lost(error: UnrollClientError) -> bool:
    """Whether it is unknown if the request was executed: its connection broke, or a proxy failed."""
    if isinstance(error, ServiceFailed):
        return error.type == _NO_PROBLEM
    return isinstance(error, ConnectionFailed)


def _is_transient(error: UnrollClientError) -> bool:
    """Whether the request was not executed, and may succeed later."""
    if isinstance(error, ConnectionFailed):
        return not error.sent
    return isinstance(error, Overloaded | NotReady) and error.type != _NEVER_READY
