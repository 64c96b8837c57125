"""Protection of a service without keys on a loopback address: a plain ASGI middleware that refuses what web pages of
other sites send to it.

A page can have its own name resolve to 127.0.0.1 (DNS rebinding), so the host must be a name of this machine. A page
can also send requests whose answers it cannot read; browsers mark these (Fetch Metadata, section 2.1; Origin, RFC
6454).
"""

import ipaddress
import socket
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.refusals import Refusal, refuse
from app.errors import CrossSite, HostNotAllowed, UnrollError

_ANY = "*"


def names_in(allowed: str) -> frozenset[str] | None:
    """The host names in the setting `allowed_hosts`; None if any is allowed."""
    names = frozenset(name.strip().lower() for name in allowed.split(","))
    return None if _ANY in names else names - {""}


class LocalOnly:
    """Refuses a request whose `Host` is neither a name of this machine nor in `allowed`, and one from a page of another
    origin, unless it is in `origins` (separated by commas). A link to a page of this service is followed."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str], origins: str = "") -> None:
        self._app = app
        self._allowed = allowed
        self._hosts = allowed | {"localhost", socket.gethostname().lower()}
        self._origins = origins.split(",")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            error = self._error(scope["method"], headers)
            if error is not None:
                await refuse(headers, receive, send, Refusal(error))
                return
        await self._app(scope, receive, send)

    def _error(self, method: str, headers: dict[bytes, bytes]) -> UnrollError | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host and not self._is_ours(_name_of(host)):  # every browser sends one
            return HostNotAllowed(
                "the Host header is not a name of this machine; add it to allowed_hosts (UNROLL_ALLOWED_HOSTS)"
            )
        is_link = method in ("GET", "HEAD") and headers.get(b"sec-fetch-mode") == b"navigate"
        if self._is_foreign(host, headers) and not is_link:
            return CrossSite("a page of another site sent this request; add its origin to cors_origins")
        return None

    def _is_foreign(self, host: str, headers: dict[bytes, bytes]) -> bool:
        """Whether a page of another origin sent the request. Behind a proxy only the browser knows, if it says so.

        Another port of the same name is another origin: any user of this machine may serve a page there. An allowed
        name stands for a proxy, at the port of its scheme.
        """
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if _ANY in self._origins or (origin and origin in self._origins):
            return False
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site not in (b"same-origin", b"none")
        place = origin.partition("://")[2]
        forwarded = headers.get(b"x-forwarded-host", b"").decode("latin-1").lower()
        return bool(origin) and place not in ({host, forwarded} - {""}) | self._allowed

    def _is_ours(self, name: str) -> bool:
        """Whether it is an address, which no DNS can redirect, or a known name."""
        return name in self._hosts or name.endswith(".localhost") or _is_address(name)


@lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")
