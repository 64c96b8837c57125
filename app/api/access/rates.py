"""Rate limits of callers: moving windows over their requests, in this process or in a shared Redis."""

import logging
import math
import time
from functools import lru_cache
from importlib.util import find_spec
from typing import NamedTuple

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter as SharedWindow
from limits.errors import ConfigurationError, StorageError

from app.api.access.moving_window import MovingWindows
from app.api.access.rate_text import rates_in
from app.errors import InvalidAccess

log = logging.getLogger("unroll.access")
_REDIS_SECONDS = 0.5  # timeout of connecting, and of each reply
_RETRY_SECONDS = 5.0  # between a failure of Redis and the next attempt


class Exceeded(NamedTuple):
    """A rate limit that a caller exceeds: `limit` requests per `window` seconds, `remaining` of them left, and the next
    one allowed in `seconds`."""

    limit: int
    window: int
    remaining: int
    seconds: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the IETF draft on rate limits."""
        values = {
            b"ratelimit-limit": str(self.limit),
            b"ratelimit-remaining": str(self.remaining),
            b"ratelimit-reset": str(self.seconds),
            b"ratelimit-policy": f"{self.limit};w={self.window}",
        }
        return [(name, value.encode()) for name, value in values.items()]


class Rates:
    """Counts requests by caller.

    Without `redis` (a URL), each of `workers` processes counts its own requests and allows an equal share of each rate.
    With it, all processes on the same Redis count together. While Redis fails, each process counts its own requests: an
    inexact limit is better than an outage.
    """

    def __init__(self, redis: str | None = None, *, workers: int = 1) -> None:
        self._workers = workers
        self._own = MovingWindows()
        self._shared = None if redis is None else SharedWindow(_connected(redis))
        self._retry_at = 0.0  # the next attempt after a failure of Redis
        self._items = lru_cache(maxsize=1024)(_items)

    async def hit(self, caller: str, rate: str) -> Exceeded | None:
        """Count a request, unless it exceeds a rate limit; then return that."""
        if self._shared is not None and time.monotonic() >= self._retry_at:
            try:
                for item in self._items(rate, 1):
                    if not await self._shared.hit(item, caller):
                        shared = await self._shared.get_window_stats(item, caller)
                        return _exceeded(item, shared.remaining, shared.reset_time - time.time())
            except StorageError as error:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
                log.error("Redis failed (%s): each process counts its own requests", type(error.storage_error).__name__)
            else:
                return None
        for item in self._items(rate, self._workers):
            if not self._own.hit(item, caller):
                return _exceeded(item, 0, self._own.seconds_until_next(item, caller))
        return None

    def forget(self) -> None:
        """Drop callers without requests in their windows."""
        self._own.forget()


def _items(rate: str, share: int) -> list[RateLimitItem]:
    """The limits of `rate`, the shortest window first, each divided by `share`."""
    items = sorted(rates_in(rate), key=RateLimitItem.get_expiry)
    return [type(item)(-(-item.amount // share), item.multiples) for item in items]


def _connected(url: str) -> RedisStorage:
    if find_spec("redis") is None:
        raise InvalidAccess("rate limits in Redis need a package: pip install 'unroll-serve[redis]'")
    try:
        return RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="unroll",
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
        )
    except (ConfigurationError, ValueError):
        raise InvalidAccess("rate_limit_storage is not a Redis URL, such as redis://host:6379/0") from None


def _exceeded(item: RateLimitItem, remaining: int, seconds: float) -> Exceeded:
    return Exceeded(
        item.amount, item.get_expiry(), max(0, remaining), min(max(1, math.ceil(seconds)), item.get_expiry())
    )
