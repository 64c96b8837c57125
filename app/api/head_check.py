"""The check of a request to a task by its head alone: its key, then whether the service can take it.

The server's protocol asks first, and answers a refusal with prepared bytes before an ASGI application runs. Where it
does not ask (another server, or a browser that needs CORS headers), the middleware `Gate` does.
"""

import math
import re
from collections.abc import Callable

from starlette.types import Scope

from app.api.access.guard import CALLER, Guard
from app.api.admission import Admission
from app.api.refusals import Refusal, full, not_ready, wrong_key
from app.api.routes import Match, Routes
from app.errors import WrongKey
from app.metrics import Metrics

_CHECKED = "unroll.checked"  # key in an ASGI scope
_TIMEOUT_HEADER = b"x-timeout-ms"
_LONGEST_TIMEOUT = 10  # digits
_TIMEOUT = re.compile(rb"(?:^|&)timeout_ms=(\d{1,10})(?:&|$)")  # in a query string


class HeadCheck:
    """Refuses a request to a task without a valid key, before an engine has started, or in overload."""

    def __init__(self, routes: Routes, guard: Guard, admission: Admission, metrics: Metrics) -> None:
        self.any_engine_started: Callable[[], bool] = lambda: False  # the lifespan sets it
        self.entering: Callable[[], int] = lambda: 0  # requests between this check and admission; the server sets it
        self._routes = routes
        self._guard = guard
        self._admission = admission
        self._metrics = metrics

    def task_of(self, scope: Scope) -> Match | None:
        """The match of a POST to a task; None for any other request."""
        return self._routes.task_match(scope)

    def refusal(self, scope: Scope, match: Match) -> Refusal | None:
        """The refusal of a request to a task, if it must be refused; it is checked once."""
        if _CHECKED in scope:
            return None
        scope[_CHECKED] = True
        headers = dict(scope["headers"])
        if not self._guard.is_idle and CALLER not in scope:
            try:
                caller = self._guard.caller_of(headers, "")
            except WrongKey as error:
                self._metrics.refused("wrong-key")
                return wrong_key(error.detail)
            if caller.key is not None:  # the address of others may be that of a proxy here
                scope[CALLER] = caller
        if not self.any_engine_started():  # once one has started, requests wait for its restart instead
            self._metrics.refused("not-ready")
            return not_ready()
        source = match.route.source
        query = scope["query_string"] if source is not None and source.options_in_query else b""
        if self._admission.refuses(seconds_of(headers, query), entering=self.entering()):
            self._metrics.refused("overloaded")
            return full(self._admission, self._admission.retry_after())
        return None


def seconds_of(headers: dict[bytes, bytes], query: bytes) -> float:
    """The timeout of a request, by its query string or headers; infinite without one."""
    in_query = _TIMEOUT.search(query)
    timeout = in_query[1] if in_query else headers.get(_TIMEOUT_HEADER, b"")
    if not timeout.isdigit() or len(timeout) > _LONGEST_TIMEOUT:
        return math.inf
    return int(timeout) / 1000 or math.inf
