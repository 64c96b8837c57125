"""Errors for OpenAI's clients."""

import re
from collections.abc import Mapping

from app.api.routes import ErrorMembers

_INPUTS = re.compile(r"\binputs(?=\[[0-9]+\])")  # as errors name the texts of a request


def members_naming(member: str) -> ErrorMembers:
    """The members of an error that these clients read, beside the standard ones, of a route whose texts are in
    `member`."""

    def error_members(problem: Mapping[str, object]) -> dict[str, object]:
        status, slug = problem["status"], str(problem["type"]).removeprefix("/problems/")
        assert isinstance(status, int)
        kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
        return {
            "error": {
                "message": _INPUTS.sub(member, str(problem["detail"])),
                "type": kind,
                "param": _parameter(problem, member),
                "code": slug.replace("-", "_"),
            }
        }

    return error_members


def _parameter(problem: Mapping[str, object], member: str) -> str | None:
    """The refused member of the request, if known."""
    match problem:
        case {"options": [str(name), *_]}:
            return name
        case {"errors": [{"where": str(place)}, *_]} if place != "body":
            return place
        case {"input": int()}:
            return member
    return None
