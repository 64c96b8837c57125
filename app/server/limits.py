"""Limits of connections: seconds for the parts of a request, the size of its head, and the bodies in memory."""

from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 256
LENGTH_DIGITS = 18  # of Content-Length: leading zeros beyond are no number that a client means


@dataclass(frozen=True)
class ConnectionLimits:
    """`head_seconds`: from the connection, or the first byte of a later request, to the end of the head.
    `body_seconds`: from there to the end of the body, and for a client to read what was sent. `idle_seconds`:
    between two requests; `stream_seconds`: between two pieces of a stream; `piece_bytes`: of a
    message of a WebSocket. `bodies`: that are read at the same time; `body_bytes`: of all bodies whose requests are
    unanswered."""

    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0  # common load balancers close after 60 s, and must be the first to close
    stream_seconds: float = 600.0
    piece_bytes: int = 256 * 1024
    bodies: int = 256
    body_bytes: int = 256 * 2**20
