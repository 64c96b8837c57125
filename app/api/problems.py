"""Errors as RFC 9457 `application/problem+json`: one shape everywhere, one table from class to status."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from app import errors
from app.request_context import REQUEST_CONTEXT, note_problem

log = logging.getLogger("unroll.api")
MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED = 499  # as nginx logs it


class Mistake(BaseModel):
    """A mistake at one place of a request."""

    where: str = Field(examples=["inputs[3]"])
    message: str = Field(examples=["Input should be a valid string"])


class Problem(BaseModel):
    """RFC 9457. `type` is a stable name for the kind of problem, listed in docs/api/errors.md."""

    type: str = Field(examples=["/problems/empty-input"])
    title: str = Field(examples=["An input is empty"])
    status: int = Field(examples=[422])
    detail: str = Field(
        description="The mistake, the limit, and what to do.",
        examples=["inputs[0] is empty; send a text with at least one character"],
    )
    input: SkipJsonSchema[None] | int = Field(None, description="The index of the refused input, from 0.")
    limit: SkipJsonSchema[None] | int = Field(None, description="The limit that was exceeded.")
    row: SkipJsonSchema[None] | int = Field(None, description="The index of the refused row of a series, from 0.")
    column: SkipJsonSchema[None] | str = Field(None, description="The name of the refused column of a series.")
    retry_after_seconds: SkipJsonSchema[None] | int = Field(None, description="The number of `Retry-After`.")
    errors: SkipJsonSchema[None] | list[Mistake] = Field(
        None, description="Only of `invalid-request`: the mistakes; of a list its first one."
    )


class Kind(NamedTuple):
    """How a class of errors is reported; `retry_after` is in seconds."""

    status: int
    slug: str
    title: str
    retry_after: int | None = None


KINDS: dict[type[errors.UnrollError], Kind] = {
    errors.EmptyInput: Kind(422, "empty-input", "An input is empty"),
    errors.InputTooLong: Kind(422, "input-too-long", "An input is too long"),
    errors.InputTooShort: Kind(422, "input-too-short", "An input is too short"),
    errors.TooManyInputs: Kind(422, "too-many-inputs", "The request has too many inputs"),
    errors.InvalidImage: Kind(422, "invalid-image", "An image cannot be decoded"),
    errors.InvalidSeries: Kind(422, "invalid-series", "A series cannot be read"),
    errors.UnsupportedMedia: Kind(415, "unsupported-media", "The media type is not supported"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The request body is too large"),
    errors.MalformedRequest: Kind(400, "malformed-request", "The request is not valid HTTP"),
    errors.HeadTooLarge: Kind(431, "head-too-large", "The head of the request is too large"),
    errors.RequestTooSlow: Kind(408, "request-too-slow", "The request did not arrive in time"),
    errors.UnknownLanguage: Kind(422, "unknown-language", "No default model for the language"),
    errors.UnknownWord: Kind(422, "unknown-word", "A word is not in the vocabulary"),
    errors.ContradictoryOptions: Kind(422, "contradictory-options", "Options contradict each other"),
    errors.InvalidState: Kind(422, "invalid-state", "A state cannot be used"),
    errors.StateMismatch: Kind(409, "state-mismatch", "A state is of another model"),
    errors.NoState: Kind(422, "no-state", "The model cannot continue from a state"),
    errors.SessionLost: Kind(409, "session-lost", "The session is not there"),
    errors.SessionsOff: Kind(403, "sessions-off", "The service keeps no sessions"),
    errors.SessionsUnreachable: Kind(503, "sessions-unreachable", "Sessions cannot be read", retry_after=5),
    errors.InputError: Kind(422, "invalid-request", "The request is not valid"),
    errors.ModelNotFound: Kind(404, "model-not-found", "The model does not exist"),
    errors.ModelUnavailable: Kind(503, "model-unavailable", "The model cannot be used"),
    errors.ModelNotLoaded: Kind(503, "model-not-loaded", "The model was not loaded in time", retry_after=2),
    errors.LoadFailed: Kind(422, "load-failed", "The version cannot be loaded"),
    errors.StoreUnreachable: Kind(502, "store-unreachable", "The model store cannot be read"),
    errors.StoreNotWritable: Kind(409, "store-not-writable", "The model store is read-only"),
    errors.AdminOff: Kind(403, "admin-off", "Administration is off"),
    errors.WrongKey: Kind(401, "wrong-key", "The key is missing or wrong"),
    errors.HostNotAllowed: Kind(403, "host-not-allowed", "The host of the request is not allowed"),
    errors.CrossSite: Kind(403, "cross-site", "Pages of other sites cannot use the service"),
    errors.NotAllowed: Kind(403, "not-allowed", "The key has another role"),
    errors.RateLimited: Kind(429, "rate-limited", "A limit of the caller is exceeded", retry_after=1),
    errors.Overloaded: Kind(429, "overloaded", "The service is overloaded", retry_after=1),
    errors.NotReady: Kind(503, "not-ready", "The service is not ready", retry_after=2),
    errors.Draining: Kind(503, "draining", "The service is about to end", retry_after=5),
    errors.TimedOut: Kind(504, "timed-out", "The request took too long"),
    errors.EngineFailed: Kind(500, "engine-failed", "The engine could not run the request"),
    errors.UnreadableBody: Kind(400, "unreadable-body", "The request body cannot be read"),
}
COMMON_ERRORS: tuple[type[errors.UnrollError], ...] = (
    errors.BodyTooLarge,
    errors.RequestTooSlow,
    errors.UnsupportedMedia,
    errors.EmptyInput,
    errors.InputTooLong,
    errors.UnknownWord,
    errors.TooManyInputs,
    errors.ModelNotFound,
    errors.ModelUnavailable,
    errors.ModelNotLoaded,
    errors.Overloaded,
    errors.NotReady,
    errors.TimedOut,
    errors.EngineFailed,
)  # of every task
STATE_ERRORS: tuple[type[errors.UnrollError], ...] = (
    errors.InvalidState,
    errors.StateMismatch,
    errors.NoState,
    errors.SessionLost,
    errors.SessionsOff,
    errors.SessionsUnreachable,
)
INVALID_REQUEST = KINDS[errors.InputError]
UNREADABLE_BODY = KINDS[errors.UnreadableBody]
CROSS_ORIGIN = Kind(400, "cross-origin", "The origin is not allowed")
NOT_FOUND = Kind(404, "not-found", "The path does not exist")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "The method is not allowed")
INTERNAL = Kind(500, "internal", "The service failed")
ALL_KINDS = (*KINDS.values(), CROSS_ORIGIN, NOT_FOUND, METHOD_NOT_ALLOWED, INTERNAL)
_BODY_ERRORS = (errors.InputError, errors.UnreadableBody, errors.Overloaded)  # of every operation that reads a body
_ANYWHERE = (KINDS[errors.BodyTooLarge], INTERNAL)
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_INTERNAL_DETAIL = "the service failed; its log has the reason"
_MOST_PLACES = 20  # in one problem


def install_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem, including those of the framework."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _unexpected)


def problem_body(kind: Kind, detail: str, **facts: object) -> dict[str, object]:
    """The members of a problem; `facts` are those beside the standard ones."""
    return {"type": f"/problems/{kind.slug}", "title": kind.title, "status": kind.status, "detail": detail, **facts}


def problem_response(kind: Kind, detail: str, **facts: object) -> JSONResponse:
    """A problem as a response. A fact `retry_after_seconds` overrides the number of the kind."""
    note_problem(kind.slug)
    seconds = facts.get("retry_after_seconds", kind.retry_after)
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="unroll"'
    return JSONResponse(problem_body(kind, detail, **facts), kind.status, headers, MEDIA_TYPE)


async def response_of(request: Request, error: Exception) -> Response:
    """The response to a request whose endpoint raised `error`. Raises unexpected errors again."""
    for kind, handler in _HANDLERS.items():
        if isinstance(error, kind):
            return await handler(request, error)
    raise error


def problem_of(error: Exception) -> dict[str, object]:
    """The problem of an error that is raised after the response has started."""
    if isinstance(error, errors.UnrollError):
        kind, detail, facts = _kind_of(error), error.detail, error.facts
    else:
        kind, detail, facts = INTERNAL, _INTERNAL_DETAIL, {}
    note_problem(kind.slug)
    return problem_body(kind, detail, **facts)


def _kind_of(error: errors.UnrollError) -> Kind:
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)


def problems(*kinds: type[errors.UnrollError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of an operation that reads a body and can raise these."""
    return _described(*(KINDS[error] for error in (*kinds, *_BODY_ERRORS)), *_ANYWHERE)


