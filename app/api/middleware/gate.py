"""The gate of admission: a plain ASGI middleware that refuses a request to a task by its head, or gives it a ticket."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.admission import TICKET, Admission, Ticket
from app.api.head_check import HeadCheck
from app.api.refusals import refuse
from app.request_context import REQUEST_CONTEXT


class Gate:
    """Puts a ticket into the scope of each request to a task, or refuses the request."""

    def __init__(self, app: ASGIApp, admission: Admission, check: HeadCheck) -> None:
        self._app = app
        self._admission = admission
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = self._check.task_of(scope)
        if match is None:
            return await self._app(scope, receive, send)
        refusal = self._check.refusal(scope, match)
        if refusal is not None:
            return await refuse(dict(scope["headers"]), receive, send, refusal)
        context = REQUEST_CONTEXT.get()
        ticket = scope[TICKET] = Ticket(self._admission, 0.0 if context is None else context.waited)
        try:
            await self._app(scope, receive, send)
        finally:
            ticket.close()
