"""Access: who calls, what they may, and how much of it, decided from the head of a request.

A plain ASGI middleware before admission; without keys and limits it is not there at all. It leaves a `Caller` in the
scope, by which the routes for administrators and the scheduler know whose request it is.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access.keys import Key, Keys, Role
from app.api.access.rates import Exceeded, Rates
from app.api.middleware.admission import Refusal, refuse
from app.api.paths import Paths
from app.errors import AdminOff, NotAllowed, RateLimited, TooManyInputs, UnrollError, WrongKey
from app.metrics import Metrics, Reason

CALLER = "unroll.caller"  # its key in an ASGI scope
METRICS = "/metrics"
PROBES = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
PUBLIC = {"/", "/docs", "/openapi.json"} | PROBES  # pages, what describes the routes, and probes
PUBLIC_FOLDER = "/assets/"
_LOOK_SECONDS = 1.0  # between two looks at the file of keys
_SEND_ONE = "send one as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"


@dataclass(frozen=True)
class CallerLimits:
    """Of a caller whose key says nothing else: a rate, and inputs at the same time. Empty and 0 are no limit; addresses
    of callers without a key have limits only `by_address`."""

    rate: str = ""
    inputs: int = 0
    by_address: bool = False


class Caller:
    """Of one request: whose it is, with how many inputs, until it is closed."""

    __slots__ = ("_guard", "inputs", "key", "most_inputs", "name", "rate")

    def __init__(self, guard: "Guard", name: str, key: Key | None, *, rate: str, most_inputs: int) -> None:
        self._guard = guard
        self.name = name
        self.key = key
        self.rate = rate
        self.most_inputs = most_inputs
        self.inputs = 0

    def count_inputs(self, inputs: int) -> None:
        """The request has so many. Raises RateLimited when the caller has too many at the same time."""
        self._guard.count(self, inputs)

    def close(self) -> None:
        """The request is over."""
        self._guard.release(self)


class Guard:
    """Keys and limits of one front end. Inputs at the same time are divided among `workers`, as rates are."""

    def __init__(self, keys: Keys, rates: Rates, limits: CallerLimits, *, workers: int = 1) -> None:
        self.keys = keys
        self._rates = rates
        self._limits = limits
        self._workers = workers
        self._inputs: Counter[str] = Counter()  # of requests that are not answered, by caller

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look at."""
        return self.keys.is_empty and not self._limits.by_address

    def caller_of(self, headers: dict[bytes, bytes], address: str) -> Caller:
        """Who sent these headers. Raises WrongKey where a key is needed."""
        token = headers.get(b"x-api-key") or _bearer(headers.get(b"authorization", b""))
        key = self.keys.find(token) if token else None
        limits = self._limits
        if key is not None:
            rate = limits.rate if key.rate_limit is None else key.rate_limit
            inputs = limits.inputs if key.concurrent_inputs is None else key.concurrent_inputs
            return Caller(self, f"key {key.name}", key, rate=rate, most_inputs=self._share(inputs))
        if self.keys.required:
            raise WrongKey(f"the key is not one of this service's; {_SEND_ONE}" if token else f"no key; {_SEND_ONE}")
        if not limits.by_address:
            return Caller(self, address, None, rate="", most_inputs=0)
        return Caller(self, _network(address), None, rate=limits.rate, most_inputs=self._share(limits.inputs))

    async def exceeded(self, caller: Caller) -> Exceeded | None:
        """Count a request of a caller, unless that is over its rate."""
        return await self._rates.hit(caller.name, caller.rate) if caller.rate else None

    def count(self, caller: Caller, inputs: int) -> None:
        most = caller.most_inputs
        if most and inputs > most:
            raise TooManyInputs(
                f"the request has {inputs} inputs; its caller may have {most} at the same time: send several requests, "
                "one after the other",
                limit=most,
            )
        if most and self._inputs[caller.name] + inputs - caller.inputs > most:
            raise RateLimited(
                f"the caller has too much at the same time: {most} inputs may wait for an answer; send it again when "
                "others have been answered",
                limit=most,
                retry_after_seconds=1,
            )
        self._inputs[caller.name] += inputs - caller.inputs
        caller.inputs = inputs

    def release(self, caller: Caller) -> None:
        self._inputs[caller.name] -= caller.inputs
        if not self._inputs[caller.name]:
            del self._inputs[caller.name]

    def look(self) -> None:
        """Take what the file of keys says now, and forget who was not there for long."""
        self.keys.look()
        self._rates.forget()

    def _share(self, inputs: int) -> int:
        return -(-inputs // self._workers)


async def watch_access(guard: Guard) -> None:
    """Keep keys as their file has them, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        guard.look()


class Access:
    """Refuses who has no key, may not, or asks too much; `tasks` are the paths for which rates and inputs count."""

    def __init__(self, app: ASGIApp, guard: Guard, tasks: Iterable[str], metrics: Metrics) -> None:
        self._app = app
        self._guard = guard
        self._tasks = Paths(dict.fromkeys(tasks, True))
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_public(scope["path"]):
            return await self._app(scope, receive, send)
        found = self._tasks.find(scope["path"]) if scope["method"] == "POST" else None
        headers = dict(scope["headers"])
        refusal = await self._refusal(scope, headers, is_task=found is not None)
        if refusal is not None:
            if found is not None:
                scope["unroll.path"] = found.path
            return await refuse(headers, receive, send, refusal)
        try:
            await self._app(scope, receive, send)
        finally:
            scope[CALLER].close()

    async def _refusal(self, scope: Scope, headers: dict[bytes, bytes], *, is_task: bool) -> Refusal | None:
        try:
            caller = self._guard.caller_of(headers, scope["client"][0] if scope["client"] else "")
            if caller.key is not None and caller.key.role is Role.MONITOR and scope["path"] != METRICS:
                raise NotAllowed(f"this key is for {METRICS} alone")
            if is_task:
                caller.count_inputs(1)
        except UnrollError as error:
            self._metrics.refused(reason_of(error))
            return Refusal(error)
        exceeded = await self._guard.exceeded(caller) if is_task else None
        if exceeded is not None:
            caller.close()
            self._metrics.refused("rate-limited")
            return Refusal(_rate_limited(exceeded), exceeded.headers)
        scope[CALLER] = caller
        return None


def is_public(path: str) -> bool:
    """Whether anybody may ask for it, keys or not."""
    return path in PUBLIC or path.startswith(PUBLIC_FOLDER)


def reason_of(error: UnrollError) -> Reason:
    """Under which reason a refusal is counted."""
    if isinstance(error, WrongKey):
        return "wrong-key"
    return "not-allowed" if isinstance(error, NotAllowed) else "concurrency"


def client_of(request: Request) -> str:
    """By what the scheduler shares: the caller's key, or the address."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is not None:
        return caller.name
    return request.client.host if request.client else ""


def count_inputs(request: Request, inputs: int, metrics: Metrics) -> None:
    """A request that has been read has so many. Raises RateLimited and TooManyInputs."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is not None:
        try:
            caller.count_inputs(inputs)
        except RateLimited as error:
            metrics.refused(reason_of(error))
            raise


def check_administrator(request: Request, keys: Keys, metrics: Metrics) -> None:
    """Raises AdminOff, WrongKey and NotAllowed, and counts the last two as refusals."""
    if not keys.has_administrator:
        raise AdminOff(
            "models cannot be loaded or unloaded over HTTP: start the service with UNROLL_ADMIN_KEY, "
            "UNROLL_ADMIN_KEY_FILE or a key with the role admin to switch it on"
        )
    caller: Caller | None = request.scope.get(CALLER)
    error: WrongKey | NotAllowed
    if caller is None or caller.key is None:
        error = WrongKey(f"this is for administrators, and needs their key; {_SEND_ONE}")
    elif caller.key.role is not Role.ADMIN:
        error = NotAllowed("this is for administrators; the key has another role")
    else:
        return
    metrics.refused(reason_of(error))
    raise error


def _bearer(value: bytes) -> bytes:
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """What stands for one caller without a key: an address, and of IPv6 the half that providers hand out as a whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _rate_limited(exceeded: Exceeded) -> RateLimited:
    return RateLimited(
        f"the caller may send {exceeded.limit} requests in {exceeded.window} s, and has; send it again in "
        f"{exceeded.seconds} s",
        limit=exceeded.limit,
        retry_after_seconds=exceeded.seconds,
    )
