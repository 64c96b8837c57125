"""What is to be done to get an answer, without doing it: generators that yield steps and are sent what came of them.

The clients perform the steps, each in its own way of waiting; when to try again, when to give up and when to send
less at once is decided here, once.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import httpx

from unroll_client.answers import Outcome, answers_of, error_of, joined, json_of, parsed
from unroll_client.calls import JSON, Body, Call
from unroll_client.errors import ProblemError, UnexpectedAnswer
from unroll_client.policy import Retries, Timeout, seconds_left, told_milliseconds
from unroll_client.results import Answers, ModelList, Readiness, ResultT

T = TypeVar("T")


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
    return answers_of(call, response)


def stream(call: Call[Any], terms: Terms) -> Conversation[httpx.Response]:
    """The response whose events have not been read. Once it has begun, nothing is tried again."""
    return exchange(call.body(stream=True), terms, terms.deadline(), timeout_ms=call.timeout_ms, streams=True)


def models(terms: Terms) -> Conversation[ModelList]:
    """What is served."""
    response = yield from exchange(Body("GET", "/v1/models"), terms, terms.deadline())
    return parsed(ModelList, response)


def readiness(terms: Terms) -> Conversation[Readiness]:
    """Whether requests are answered; that they are not is an answer, too, and not tried again."""
    deadline = terms.deadline()
    outcome = yield Send(Body("GET", "/readyz"), {}, _timeouts(terms, deadline), deadline, streams=False)
    if isinstance(outcome, httpx.Response) and "engines_ready" in json_of(outcome):
        return parsed(Readiness, outcome)
    raise error_of(outcome) or UnexpectedAnswer("/readyz does not answer as this service does")


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
        error = error_of(outcome)
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


def _in_parts(call: Call[ResultT], terms: Terms, most: int) -> Conversation[Answers[ResultT]]:
    told: list[Answers[ResultT]] = []
    for part in call.parts(most):
        told.append((yield from answers(part, terms)))  # noqa: PERF401 - no comprehension can yield
    return joined(told)


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
