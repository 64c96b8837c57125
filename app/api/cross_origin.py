"""Pages of other origins (CORS): none may read an answer, unless a setting names them."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_TOLD = ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-ID", "Server-Timing")
_PREFLIGHT_SECONDS = 600  # for which a browser need not ask again


def cross_origin(origins: str) -> list[Middleware]:
    """What lets pages of `origins`, separated by commas, use the service; nothing when there are none.

    Browsers ask beforehand, in a preflight without a key, which is answered before keys are looked at. Cookies are not
    taken: a page has to know a key.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins.split(","),
            allow_methods=("GET", "POST", "PUT"),
            allow_headers=("*",),
            expose_headers=_TOLD,
            max_age=_PREFLIGHT_SECONDS,
        )
    ]
