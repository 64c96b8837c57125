"""What can go wrong for a caller of the service.

UnrollClientError
├── ProblemError            the service answered with a problem
│   ├── InvalidRequest      4xx: change the inputs or the options
│   ├── NotAllowed          401, 403: send another key
│   ├── Overloaded          429, still so after the retries
│   ├── NotReady            503, still so after the retries
│   ├── ServiceFailed       5xx
│   └── ServiceTimedOut     504; a TimedOut as well
├── TimedOut                no answer within the time that the caller gave
├── ConnectionFailed        no connection, or it broke
└── UnexpectedAnswer        whoever answers at the address is not this service
"""

from collections.abc import Mapping
from typing import Any, Self


class UnrollClientError(Exception):
    pass


class TimedOut(UnrollClientError):
    pass


class ConnectionFailed(UnrollClientError):
    """`sent` is whether something of the request may have arrived. Only what was not sent is tried again."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UnexpectedAnswer(UnrollClientError):
    pass


class ProblemError(UnrollClientError):
    """RFC 9457. `type` is a stable name, listed in docs/api/errors.md; `members` has those beside the four standard
    ones. `retry_after` is in seconds."""

    def __init__(
        self, status: int, members: Mapping[str, Any], *, retry_after: float | None = None, first: int = 0
    ) -> None:
        self.status = status
        self.type = str(members.get("type", "about:blank"))
        self.title = str(members.get("title", f"HTTP status {status}"))
        self.detail = str(members.get("detail", self.title))
        self.members = {name: value for name, value in members.items() if name not in _STANDARD}
        self.retry_after = retry_after
        self._all = dict(members)
        self._first = first
        super().__init__(self.detail if first == 0 else f"of the inputs from number {first} on: {self.detail}")

    @property
    def input(self) -> int | None:
        """The place of the refused input in what the caller gave, from 0."""
        place = self.members.get("input")
        return place + self._first if isinstance(place, int) else None

    @property
    def limit(self) -> int | None:
        """The limit that was passed."""
        limit = self.members.get("limit")
        return limit if isinstance(limit, int) else None

    def of_part(self, first: int) -> Self:
        """The same problem, of a part of the inputs that begins at `first`."""
        return type(self)(self.status, self._all, retry_after=self.retry_after, first=first)


class InvalidRequest(ProblemError):
    pass


class NotAllowed(ProblemError):
    pass


class Overloaded(ProblemError):
    pass


class NotReady(ProblemError):
    pass


class ServiceFailed(ProblemError):
    pass


class ServiceTimedOut(ProblemError, TimedOut):
    pass


_STANDARD = ("type", "title", "status", "detail")
_OF_STATUS: Mapping[int, type[ProblemError]] = {
    401: NotAllowed,
    403: NotAllowed,
    429: Overloaded,
    503: NotReady,
    504: ServiceTimedOut,
}


def problem_error(status: int, members: Mapping[str, Any], *, retry_after: float | None = None) -> ProblemError:
    """The error of a problem, by its status."""
    usual = InvalidRequest if 400 <= status < 500 else ServiceFailed
    return _OF_STATUS.get(status, usual)(status, members, retry_after=retry_after)
