"""Errors for clients of the Open Inference Protocol."""

from collections.abc import Mapping


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """The members that these clients read, beside the standard ones."""
    return {"error": problem["detail"]}
