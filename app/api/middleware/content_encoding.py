"""Compressed bodies: a plain ASGI middleware that unpacks gzip and deflate, and refuses any other content encoding.

It is inside the limit of the body size, which applies to the bytes that arrive; the same limit applies to the unpacked
bytes here.
"""

import asyncio
import zlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.body_limit import too_large
from app.api.refusals import Refusal, refuse
from app.errors import UnreadableBody, UnsupportedMedia

_HEADER = b"content-encoding"
_WINDOWS = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
_METHODS = ("POST", "PUT")  # whose body is read
_PIECE = 65_536  # bytes that are unpacked on the event loop
_LARGE_PIECE = 1_048_576  # bytes that a thread unpacks at a time
_ACCEPTED = [(b"accept-encoding", b"gzip, deflate")]


class ContentEncoding:
    """Replaces a compressed body by its content, up to `most` bytes, and removes the headers that describe it."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_encoded(scope):
            return await self._app(scope, receive, send)
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
        codings = [coding.strip().lower() for value in values for coding in value.split(",")]
        packed = [coding for coding in codings if coding not in ("", "identity")]
        if not packed:
            return await self._app(scope, receive, send)
        if len(packed) > 1 or packed[0] not in _WINDOWS:
            named = ", ".join(packed)[:40]
            error = UnsupportedMedia(
                f"the content encoding is {named}; send the body with gzip or deflate, or uncompressed"
            )
            return await refuse(dict(scope["headers"]), receive, send, Refusal(error, _ACCEPTED))
        scope["headers"] = [item for item in scope["headers"] if item[0] not in (_HEADER, b"content-length")]
        return await self._app(scope, _Unpacked(receive, packed[0], self._most).receive, send)


def _is_encoded(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _METHODS and any(_HEADER in item for item in scope["headers"])


class _Unpacked:
    """A request whose body is unpacked piece by piece as it is read.

    A piece is unpacked on the event loop, in less than a millisecond; of a body with more content than that, a thread
    unpacks larger pieces.
    """

    def __init__(self, receive: Receive, coding: str, most: int) -> None:
        self._receive = receive
        self._most = most
        self._size = 0  # of the pieces so far
        self._unpacker = _Unpacker(coding)
        self._has_arrived = self._has_ended = False

    async def receive(self) -> Message:
        """The next piece of the body; after it, what the server sends. Raises BodyTooLarge and UnreadableBody."""
        if self._has_ended:
            return await self._receive()
        unpacker = self._unpacker
        while unpacker.is_empty and not self._has_arrived:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            unpacker.feed(message.get("body", b""))
            self._has_arrived = not message.get("more_body", False)
        if unpacker.has_more:
            piece = await asyncio.to_thread(unpacker.piece, _LARGE_PIECE)
        else:
            piece = unpacker.piece(_PIECE)
        self._size += len(piece)
        if self._size > self._most:
            raise too_large(self._most, "unpacked body")
        self._has_ended = self._has_arrived and unpacker.is_empty
        if self._has_ended:
            unpacker.check_end()
        return {"type": "http.request", "body": piece, "more_body": not self._has_ended}


class _Unpacker:
    """A body in one content encoding; gzip may consist of several members. `has_more` says that the last piece was as
    long as it may be, so that content may be left inside zlib."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = self._new_stream()
        self._packed = b""
        self._is_fed = self.has_more = False

    @property
    def is_empty(self) -> bool:
        """Whether all that was fed is unpacked."""
        return not self._packed and not self.has_more

    def feed(self, packed: bytes) -> None:
        """Add bytes, after all earlier ones are unpacked."""
        self._packed = packed
        self._is_fed = self._is_fed or bool(packed)

    def piece(self, most: int) -> bytes:
        """Up to `most` bytes of the content. Raises UnreadableBody."""
        if self._stream.eof and self._packed:
            self._stream = self._new_stream()
        try:
            piece = self._stream.decompress(self._packed, most)
        except zlib.error as error:
            raise self._damaged(str(error)) from error
        self._packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        self.has_more = len(piece) == most
        return piece

    def check_end(self) -> None:
        """Raises UnreadableBody if the body ends within its content."""
        if self._is_fed and not self._stream.eof:
            raise self._damaged("it ends too early")

    def _new_stream(self) -> "zlib._Decompress":
        return zlib.decompressobj(_WINDOWS[self._coding])

    def _damaged(self, reason: str) -> UnreadableBody:
        return UnreadableBody(
            f"the body is not {self._coding} as its content encoding says ({reason}); compress it again, or send it "
            "uncompressed without the header Content-Encoding"
        )
