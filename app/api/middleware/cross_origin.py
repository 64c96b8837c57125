"""Cross-origin requests (CORS): only pages of origins in the setting may read responses."""

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app.api.problems import CROSS_ORIGIN, problem_response

_METHODS = ("GET", "HEAD", "POST", "PUT")
_EXPOSED = ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-ID", "Server-Timing")
_PREFLIGHT_SECONDS = 600  # for which browsers cache a preflight


def cross_origin(origins: str) -> list[Middleware]:
    """The middleware that lets pages of `origins` (separated by commas) use the service; none without origins.

    A preflight request has no key, so it is answered before access control. Cookies are not accepted: a page needs a
    key.
    """
    if not origins:
        return []
    return [
        Middleware(
            _CrossOrigin,
            allow_origins=origins.split(","),
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )
    ]


class _CrossOrigin(CORSMiddleware):
    """Refuses a preflight with a problem, like other refusals."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == CROSS_ORIGIN.status:
            method, origin = request_headers["access-control-request-method"], request_headers["origin"]
            allowed = f"{', '.join(_METHODS)} from the origins in cors_origins"
            problem = problem_response(CROSS_ORIGIN, f"{method} from {origin} is not allowed; allowed are {allowed}")
            kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
            problem.headers.update(kept)
            return problem
        return response
