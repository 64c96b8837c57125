"""Compressed bodies: a plain ASGI middleware that unpacks gzip and deflate, and refuses any other content encoding.

It is inside the limit of the body size, which applies to the bytes that arrive; the same limit applies to the unpacked
bytes here. A body is unpacked when an endpoint reads it and all of it has arrived: a request that is refused by its
head costs nothing, and a body that never ends is held as it came.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.body_limit import too_large
from app.api.middleware.unpacked_bodies import UnpackedBodies
from app.api.middleware.unpacker import WINDOWS, Unpacker
from app.api.refusals import Refusal, refuse
from app.api.routes import takes_pieces
from app.errors import UnsupportedMedia
from app.metrics import Metrics

_HEADER = b"content-encoding"
_METHODS = ("POST", "PUT")  # whose body is read
_SMALL = 8_192  # compressed bytes: of such a body the event loop itself unpacks the first piece, in about a millisecond
_PIECE = 65_536  # bytes that are unpacked on the event loop
_LARGE_PIECE = 1_048_576  # bytes that a thread unpacks at a time
_BODIES = 8  # largest bodies that may be unpacked in memory
_ACCEPTED = [(b"accept-encoding", b"gzip, deflate")]


class ContentEncoding:
    """Replaces a compressed body by its content, up to `most` bytes, and removes the headers that describe it."""

    def __init__(self, app: ASGIApp, most: int, metrics: Metrics) -> None:
        self._app = app
        self._most = most
        self._bodies = UnpackedBodies(_BODIES * most, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_encoded(scope):
            return await self._app(scope, receive, send)
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
        codings = [coding.strip().lower() for value in values for coding in value.split(",")]
        packed = [coding for coding in codings if coding not in ("", "identity")]
        if not packed:
            return await self._app(scope, receive, send)
        if takes_pieces(scope):
            error = UnsupportedMedia(f"the content encoding is {', '.join(packed)[:40]}; send pieces uncompressed")
            return await refuse(dict(scope["headers"]), receive, send, Refusal(error))
        if len(packed) > 1 or packed[0] not in WINDOWS:
            named = ", ".join(packed)[:40]
            error = UnsupportedMedia(
                f"the content encoding is {named}; send the body with gzip or deflate, or uncompressed"
            )
            return await refuse(dict(scope["headers"]), receive, send, Refusal(error, _ACCEPTED))
        scope["headers"] = [item for item in scope["headers"] if item[0] not in (_HEADER, b"content-length")]
        body = _Unpacked(receive, packed[0], self._most, self._bodies)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._bodies.remove(body.size)


def _is_encoded(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _METHODS and any(_HEADER in item for item in scope["headers"])


class _Unpacked:
    """A request whose body is unpacked piece by piece. `size` is the content so far.

    The first piece of a small body is unpacked on the event loop; a thread unpacks all others.
    """

    def __init__(self, receive: Receive, coding: str, most: int, bodies: UnpackedBodies) -> None:
        self._receive = receive
        self._coding = coding
        self._most = most
        self._bodies = bodies
        self._packed = bytearray()
        self._unpacker: Unpacker | None = None  # once all of the body has arrived
        self._has_ended = False
        self.size = 0

    async def receive(self) -> Message:
        """The next piece of the body; after it, what the server sends. Raises BodyTooLarge, UnreadableBody and
        Overloaded."""
        if self._has_ended:
            return await self._receive()
        while self._unpacker is None:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._packed += message.get("body", b"")
            if not message.get("more_body", False):
                self._unpacker = Unpacker(self._coding, self._packed)
        piece = await self._piece(self._unpacker)
        if self.size + len(piece) > self._most:
            raise too_large(self._most, "unpacked body")
        self._bodies.add(len(piece))
        self.size += len(piece)
        self._has_ended = self._unpacker.has_ended
        if self._has_ended:
            del self._unpacker, self._packed
        return {"type": "http.request", "body": piece, "more_body": not self._has_ended}

    async def _piece(self, unpacker: Unpacker) -> bytes:
        if len(self._packed) <= _SMALL and not self.size:
            return unpacker.piece(_PIECE)
        return await asyncio.to_thread(unpacker.piece, _LARGE_PIECE)
