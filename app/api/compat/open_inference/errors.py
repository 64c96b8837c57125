"""Errors as clients of the Open Inference Protocol read them."""

from collections.abc import Mapping

from app.api.events import data_event


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """The members of a problem beside the standard ones."""
    return {"error": problem["detail"]}


def error_event(problem: Mapping[str, object]) -> bytes:
    """The last event of a stream that fails."""
    return data_event(error_members(problem))
