"""Keys and limits of one front end: the caller of a request, its role, and its concurrent inputs.

`app.api.middleware.access` checks requests with it. Administration and the scheduler use the `Caller` in the scope.
"""

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

from app.api.access.keys import Key, Keys
from app.api.access.rates import Exceeded, Rates
from app.api.access.roles import Role
from app.errors import AdminOff, NotAllowed, RateLimited, TooManyInputs, UnrollError, WrongKey
from app.metrics import Metrics, Reason

CALLER = "unroll.caller"  # key of the caller in an ASGI scope
PROBES = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
PUBLIC = {"/", "/docs", "/openapi.json"} | PROBES  # pages, the OpenAPI document, and probes
PUBLIC_FOLDER = "/assets/"
_REFRESH_SECONDS = 1.0  # between two checks of the key file
_SEND_ONE = "send one as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"


@dataclass(frozen=True)
class CallerLimits:
    """Limits of a caller whose key sets none: a rate, and concurrent inputs. Empty and 0 mean no limit. Callers without
    a key are limited only `by_address`."""

    rate: str = ""
    inputs: int = 0
    by_address: bool = False


class Caller:
    """The caller of one request, with the number of its inputs. Close it when the request ends."""

    __slots__ = ("_guard", "inputs", "key", "most_inputs", "name", "rate")

    def __init__(self, guard: "Guard", name: str, key: Key | None, *, rate: str, most_inputs: int) -> None:
        self._guard = guard
        self.name = name
        self.key = key
        self.rate = rate
        self.most_inputs = most_inputs
        self.inputs = 0

    def count_inputs(self, inputs: int) -> None:
        """Count the inputs of the request. Raises RateLimited above the caller's limit of concurrent inputs."""
        self._guard.count(self, inputs)

    async def exceeded(self) -> Exceeded | None:
        """Count one more request. Returns the exceeded rate limit, if any."""
        return await self._guard.exceeded(self)

    def close(self) -> None:
        """Release the inputs of the request."""
        self._guard.release(self)


class Guard:
    """Keys and limits of one front end. Each of `workers` front ends has an equal share of the limits."""

    def __init__(self, keys: Keys, rates: Rates, limits: CallerLimits, *, workers: int = 1) -> None:
        self.keys = keys
        self._rates = rates
        self._limits = limits
        self._workers = workers
        self._inputs: Counter[str] = Counter()  # of unanswered requests, by caller

    @property
    def is_idle(self) -> bool:
        """Whether there are neither keys nor limits."""
        return self.keys.is_empty and not self._limits.by_address

    def caller_of(self, headers: dict[bytes, bytes], address: str) -> Caller:
        """The caller that these headers identify. Raises WrongKey if a key is required and none matches."""
        token = headers.get(b"x-api-key") or _bearer(headers.get(b"authorization", b""))
        key = self.keys.find(token) if token else None
        limits = self._limits
        if key is not None:
            rate = limits.rate if key.rate_limit is None else key.rate_limit
            inputs = limits.inputs if key.concurrent_inputs is None else key.concurrent_inputs
            return Caller(self, f"key {key.name}", key, rate=rate, most_inputs=self._share(inputs))
        if self.keys.required:
            raise WrongKey(f"the key is unknown; {_SEND_ONE}" if token else f"no key; {_SEND_ONE}")
        if not limits.by_address:
            return Caller(self, address, None, rate="", most_inputs=0)
        return Caller(self, _network(address), None, rate=limits.rate, most_inputs=self._share(limits.inputs))

    async def exceeded(self, caller: Caller) -> Exceeded | None:
        """Count a request of a caller. Returns the exceeded rate limit, if any."""
        return await self._rates.hit(caller.name, caller.rate) if caller.rate else None

    def count(self, caller: Caller, inputs: int) -> None:
        most = caller.most_inputs
        if most and inputs > most:
            raise TooManyInputs(
                f"the request has {inputs} inputs; the limit of concurrent inputs is {most}: send several requests, "
                "one after the other",
                limit=most,
            )
        if most and self._inputs[caller.name] + inputs - caller.inputs > most:
            raise RateLimited(
                f"Too many concurrent inputs (limit {most}); retry when other requests are answered.",
                limit=most,
                retry_after_seconds=1,
            )
        self._inputs[caller.name] += inputs - caller.inputs
        caller.inputs = inputs

    def release(self, caller: Caller) -> None:
        self._inputs[caller.name] -= caller.inputs
        if not self._inputs[caller.name]:
            del self._inputs[caller.name]

    def refresh(self) -> None:
        """Reload the key file if it changed, and drop callers without recent requests."""
        self.keys.refresh()
        self._rates.forget()

    def _share(self, inputs: int) -> int:
        return -(-inputs // self._workers)


async def watch_access(guard: Guard) -> None:
    """Reload changed keys, until cancelled."""
    while True:
        await asyncio.sleep(_REFRESH_SECONDS)
        guard.refresh()


def is_public(path: str) -> bool:
    """Whether a path needs no key."""
    return path in PUBLIC or path.startswith(PUBLIC_FOLDER)


def reason_of(error: UnrollError) -> Reason:
    """The reason under which metrics count a refusal."""
    if isinstance(error, WrongKey):
        return "wrong-key"
    return "not-allowed" if isinstance(error, NotAllowed) else "concurrency"


def client_of(request: Request) -> str:
    """The name of the client for fair sharing in the scheduler: that of its key, or its address."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is not None:
        return caller.name
    return request.client.host if request.client else ""


def owner_of(request: Request) -> str:
    """The owner of what the service keeps for a request: the name of its key, or empty, since callers without a key
    are alike."""
    caller: Caller | None = request.scope.get(CALLER)
    return "" if caller is None or caller.key is None else caller.key.name


def count_inputs(request: Request, inputs: int, metrics: Metrics) -> None:
    """Count the inputs of a request whose body has been read. Raises RateLimited and TooManyInputs."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is not None:
        try:
            caller.count_inputs(inputs)
        except RateLimited as error:
            metrics.refused(reason_of(error))
            raise


def rate_limited(exceeded: Exceeded) -> RateLimited:
    """The error of a request above a rate."""
    return RateLimited(
        f"Rate limit of {exceeded.limit} requests per {exceeded.window} s exceeded; retry in {exceeded.seconds} s",
        limit=exceeded.limit,
        retry_after_seconds=exceeded.seconds,
    )


def check_administrator(request: Request, keys: Keys, metrics: Metrics) -> None:
    """Raises AdminOff, WrongKey and NotAllowed, and counts the last two as refusals."""
    if not keys.has_administrator:
        raise AdminOff(
            "administration is off; to switch it on, start the service with UNROLL_ADMIN_KEY, UNROLL_ADMIN_KEY_FILE or "
            "a key with the role admin"
        )
    caller: Caller | None = request.scope.get(CALLER)
    error: WrongKey | NotAllowed
    if caller is None or caller.key is None:
        error = WrongKey(f"this route needs an administrator's key; {_SEND_ONE}")
    elif caller.key.role is not Role.ADMIN:
        error = NotAllowed("this route needs an administrator's key; this key has another role")
    else:
        return
    metrics.refused(reason_of(error))
    raise error


def _bearer(value: bytes) -> bytes:
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """The name of a caller without a key: its IPv4 address, or its IPv6 /64, since one client may use a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
