"""Responses of the server itself, as bytes: refusals before the application runs, and answers to what is no request."""

from collections.abc import Sequence
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.middleware.client_errors import with_members
from app.api.middleware.security_headers import headers_of_responses
from app.api.refusals import Refusal
from app.api.routes import ErrorMembers
from app.errors import UnrollError

Header = tuple[bytes, bytes]


class Responses:
    """Makes responses with the security headers of the service."""

    def __init__(self, *, hsts_seconds: int = 0) -> None:
        self._security = headers_of_responses(hsts_seconds)
        self._prepared = lru_cache(maxsize=1024)(self._prepare)

    def problem(self, error: UnrollError, headers: Sequence[Header]) -> bytes:
        """The response to what is no request. The connection closes."""
        head, tail = self._prepare(Refusal(error), None)
        return b"".join((head, _lines([*headers, (b"connection", b"close")]), tail))

    def refusal(self, refusal: Refusal, members: ErrorMembers | None, headers: Sequence[Header]) -> bytes:
        """A refusal with further headers, in one piece."""
        head, tail = self._prepared(refusal, members)
        return b"".join((head, _lines(headers), tail))

    def _prepare(self, refusal: Refusal, members: ErrorMembers | None) -> tuple[bytes, bytes]:
        """The first headers of a refusal, and its end."""
        start, body = refusal.start, refusal.body
        if members is not None:
            start, body = with_members(start, body, members)
        head: bytes = STATUS_LINE[start["status"]] + _lines([*start["headers"], *self._security])
        return head, b"\r\n" + body["body"]


def _lines(headers: Sequence[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