def problems_anywhere() -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of every operation."""
    return _described(*_ANYWHERE)


def add_problems(operation: dict[str, Any], *kinds: type[errors.UnrollError]) -> None:
    """Add problems to the `responses` of an operation."""
    answers = operation["responses"]
    for status, more in _described(*(KINDS[error] for error in kinds)).items():
        answer = answers.setdefault(str(status), more)
        examples = answer["content"][MEDIA_TYPE]["examples"]
        for slug, example in more["content"][MEDIA_TYPE]["examples"].items():
            if slug not in examples:
                examples[slug] = example
                answer["description"] += f"; {example['summary'].lower()}"
        if "headers" in more:
            answer.setdefault("headers", {}).update(more["headers"])


def _described(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    documented: dict[int | str, dict[str, Any]] = {}
    for kind in sorted(dict.fromkeys(kinds), key=lambda kind: kind.status):
        answer = documented.setdefault(
            kind.status, {"description": "", "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": {}}}}
        )
        titles = answer["description"]
        answer["description"] = f"{titles}; {kind.title.lower()}" if titles else kind.title
        answer["content"][MEDIA_TYPE]["examples"][kind.slug] = {"summary": kind.title}  # the document adds the value
        if headers := _headers(kind):
            answer["headers"] = headers
    return documented


def _headers(kind: Kind) -> dict[str, Any]:
    if kind.retry_after is not None:
        return {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    if kind.status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}}}
    return {}


async def _unroll_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.UnrollError)
    return problem_response(_kind_of(error), error.detail, **error.facts)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    mistakes = [{"where": _place(item["loc"]), "message": item["msg"]} for item in found[:_MOST_PLACES]]
    if any(item["type"] == "json_invalid" for item in found):
        return problem_response(UNREADABLE_BODY, f"{mistakes[0]['message']}; send a JSON object in UTF-8")
    detail = "; ".join(f"{item['where']}: {item['message']}" for item in mistakes[:3])
    return problem_response(INVALID_REQUEST, detail, errors=mistakes)


def _place(location: tuple[int | str, ...]) -> str:
    """`inputs[3]` for ("body", "inputs", 3): the name that callers know."""
    place = ""
    for part in location[1:]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place.removeprefix(".") or str(location[0])


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    """The framework's own errors: no route, another method, a form that cannot be read."""
    assert isinstance(error, HTTPException)
    headers = error.headers or {}
    if error.status_code == NOT_FOUND.status:
        path = request.url.path
        slash = ", none of which ends with a slash" if path.endswith("/") else ""
        response = problem_response(NOT_FOUND, f"the path {path} does not exist; /docs lists the paths{slash}")
    elif error.status_code == METHOD_NOT_ALLOWED.status:
        methods = {*filter(None, headers.get("Allow", "").split(", ")), *_methods_at(request.app.routes, request.scope)}
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()))) or "another method"
        headers = {**headers, "Allow": allowed} if methods else headers
        response = problem_response(
            METHOD_NOT_ALLOWED, f"{request.method} is not allowed at {request.url.path}; use {allowed}"
        )
    elif error.status_code == UNREADABLE_BODY.status:
        response = problem_response(UNREADABLE_BODY, f"{error.detail} See /docs for the format.")
    else:
        phrase = HTTPStatus(error.status_code).phrase
        kind = Kind(error.status_code, phrase.lower().replace(" ", "-"), phrase)
        response = problem_response(kind, error.detail)
    response.headers.update(headers)
    return response


def _methods_at(routes: Iterable[BaseRoute], scope: Scope) -> Iterator[str]:
    """The methods of all routes of a path: the framework names those of the first one."""
    for route in routes:
        if isinstance(inner := getattr(route, "original_router", None), APIRouter):  # an included one
            yield from _methods_at(inner.routes, scope)
        elif isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            yield from route.methods or ()


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)  # only for the log: the client is gone


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    context = REQUEST_CONTEXT.get()  # this response bypasses the middleware that adds these headers
    log.error("%s failed", context.id if context else "a request", exc_info=error)
    response = problem_response(INTERNAL, _INTERNAL_DETAIL)
    response.raw_headers += context.headers(time.monotonic()) if context else []
    return response


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    errors.UnrollError: _unroll_error,
    RequestValidationError: _validation_error,
    HTTPException: _http_exception,
    ClientDisconnect: _client_gone,
}
