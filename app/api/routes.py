"""The routing table: a request is matched once, before anything else, and every middleware reads the match.

FastAPI describes the same routes and answers their other methods. All other paths belong to FastAPI.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from app.tasks.sources.source_kind import SourceKind

Endpoint = Callable[[Request], Awaitable[Response]]
ErrorMembers = Callable[[Mapping[str, object]], dict[str, object]]
_KEY = "unroll.match"  # in an ASGI scope


@dataclass(frozen=True)
class Route:
    """A path in the notation of Starlette, such as `/hf/translation/{model}`.

    A route of a task has an `endpoint` for POST; `source` is the kind of its inputs, None if it depends on the model
    in the path. `error_members` makes the members of a problem that the route's clients read beside the standard ones.
    With `takes_pieces` the endpoint reads a body that comes piece by piece, for as long as the client likes.
    """

    path: str
    endpoint: Endpoint | None = None
    source: SourceKind[Any] | None = None
    error_members: ErrorMembers | None = None
    takes_pieces: bool = False


class Match(NamedTuple):
    """A route, and the values of the variables in its path."""

    route: Route
    parameters: dict[str, str]


class Routes:
    """A table of routes. The first match counts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, Match] = {}
        self._variable = []
        for route in routes:
            pattern, _, variables = compile_path(route.path)
            if variables:
                self._variable.append((pattern, route))
            else:
                self._plain.setdefault(route.path, Match(route, {}))

    def match(self, path: str) -> Match | None:
        """The route of a path, if the table has one."""
        if plain := self._plain.get(path):
            return plain
        for pattern, route in self._variable:
            if matched := pattern.match(path):
                return Match(route, matched.groupdict())
        return None

    def note(self, scope: Scope) -> None:
        """Match a request; `match_of` and `task_match_of` read the result."""
        if scope.get(_KEY) is None:
            scope[_KEY] = self.match(scope["path"])

    def task_match(self, scope: Scope) -> Match | None:
        """The match of a POST to a task; None for any other request."""
        if scope["type"] == "http":
            self.note(scope)
        return task_match_of(scope)


def match_of(scope: Scope) -> Match | None:
    """The match of a request."""
    match: Match | None = scope.get(_KEY)
    return match


def task_match_of(scope: Scope) -> Match | None:
    """The match of a POST to a task; None for any other request."""
    match = match_of(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
    return match if match is not None and match.route.endpoint is not None else None


def takes_pieces(scope: Scope) -> bool:
    """Whether the body of a request comes piece by piece."""
    match = task_match_of(scope)
    return match is not None and match.route.takes_pieces
