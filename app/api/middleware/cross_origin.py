"""Pages of other origins (CORS): none may read an answer, unless a setting names them."""

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app.api.problems import CROSS_ORIGIN, problem_response

_METHODS = ("GET", "POST", "PUT")
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
            _CrossOrigin,
            allow_origins=origins.split(","),
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_TOLD,
            max_age=_PREFLIGHT_SECONDS,
        )
    ]


class _CrossOrigin(CORSMiddleware):
    """Refuses a preflight with a problem, as everything else is refused."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == CROSS_ORIGIN.status:
            asked = f"{request_headers['access-control-request-method']} from a page of {request_headers['origin']}"
            allowed = f"{', '.join(_METHODS)} from the pages that cors_origins names"
            problem = problem_response(CROSS_ORIGIN, f"{asked} is not allowed; allowed is {allowed}")
            kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
            problem.headers.update(kept)
            return problem
        return response
