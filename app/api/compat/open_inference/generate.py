"""POST /v2/models/{model}/generate and /generate_stream: Triton's short way to ask a model that emits texts."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import checked, json_body
from app.api.compat.open_inference.infer import (
    MODEL,
    VERSION,
    body_of,
    described,
    error_members,
    manifest_of,
    options_of,
    preparing_texts,
    read,
)
from app.api.compat.open_inference.schemas import GenerateAnswer, GenerateFailure, GenerateRequest, SentenceParameters
from app.api.events import data_event, described_event, described_stream
from app.api.problems import problems
from app.api.service import Service, json_response, service_of
from app.api.tasks.sentiment import COMMON_ERRORS
from app.engine.protocol import Terms
from app.errors import ContradictoryOptions, InputError
from app.store.manifest import Manifest
from app.tasks.answers.transcript import Job, Spoken

PATHS = GENERATE, GENERATE_VERSION = f"{MODEL}/generate", f"{VERSION}/generate"
STREAM_PATHS = STREAM, STREAM_VERSION = f"{MODEL}/generate_stream", f"{VERSION}/generate_stream"
_BEGUN = "This film is one of the"
EXAMPLES = {
    "one": {
        "summary": "The most probable continuation",
        "value": {"text_input": _BEGUN, "parameters": {"max_tokens": 24}},
    },
    "drawn": {
        "summary": "Drawn at random, options beside the text",
        "value": {"id": "42", "text_input": _BEGUN, "max_tokens": 12, "temperature": 0.8, "top_p": 0.9, "seed": 7},
    },
}
STREAMED = described_stream(
    "Events without a name; the texts of all of them, joined, are the whole",
    described_event(None, GenerateAnswer),
    described_event(None, GenerateFailure),
    example='data: {"model_name":"lm-en","model_version":"1","text_output":" best"}\n\n'
    'data: {"model_name":"lm-en","model_version":"1","text_output":"","score":-1.2,"finish_reason":"length"}\n\n',
)
_CONTENT = json_body(GenerateRequest, EXAMPLES)
_ERRORS = problems(*COMMON_ERRORS, ContradictoryOptions)
router = APIRouter(tags=["Open Inference Protocol"])


class _Asked(NamedTuple):
    """A request that was read."""

    service: Service
    manifest: Manifest
    id: str | None
    text: str
    options: SentenceParameters


async def _asked(request: Request, *, streamed: bool) -> _Asked:
    """Options stand in `parameters` or beside the text. Raises InputError, RequestValidationError, ModelNotFound."""
    service = service_of(request)
    body = await read(await body_of(request), GenerateRequest)
    manifest = manifest_of(request, service)
    if manifest.task not in ("completion", "translation"):
        raise InputError(f"{manifest.name} does not go from text to text; ask {manifest.name}/infer")
    beside, parameters = body.model_extra or {}, body.parameters or {}
    if twice := beside.keys() & parameters.keys():
        raise InputError(f"{', '.join(sorted(twice))} stand in parameters and beside text_input; send each once")
    given: dict[str, Any] = beside | parameters
    if given.get("stream", streamed) is not streamed:
        raise InputError(f"stream is {'true' if streamed else 'false'} at this path; leave it out")
    given.pop("stream", None)
    options = checked(given, SentenceParameters, "parameters")
    return _Asked(service, manifest, body.id, body.text_input, options)


@router.post(
    GENERATE,
    summary="Go from text to text, for Triton's clients",
    response_model=GenerateAnswer,
    responses=_ERRORS,
    openapi_extra=described("lm-en", GENERATE, _CONTENT),
)
@router.post(
    GENERATE_VERSION,
    summary="Go from text to text by a version, for Triton's clients",
    response_model=GenerateAnswer,
    responses=_ERRORS,
    openapi_extra=described("lm-en", GENERATE_VERSION, _CONTENT),
)
async def generate(request: Request) -> Response:
    """A language model or a translator by Triton's generate extension: one text in JSON, with decoding options in
    `parameters` or beside it. An option that is not supported is refused and named.
    """
    asked = await _asked(request, streamed=False)
    service = asked.service
    terms = service.accept(request, options_of(asked.manifest, asked.options), inputs=1)
    async with service.attending(request, terms):
        preparing = preparing_texts(service, asked.manifest, [asked.text], asked.options)
        jobs = await service.counted(request, preparing)
        (spoken,) = await service.spoken(request, jobs, terms, service.metrics.task(asked.manifest.task))
    return json_response(_answer(asked, spoken.result.text, spoken))


@router.post(
    STREAM,
    summary="Go from text to text as it comes, for Triton's clients",
    response_model=None,
    response_class=Response,
    responses={200: STREAMED, **_ERRORS},
    openapi_extra=described("lm-en", STREAM, _CONTENT),
)
@router.post(
    STREAM_VERSION,
    summary="Go from text to text by a version as it comes, for Triton's clients",
    response_model=None,
    response_class=Response,
    responses={200: STREAMED, **_ERRORS},
    openapi_extra=described("lm-en", STREAM_VERSION, _CONTENT),
)
async def generate_stream(request: Request) -> Response:
    """As `generate`, but as server-sent events while it is emitted: each has what came, the last why it ended. What
    fails is an event with a member `error`, and the last.
    """
    asked = await _asked(request, streamed=True)
    service = asked.service
    terms = service.accept(request, options_of(asked.manifest, asked.options), inputs=1)
    async with service.attending(request, terms):
        options = asked.options.model_copy(update={"stream": True})
        (job,) = await service.counted(request, preparing_texts(service, asked.manifest, [asked.text], options))
    return service.event_stream(_events(request, asked, job, terms), terms, failed=_failed)


async def _events(request: Request, asked: _Asked, job: Job, terms: Terms) -> AsyncGenerator[bytes, None]:
    counters = asked.service.metrics.task(asked.manifest.task)
    async with aclosing(asked.service.streamed(request, [job], terms, counters)) as streamed:
        async for _, item in streamed:
            if isinstance(item, Spoken):
                yield data_event(_answer(asked, "", item))
            elif item.text:
                yield data_event(_answer(asked, item.text))


def _answer(asked: _Asked, text: str, spoken: Spoken | None = None) -> GenerateAnswer:
    return GenerateAnswer(
        id=asked.id,
        model_name=asked.manifest.name,
        model_version=str(asked.manifest.version),
        text_output=text,
        score=spoken.result.score if spoken else None,
        finish_reason=spoken.result.finish_reason if spoken else None,
    )


def _failed(problem: Mapping[str, object]) -> bytes:
    return data_event(error_members(problem))
