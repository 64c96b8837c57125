"""What the server and the application agree on about bodies that come piece by piece."""

from typing import NamedTuple


class _ReadPieces(NamedTuple):
    """The end of such paths, and the key in an ASGI scope of a function that takes the time limit from a body."""

    path: str
    key: str


READ_PIECES = _ReadPieces("/stream", "unroll.read_pieces")
