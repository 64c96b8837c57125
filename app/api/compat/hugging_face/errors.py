"""Errors for Hugging Face's clients."""

from collections.abc import Mapping


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """The members that these clients read, beside the standard ones."""
    kinds = {422: "validation", 429: "overloaded"}
    status = problem["status"]
    assert isinstance(status, int)
    return {"error": problem["detail"], "error_type": kinds.get(status, "generation")}
