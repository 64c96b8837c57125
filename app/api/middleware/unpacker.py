"""The content of a compressed body, in pieces of bounded work."""

import zlib

from app.errors import UnreadableBody

WINDOWS = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
_SLICE = 65_536  # compressed bytes that a call reads
_MOST_MEMBERS = 64  # of gzip in a body; a client sends one


class Unpacker:
    """A whole body in one content encoding; gzip may consist of several members."""

    def __init__(self, coding: str, packed: bytes | bytearray) -> None:
        self._coding = coding
        self._packed = memoryview(packed)
        self._place = 0  # of the next compressed byte
        self._stream = zlib.decompressobj(WINDOWS[coding])
        self._members = 1
        self.has_ended = False

    def piece(self, most: int) -> bytes:
        """Up to `most` bytes of the content; before the end it may be empty. Raises UnreadableBody."""
        if self._stream.eof:
            self._begin_member()
        compressed = self._packed[self._place : self._place + _SLICE]
        try:
            piece = self._stream.decompress(compressed, most)
        except zlib.error as error:
            raise self._damaged(str(error)) from error
        unread = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        self._place += len(compressed) - len(unread)
        if self._place == len(self._packed) and (self._stream.eof or len(piece) < most):
            self._end()
        return piece

    def _begin_member(self) -> None:
        if self._members == _MOST_MEMBERS:
            raise UnreadableBody(
                f"the body has more than {_MOST_MEMBERS} members of {self._coding}; compress it as one member"
            )
        self._members += 1
        self._stream = zlib.decompressobj(WINDOWS[self._coding])

    def _end(self) -> None:
        if not self._stream.eof and self._packed:  # a body without a byte is empty
            raise self._damaged("it ends too early")
        self.has_ended = True

    def _damaged(self, reason: str) -> UnreadableBody:
        return UnreadableBody(
            f"the body is not {self._coding} as its content encoding says ({reason}); compress it again, or send it "
            "uncompressed without the header Content-Encoding"
        )
