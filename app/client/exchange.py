"""What is to be done to get an answer, without doing it: generators that yield steps and are sent what came of them.

The clients perform the steps, each in its own way of waiting; when to try again, when to give up, when to send less
at once and what an answer says is decided here, once.
"""

import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from app.client.calls import JSON, Body, Call
from app.client.errors import (
    ConnectionFailed,
    ProblemError,
    TimedOut,
    UnexpectedAnswer,
    UnrollClientError,
    problem_error,
)
from app.client.policy import Retries, Timeout, seconds_left, told_milliseconds
from app.client.results import Answers, ModelList, Readiness, ResultT, Usage

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True)
class Send:
    """Send a request; what comes of it is a response, or why there is none. Where it `streams`, the body of
    a 200 is not read yet."""

    body: Body
    headers: dict[str, str]
    timeout: httpx.Timeout
    deadline: float | None
    streams: bool


@dataclass(frozen=True)
class Wait:
    """Nothing for so long."""

    seconds: float


Outcome = httpx.Response | httpx.RequestError | None
Conversation = Generator[Send | Wait, Outcome, T]


@dataclass
class Terms:
    """How a client asks: fixed when it is made, but for the most inputs of a request, which the service may lower."""

    timeout: Timeout
    retries: Retries
    most_inputs: int

    def deadline(self) -> float | None:
        """Of a request that begins now, on the clock of `time.monotonic`."""
        return None if self.timeout.total is None else time.monotonic() + self.timeout.total


def answers(call: Call[ResultT], terms: Terms) -> Conversation[Answers[ResultT]]:
    """The results of a call, sent in smaller parts if the service says that it is too large. Raises
    UnrollClientError."""
    if not call.inputs:
        return joined([])
    if len(call.inputs) > terms.most_inputs:
        return (yield from _in_parts(call, terms, terms.most_inputs))
    try:
        response = yield from exchange(call.body(), terms, terms.deadline(), timeout_ms=call.timeout_ms)
    except ProblemError as problem:
        smaller = _smaller(call, problem)
        if smaller is None:
            raise problem.of_part(call.first) from None
        if problem.type.endswith("/too-many-inputs"):
            terms.most_inputs = min(terms.most_inputs, smaller)
        return (yield from _in_parts(call, terms, smaller))
    return _answers_of(call, response)


def stream(call: Call[Any], terms: Terms) -> Conversation[httpx.Response]:
    """The response whose events have not been read. Once it has begun, nothing is tried again."""
    return exchange(call.body(stream=True), terms, terms.deadline(), timeout_ms=call.timeout_ms, streams=True)


def models(terms: Terms) -> Conversation[ModelList]:
    """What is served."""
    response = yield from exchange(Body("GET", "/v1/models"), terms, terms.deadline())
    return _parsed(ModelList, response)


def readiness(terms: Terms) -> Conversation[Readiness]:
    """Whether requests are answered; that they are not is an answer, too, and not tried again."""
    deadline = terms.deadline()
    outcome = yield Send(Body("GET", "/readyz"), {}, _timeouts(terms, deadline), deadline, streams=False)
    error = _error_of(outcome)
    assert isinstance(outcome, httpx.Response) or error is not None
    if isinstance(outcome, httpx.Response) and outcome.status_code in (200, 503) and "status" in _json_of(outcome):
        return _parsed(Readiness, outcome)
    raise error or UnexpectedAnswer(f"{outcome} to /readyz")


def exchange(
    body: Body, terms: Terms, deadline: float | None, *, timeout_ms: int | None = None, streams: bool = False
) -> Conversation[httpx.Response]:
    """The response with status 200, tried as often as the terms allow. Raises UnrollClientError."""
    for attempt in count(1):
        told = told_milliseconds(seconds_left(deadline), timeout_ms) if body.method == "POST" else None
        headers = {} if told is None else {"X-Timeout-Ms": str(told)}
        if body.content is not None:
            headers |= JSON
        outcome = yield Send(body, headers, _timeouts(terms, deadline), deadline, streams)
        error = _error_of(outcome)
        if error is None:
            assert isinstance(outcome, httpx.Response)
            return outcome
        wait = terms.retries.wait_after(attempt, error)
        left = seconds_left(deadline)
        if wait is None or (left is not None and wait >= left):
            raise error
        yield Wait(wait)
    raise AssertionError("attempts are bounded")


