"""Errors for OpenAI's clients."""

from collections.abc import Mapping


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """The members that these clients read, beside the standard ones."""
    status, slug = problem["status"], str(problem["type"]).removeprefix("/problems/")
    assert isinstance(status, int)
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {
        "error": {
            "message": problem["detail"],
            "type": kind,
            "param": _parameter(problem),
            "code": slug.replace("-", "_"),
        }
    }


def _parameter(problem: Mapping[str, object]) -> str | None:
    """The refused member of the request, if known."""
    match problem:
        case {"options": [str(name), *_]}:
            return name
        case {"errors": [{"where": str(place)}, *_]} if place != "body":
            return place
    return None
