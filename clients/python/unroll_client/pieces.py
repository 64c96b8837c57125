"""Pieces of a source as messages, and messages as results or problems."""

import json
from typing import Any

from unroll_client.bodies import JsonInput, body_of
from unroll_client.calls import Call
from unroll_client.errors import problem_error
from unroll_client.policy import seconds_left, service_timeout_ms
from unroll_client.responses import with_usage
from unroll_client.results import ResultT, Usage
from unroll_client.tasks import Task


def message_of(call: Call[Any], deadline: float | None) -> bytes:
    """The message of a piece. Raises TypeError."""
    if not call.is_one or not isinstance(call.inputs[0], JsonInput):
        raise TypeError("a piece is one text, or rows of one series")
    options = dict(call.options)
    timeout_ms = service_timeout_ms(seconds_left(deadline), call.timeout_ms)
    if timeout_ms is not None:
        options["timeout_ms"] = timeout_ms
    content: bytes = body_of(call.inputs, options)["content"]
    return content


def result_of(task: Task[ResultT], content: Any) -> ResultT:
    """The result of an answer. Raises ProblemError, and ValueError for something else."""
    if not isinstance(content, dict):
        raise ValueError("an answer is not an object")
    if isinstance(problem := content.get("error"), dict):
        raise problem_error(int(problem.get("status", 500)), problem)
    results = content.get("results")
    if not isinstance(results, list) or len(results) != 1:
        raise ValueError(f"an answer has no result: {json.dumps(content)[:200]}")
    return with_usage(task.result.read(results[0]), Usage.read(content.get("usage")))
