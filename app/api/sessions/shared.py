"""Sessions in a Redis, for several front ends and machines.

An owner has a hash of sessions, a sorted set of their names by time, and the sum of their bytes; all three expire. A
lock with an expiry time gives one request at a time the session.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any

import msgspec

from app.api.sessions.kept import Kept, Place, SessionLimits
from app.api.sessions.turns import Turns
from app.errors import InvalidAccess, SessionLost, SessionsUnreachable, TimedOut

log = logging.getLogger("unroll.sessions")
_REDIS_SECONDS = 2.0  # timeout of connecting, and of each reply
_GRACE_SECONDS = 5.0  # after the deadline of a request, in which its lock is still there
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.1  # seconds between attempts to get a lock
_DROP = """
local function drop(name)
  local size = redis.call('HSTRLEN', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
  if size > 0 then
    redis.call('HDEL', KEYS[1], name)
    redis.call('DECRBY', KEYS[3], size)
  end
  return size
end
"""
_FORGET = _DROP + "return drop(ARGV[1])"
_KEEP = (
    _DROP
    + """
local token, name, content, now, seconds, number, most = unpack(ARGV)
if redis.call('GET', KEYS[4]) ~= token then return 0 end
drop(name)
redis.call('HSET', KEYS[1], name, content)
redis.call('ZADD', KEYS[2], now, name)
redis.call('INCRBY', KEYS[3], #content)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', tonumber(now) - tonumber(seconds))) do drop(old) end
while redis.call('ZCARD', KEYS[2]) > tonumber(number)
    or (tonumber(redis.call('GET', KEYS[3])) > tonumber(most) and redis.call('ZCARD', KEYS[2]) > 1) do
  drop(redis.call('ZRANGE', KEYS[2], 0, 0)[1])
end
for place = 1, 3 do redis.call('PEXPIRE', KEYS[place], math.ceil(tonumber(seconds) * 1000)) end
return 1
"""
)
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class SharedSessions:
    """A `SessionStore` in the Redis at `url`. Raises InvalidAccess for another URL or without the package."""

    def __init__(self, url: str, limits: SessionLimits) -> None:
        self.limits = limits
        self._redis: Any = _connected(url)
        self._turns = Turns()
        self._tokens: dict[Place, str] = {}  # of the locks that this process has
        self._keep = self._redis.register_script(_KEEP)
        self._forget = self._redis.register_script(_FORGET)
        self._release = self._redis.register_script(_RELEASE)

    @asynccontextmanager
    async def turn(self, place: Place, deadline: float) -> AsyncIterator[None]:
        """See `SessionStore.turn`. Requests that wait in several processes have no promised order."""
        async with self._turns.of(place):
            token = secrets.token_hex(8)
            try:
                await self._lock(place, token, deadline)
                self._tokens[place] = token
                yield
            finally:
                self._tokens.pop(place, None)
                try:
                    with _reachable():
                        await self._release(keys=[_lock_of(place)], args=[token])
                except SessionsUnreachable as error:
                    log.error("the lock of a session stays until it expires: %s", error.detail)

    async def _lock(self, place: Place, token: str, deadline: float) -> None:
        wait = _FIRST_WAIT
        while True:
            seconds = deadline - time.monotonic()
            if seconds < 0:
                raise TimedOut("another request of the session is still being answered; allow more time")
            expires = int((seconds + _GRACE_SECONDS) * 1000)
            with _reachable():
                if await self._redis.set(_lock_of(place), token, nx=True, px=expires):
                    return
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def find(self, place: Place) -> Kept | None:
        """See `SessionStore.find`."""
        with _reachable():
            content = await self._redis.hget(_keys_of(place.owner)[0], place.name)
        kept = None if content is None else _decode(content)
        return kept if kept is not None and self._is_fresh(kept) else None

    async def keep(self, place: Place, kept: Kept) -> None:
        """See `SessionStore.keep`. Raises SessionLost if the lock expired, since another request may have it."""
        limits = self.limits
        keys = [*_keys_of(place.owner), _lock_of(place)]
        token = self._tokens[place]
        args = [token, place.name, _encode(kept), kept.used, limits.seconds, limits.number, limits.size]
        with _reachable():
            is_kept = await self._keep(keys=keys, args=args)
        if not is_kept:
            raise SessionLost(
                f"the request took too long, so that another one has session {place.name}: the session is as it was "
                "before this request, or as the other one left it; start it again"
            )

    async def forget(self, place: Place) -> bool:
        """See `SessionStore.forget`."""
        with _reachable():
            return bool(await self._forget(keys=_keys_of(place.owner), args=[place.name]))

    async def of(self, owner: str) -> Sequence[tuple[str, Kept]]:
        """See `SessionStore.of`."""
        with _reachable():
            found = await self._redis.hgetall(_keys_of(owner)[0])
        kept = [(name.decode(), _decode(content)) for name, content in found.items()]
        return sorted((item for item in kept if self._is_fresh(item[1])), key=lambda item: item[1].used)

    async def close(self) -> None:
        """See `SessionStore.close`."""
        await self._redis.aclose()

    def _is_fresh(self, kept: Kept) -> bool:
        return kept.used > time.time() - self.limits.seconds


def _keys_of(owner: str) -> list[str]:
    """The hash, the sorted set and the sum of bytes; the braces keep them on one node of a cluster."""
    return [f"unroll:{{sessions {owner}}}:{part}" for part in ("states", "order", "bytes")]


def _lock_of(place: Place) -> str:
    return f"unroll:{{sessions {place.owner}}}:lock:{place.name}"


@contextmanager
def _reachable() -> Iterator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        raise SessionsUnreachable(
            f"the Redis that keeps sessions failed ({type(error).__name__}): the session is as it was; retry"
        ) from None


def _connected(url: str) -> Any:
    if find_spec("redis") is None:
        raise InvalidAccess("sessions in Redis need a package: pip install 'unroll-serve[redis]'")
    from redis import asyncio as redis

    try:
        return redis.from_url(
            url.replace("redis+unix://", "unix://", 1),
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
        )
    except ValueError:
        raise InvalidAccess("session_storage is not a Redis URL, such as redis://host:6379/0") from None
