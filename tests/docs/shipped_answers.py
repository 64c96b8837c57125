"""Answers of the shipped models to examples of the OpenAPI document."""

from pathlib import Path
from typing import Any

import httpx

from tests.api.operations import JSON, OPERATIONS, Operation

STORE = Path(__file__).parents[2] / "model_store"
# Examples whose answers are shown beside that of an operation's first example. None is drawn: rounding, which differs
# between processors, may change a drawn token.
MORE = {
    "sentiment": ("mixed",),
    "translate": ("explained", "memory"),
    "complete": ("next",),
    "classify": ("clip",),
    "forecast": ("windows",),
    "openai_completions": ("logprobs",),
    "hugging_face_text_classification": ("best",),
}
CONSTANTS = {"id": "cmpl-2f0c8f3f6c5e4e58", "created": 1767225600}  # of OpenAI's interface: new in every answer
_STATE, _LONG_TEXT = "VQ", 1000  # states begin so; what follows is new in every service, which draws its secret
_PLACES = 4
_LONG = 16  # numbers; of a state the first ones are shown
_SHOWN = 4


def shown(operation: Operation) -> tuple[str, ...]:
    """The examples of an operation's body whose answers are recorded."""
    is_whole = JSON in operation.described["responses"]["200"]["content"]
    if not is_whole or "{version}" in operation.path or operation.described["tags"] == ["Administration"]:
        return ()
    return (*list(operation.examples)[:1], *MORE.get(operation.name, ()))


def record_answers(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """The answer to each example that is shown, by operation and example."""
    recorded = {
        operation.name: {example: record_answer(http, operation, example) for example in shown(operation)}
        for operation in OPERATIONS
    }
    return {name: answers for name, answers in recorded.items() if answers}


def record_answer(http: httpx.Client, operation: Operation, example: str) -> Any:
    """The answer to an example, with four decimal places, and the first numbers of a long list of them."""
    answer = http.request(operation.method, operation.url, json=operation.examples[example]["value"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    if operation.name.startswith("openai_"):
        body |= {name: value for name, value in CONSTANTS.items() if name in body}
    return _shortened(body)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, str) and len(value) > _LONG_TEXT and value.startswith(_STATE):
        return f"{_STATE}..."
    if isinstance(value, list):
        if len(value) > _LONG and all(isinstance(item, float) for item in value):
            value = value[:_SHOWN]
        return [_shortened(item) for item in value]
    return round(value, _PLACES) if isinstance(value, float) else value
