"""HTTP responses and failures of the transport as results and errors."""

import json
from copy import copy
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from unroll_client.calls import Call
from unroll_client.errors import (
    ConnectionFailed,
    ProblemError,
    TimedOut,
    UnexpectedAnswer,
    UnrollClientError,
    problem_error,
)
from unroll_client.results import Answers, ResultT, Usage
from unroll_client.values import Value

ValueT = TypeVar("ValueT", bound=Value)


def read_value(kind: type[ValueT], response: httpx.Response) -> ValueT:
    """The body as a value. Raises UnexpectedAnswer."""
    try:
        return kind.read(json_of(response))
    except ValueError as error:
        raise UnexpectedAnswer(f"{response.url} does not answer as this service does: {error}") from error


def read_answers(call: Call[ResultT], response: httpx.Response) -> Answers[ResultT]:
    """A result for each input of the call. Raises UnexpectedAnswer."""
    content = json_of(response)
    try:
        usage = Usage.read(content.get("usage"))
        results = [call.task.result.read(item) for item in content.get("results") or []]
    except (ValueError, TypeError) as error:
        raise UnexpectedAnswer(f"{response.url} does not answer as this service does: {error}") from error
    if len(results) != len(call.inputs):
        raise UnexpectedAnswer(f"{response.url} answered {len(results)} results for {len(call.inputs)} inputs")
    return Answers([with_usage(result, usage) for result in results] if call.is_one else results, usage)


def join_answers(parts: list[Answers[ResultT]]) -> Answers[ResultT]:
    """The answers of the parts of a call, in order."""
    kept = [part.usage.kept_steps for part in parts if part.usage.kept_steps is not None]
    usage = Usage(
        inputs=sum(part.usage.inputs for part in parts),
        source_tokens=sum(part.usage.source_tokens for part in parts),
        emitted_tokens=sum(part.usage.emitted_tokens for part in parts),
        kept_steps=sum(kept) if kept else None,
    )
    return Answers([result for part in parts for result in part], usage)


def with_usage(result: ResultT, usage: Usage) -> ResultT:
    """The result of a request with one input."""
    complete = copy(result)  # `dataclasses.replace` forgets members that this client does not know
    vars(complete)["usage"] = usage
    return complete


def check_status(response: httpx.Response) -> None:
    """Raises the error of a response whose status is not 200."""
    if response.status_code == 200:
        return
    if response.status_code < 400:
        location = response.headers.get("Location", "no other URL")
        raise UnexpectedAnswer(
            f"{response.url} answered with status {response.status_code}, which points to {location}; set url to that"
        )
    raise problem_error(response.status_code, json_of(response), retry_after=_retry_after(response))


def check_events(response: httpx.Response) -> None:
    """Raises UnexpectedAnswer unless the body is a stream of events."""
    media_type = response.headers.get("Content-Type", "no media type")
    if media_type.partition(";")[0].strip().lower() != "text/event-stream":
        raise UnexpectedAnswer(f"{response.url} answered with {media_type} instead of a stream of events")


def smaller_part(call: Call[Any], problem: ProblemError) -> int | None:
    """How many inputs to send at once instead; None if the size of the call is not the problem."""
    if len(call.inputs) == 1:
        return None
    if problem.type.endswith("/too-many-inputs") and problem.limit:
        return min(problem.limit, len(call.inputs) - 1)
    return len(call.inputs) // 2 if problem.status == 413 else None


def request_error(error: httpx.RequestError) -> UnrollClientError:
    """The error of a request that has no response."""
    url = error.request.url
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ConnectionFailed(f"cannot connect to {url}: {error or 'no connection within the timeout'}", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"no answer from {url} within the timeout")
    if isinstance(error, httpx.DecodingError):
        return UnexpectedAnswer(f"{url} answered with a body that cannot be decoded: {error}")
    return ConnectionFailed(f"the connection to {url} broke: {error or type(error).__name__}", sent=True)


def json_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response; an empty one if it has none, such as the page of a proxy."""
    try:
        content = json.loads(response.content)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds of the header, which may be a number or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
