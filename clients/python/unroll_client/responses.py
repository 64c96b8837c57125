"""What came back: HTTP responses and failures of the transport as results and errors."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from unroll_client.calls import Call
from unroll_client.errors import ConnectionFailed, TimedOut, UnexpectedAnswer, UnrollClientError, problem_error
from unroll_client.results import Answers, ResultT, Usage

AnswerT = TypeVar("AnswerT", bound=BaseModel)
Outcome = httpx.Response | httpx.RequestError | None


def answers_of(call: Call[ResultT], response: httpx.Response) -> Answers[ResultT]:
    content = json_of(response)
    told = content.get("results")
    try:
        usage = Usage.model_validate(content.get("usage"))
        results = [call.result.model_validate(item) for item in (told if isinstance(told, list) else [])]
    except ValidationError as error:
        raise unexpected(str(response.url), error) from error
    if len(results) != len(call.inputs):
        raise UnexpectedAnswer(f"{response.url} answered {len(results)} results for {len(call.inputs)} inputs")
    return Answers([with_usage(result, usage) for result in results] if call.is_one else results, usage)


def joined(parts: list[Answers[ResultT]]) -> Answers[ResultT]:
    """The answers of the parts of a call, in order."""
    usage = Usage(
        inputs=sum(part.usage.inputs for part in parts),
        source_tokens=sum(part.usage.source_tokens for part in parts),
        emitted_tokens=sum(part.usage.emitted_tokens for part in parts),
    )
    return Answers([result for part in parts for result in part], usage)


def with_usage(result: ResultT, usage: Usage) -> ResultT:
    """The result of a request with one input."""
    return result.model_copy(update={"usage": usage})


def parsed(form: type[AnswerT], response: httpx.Response) -> AnswerT:
    try:
        return form.model_validate(json_of(response))
    except ValidationError as error:
        raise unexpected(str(response.url), error) from error


def error_of(outcome: Outcome) -> UnrollClientError | None:
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
    return problem_error(outcome.status_code, json_of(outcome), retry_after=_retry_after(outcome))


def request_error(error: httpx.RequestError) -> UnrollClientError:
    """A failure to get an answer in this package's words."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ConnectionFailed(f"no connection to {error.request.url}: {error or 'it took too long'}", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"no answer from {error.request.url} within the time given")
    if isinstance(error, httpx.DecodingError):
        return UnexpectedAnswer(f"{error.request.url} answered what cannot be decoded: {error}")
    return ConnectionFailed(f"the connection to {error.request.url} broke: {error or type(error).__name__}", sent=True)


def unexpected(where: str, error: ValidationError) -> UnexpectedAnswer:
    """The error of an answer in another form."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return UnexpectedAnswer(f"{where} does not answer as this service does: {place}: {first['msg']}")


def json_of(response: httpx.Response) -> dict[str, Any]:
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
