"""Problems that several operations describe in the same words, as named responses of the OpenAPI document."""

import json
from collections import defaultdict
from typing import Any

from app.api.problems import MEDIA_TYPE

_PLACE = "#/components/responses/"


def shared_problems(paths: dict[str, Any]) -> dict[str, Any]:
    """Move each problem response that occurs more than once out of the operations, and put a reference in its place.
    Returns the responses by name."""
    uses = defaultdict[str, list[tuple[dict[str, Any], str, str]]](list)
    for item in paths.values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if MEDIA_TYPE in answer.get("content", {}):
                    uses[json.dumps(answer)].append((operation["responses"], status, operation["operationId"]))
    shared: dict[str, Any] = {}
    for content, places in uses.items():
        if len(places) > 1:
            answer = json.loads(content)
            name = _name(answer, *places[0][1:], taken=shared)
            shared[name] = answer
            for responses, status, _ in places:
                responses[status] = {"$ref": _PLACE + name}
    return dict(sorted(shared.items()))


def _name(answer: dict[str, Any], status: str, operation: str, *, taken: dict[str, Any]) -> str:
    """The kind of the only problem, or its status; of one that exists in other words, with its first operation."""
    kinds = list(answer["content"][MEDIA_TYPE]["examples"])
    name = _joined(kinds[0].split("-")) if len(kinds) == 1 else f"Problems{status}"
    return f"{name}Of{_joined(operation.split('_'))}" if name in taken else name


def _joined(words: list[str]) -> str:
    return "".join(word.capitalize() for word in words)
