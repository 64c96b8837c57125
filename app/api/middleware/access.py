"""Access control: a plain ASGI middleware that checks the headers of a request, before admission.

Without keys and limits it is not installed. It puts a `Caller` into the scope.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access.guard import CALLER, Guard, is_public, rate_limited, reason_of
from app.api.access.roles import Role
from app.api.refusals import Refusal, refuse
from app.api.routes import task_match_of
from app.errors import NotAllowed, UnrollError
from app.metrics import Metrics

_METRICS = "/metrics"


class Access:
    """Refuses a request without a valid key, with a key of another role, or over its rate. Rates and concurrent inputs
    count for tasks only."""

    def __init__(self, app: ASGIApp, guard: Guard, metrics: Metrics) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_public(scope["path"]):
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        refusal = await self._refusal(scope, headers, is_task=task_match_of(scope) is not None)
        if refusal is not None:
            return await refuse(headers, receive, send, refusal)
        try:
            await self._app(scope, receive, send)
        finally:
            scope[CALLER].close()

    async def _refusal(self, scope: Scope, headers: dict[bytes, bytes], *, is_task: bool) -> Refusal | None:
        try:
            caller = scope.get(CALLER) or self._guard.caller_of(headers, scope["client"][0] if scope["client"] else "")
            if caller.key is not None and caller.key.role is Role.MONITOR and scope["path"] != _METRICS:
                raise NotAllowed(f"this key permits only {_METRICS}")
            if is_task:
                caller.count_inputs(1)
        except UnrollError as error:
            self._metrics.refused(reason_of(error))
            return Refusal(error)
        exceeded = await self._guard.exceeded(caller) if is_task else None
        if exceeded is not None:
            caller.close()
            self._metrics.refused("rate-limited")
            return Refusal(rate_limited(exceeded), exceeded.headers)
        scope[CALLER] = caller
        return None
