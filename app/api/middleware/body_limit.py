"""Refuses a body over the limit while it is being read: a plain ASGI middleware."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import KINDS, problem_response
from app.api.refusals import throw_away
from app.errors import BodyTooLarge


class BodyLimit:
    """Answers 413 as soon as the announced or the received size is over `most` bytes.

    What the client still sends is then thrown away for a moment before the connection is closed, so that clients that
    send everything before they listen get the answer as well.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) <= self._most:  # the server takes no more than was announced
            await self._app(scope, receive, send)
            return
        started = refused = False
        received = 0

        async def refuse() -> None:
            nonlocal refused
            refused = True
            detail = f"the body has more than {self._most} bytes, the limit: send fewer or smaller inputs"
            response = problem_response(KINDS[BodyTooLarge], detail, limit=self._most)
            response.headers["Connection"] = "close"
            await response(scope, receive, unfinished_send)
            await throw_away(receive)
            await send({"type": "http.response.body"})

        async def unfinished_send(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._most:
                    if not started and not refused:
                        await refuse()
                    return {"type": "http.disconnect"}
            return message

        async def guarded_send(message: Message) -> None:
            nonlocal started
            started = True
            if not refused:
                await send(message)

        if length.isdigit():
            await refuse()
        else:
            await self._app(scope, counted_receive, guarded_send)