def request_arguments(step: Send) -> dict[str, Any]:
    """Of `build_request` of httpx's clients."""
    body = step.body
    form = {"files": body.files, "data": body.fields} if body.files else {"content": body.content}
    return {"method": body.method, "url": body.path, "headers": step.headers, "timeout": step.timeout, **form}


def request_error(error: httpx.RequestError) -> UnrollClientError:
    """A failure to get an answer in this package's words."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ConnectionFailed(f"no connection to {error.request.url}: {error or 'it took too long'}", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"no answer from {error.request.url} within the time given")
    if isinstance(error, httpx.DecodingError):
        return UnexpectedAnswer(f"{error.request.url} answered what cannot be decoded: {error}")
    return ConnectionFailed(f"the connection to {error.request.url} broke: {error or type(error).__name__}", sent=True)


def _in_parts(call: Call[ResultT], terms: Terms, most: int) -> Conversation[Answers[ResultT]]:
    told: list[Answers[ResultT]] = []
    for part in call.parts(most):
        told.append((yield from answers(part, terms)))  # noqa: PERF401 - no comprehension can yield
    return joined(told)


def joined(parts: list[Answers[ResultT]]) -> Answers[ResultT]:
    """The answers of the parts of a call, in order."""
    usage = Usage(
        inputs=sum(part.usage.inputs for part in parts),
        source_tokens=sum(part.usage.source_tokens for part in parts),
        emitted_tokens=sum(part.usage.emitted_tokens for part in parts),
    )
    return Answers([result for part in parts for result in part], usage)


def _smaller(call: Call[Any], problem: ProblemError) -> int | None:
    """How many inputs to send at once instead of all; None if that is not what is wrong."""
    if len(call.inputs) == 1:
        return None
    if problem.type.endswith("/too-many-inputs") and problem.limit:
        return min(problem.limit, len(call.inputs) - 1)
    return len(call.inputs) // 2 if problem.status == 413 else None


def _timeouts(terms: Terms, deadline: float | None) -> httpx.Timeout:
    left = seconds_left(deadline)
    connect = terms.timeout.connect
    if left is not None:
        left = max(0.001, left)
        connect = min(connect, left)
    return httpx.Timeout(left, connect=connect, pool=None)


def _error_of(outcome: Outcome) -> UnrollClientError | None:
    if isinstance(outcome, httpx.RequestError):
        return request_error(outcome)
    assert outcome is not None
    if outcome.status_code == 200:
        return None
    if outcome.status_code < 400:
        to = outcome.headers.get("Location", "elsewhere")
        return UnexpectedAnswer(
            f"{outcome.url} answered with status {outcome.status_code} and sends to {to}; ask there"
        )
    return problem_error(outcome.status_code, _json_of(outcome), retry_after=_retry_after(outcome))


def _json_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response; an empty one if it has none, such as a page of a proxy."""
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


def _answers_of(call: Call[ResultT], response: httpx.Response) -> Answers[ResultT]:
    content = _json_of(response)
    told = content.get("results")
    try:
        usage = Usage.model_validate(content.get("usage"))
        results = [call.result.model_validate(item) for item in (told if isinstance(told, list) else [])]
    except ValidationError as error:
        raise unexpected(str(response.url), error) from error
    if len(results) != len(call.inputs):
        raise UnexpectedAnswer(f"{response.url} answered {len(results)} results for {len(call.inputs)} inputs")
    return Answers([with_usage(result, usage) for result in results] if call.is_one else results, usage)


def with_usage(result: ResultT, usage: Usage) -> ResultT:
    """The result of a request with one input."""
    return result.model_copy(update={"usage": usage})


def unexpected(where: str, error: ValidationError) -> UnexpectedAnswer:
    """The error of an answer in another form."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return UnexpectedAnswer(f"{where} does not answer as this service does: {place}: {first['msg']}")


def _parsed(form: type[AnswerT], response: httpx.Response) -> AnswerT:
    try:
        return form.model_validate(_json_of(response))
    except ValidationError as error:
        raise unexpected(str(response.url), error) from error
