"""The gate of admission: a plain ASGI middleware that admits or refuses a request by its headers."""

import math
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.admission import TICKET, Admission, Ticket
from app.api.refusals import Refusal, full, not_ready, refuse
from app.api.routes import task_match_of

_TIMEOUT_HEADER = b"x-timeout-ms"
_TIMEOUT = re.compile(rb"(?:^|&)timeout_ms=(\d{1,10})(?:&|$)")  # in a query string


class Gate:
    """Puts a ticket into the scope of each request to a task, or refuses the request."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = task_match_of(scope)
        if match is None:
            return await self._app(scope, receive, send)
        source = match.route.source or scope["app"].state.service.source_of(match.parameters["model"])
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        steps = source.estimated_steps(int(length) if length.isdigit() else None)
        query = scope["query_string"] if source.options_in_query else b""
        refusal = self._refusal(scope, steps, seconds_of(headers, query))
        if refusal is not None:
            return await refuse(headers, receive, send, refusal)
        ticket: Ticket = scope[TICKET]
        try:
            await self._app(scope, receive, send)
        finally:
            ticket.close()

    def _refusal(self, scope: Scope, steps: float, seconds: float) -> Refusal | None:
        service = scope["app"].state.service
        if not service.client.view.any_started:  # once one has started, requests wait for its restart instead
            service.metrics.refused("not-ready")
            return not_ready()
        ticket = None if self._admission.is_too_late(seconds) else self._admission.admit(1, steps)
        if ticket is None:
            service.metrics.refused("overloaded")
            return full(self._admission, self._admission.retry_after())
        scope[TICKET] = ticket
        return None


def seconds_of(headers: dict[bytes, bytes], query: bytes) -> float:
    """The timeout of a request, by its query string or headers; infinite without one."""
    in_query = _TIMEOUT.search(query)
    timeout = in_query[1] if in_query else headers.get(_TIMEOUT_HEADER, b"")
    return int(timeout) / 1000 or math.inf if timeout.isdigit() else math.inf
