"""The limit of the body size: a plain ASGI middleware that refuses a larger body while it arrives."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import KINDS, problem_response
from app.api.refusals import discard_body, length_of
from app.api.routes import takes_pieces
from app.errors import BodyTooLarge


class BodyLimit:
    """Responds with 413 as soon as the announced or received size exceeds `most` bytes.

    It then discards the rest of the body for some time before it closes the connection, for clients that read the
    response only after sending everything.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or takes_pieces(scope):  # each piece has a limit
            await self._app(scope, receive, send)
            return
        length = length_of(dict(scope["headers"]))
        if length is not None and length <= self._most:  # the server accepts no more than the announced length
            await self._app(scope, receive, send)
            return
        started = refused = False
        received = 0

        async def refuse() -> None:
            nonlocal refused
            refused = True
            error = too_large(self._most)
            response = problem_response(KINDS[BodyTooLarge], error.detail, **error.facts)
            response.headers["Connection"] = "close"
            await response(scope, receive, unfinished_send)
            await discard_body(receive)
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

        if length is not None:
            await refuse()
        else:
            await self._app(scope, counted_receive, guarded_send)


def too_large(most: int, body: str = "body") -> BodyTooLarge:
    return BodyTooLarge(f"the {body} exceeds the limit of {most} bytes; send fewer or smaller inputs", limit=most)
