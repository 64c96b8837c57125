"""Errors as Hugging Face's clients read them."""

from collections.abc import Mapping

from app.api.events import data_event


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """The members of a problem beside the standard ones."""
    kinds = {422: "validation", 429: "overloaded"}
    status = problem["status"]
    assert isinstance(status, int)
    return {"error": problem["detail"], "error_type": kinds.get(status, "generation")}


def error_event(problem: Mapping[str, object]) -> bytes:
    """The last event of a stream that fails."""
    return data_event(error_members(problem))
