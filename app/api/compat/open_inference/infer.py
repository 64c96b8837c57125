"""POST /v2/models/{model}/infer: the tasks as clients of the Open Inference Protocol v2 ask them, such as Triton's and
KServe's."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.body import JSON, TIMEOUT_PARAMETER, checked, json_body, parsed
from app.api.compat.open_inference.binary import HEADER, OCTETS, split
from app.api.compat.open_inference.inputs import Given, given
from app.api.compat.open_inference.outputs import Told, check_outputs, encoded, labels_told, sentences_told
from app.api.compat.open_inference.schemas import InferAnswer, InferRequest, Parameters, SentenceParameters
from app.api.problems import problems
from app.api.schemas import Options
from app.api.service import Service, service_of, ticket_of
from app.api.tasks.caption import BINARY
from app.api.tasks.sentiment import COMMON_ERRORS
from app.engine.protocol import Terms
from app.errors import ContradictoryOptions, InputError, InvalidImage, ModelNotFound, UnsupportedMedia
from app.store.manifest import Manifest
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.transcript import Job
from app.tasks.captioning import Captioning
from app.tasks.completion import Completion
from app.tasks.sentiment import Sentiment
from app.tasks.translation import Translation

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"
PATHS = INFER, INFER_VERSION = f"{MODEL}/infer", f"{VERSION}/infer"
_INLINE_BYTES = 65_536  # of JSON: more is read in a thread, so that the event loop goes on
_FILM = "A warm, funny film that I would gladly see again."
EXAMPLES = {
    "one": {
        "summary": "One text",
        "value": {"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [_FILM]}]},
    },
    "classification": {
        "summary": "Two texts, the best label of each",
        "value": {
            "id": "42",
            "parameters": {"priority": 1, "timeout": 5_000_000},
            "inputs": [
                {"name": "text_input", "shape": [2], "datatype": "BYTES", "data": [_FILM, "The acting is awful."]}
            ],
            "outputs": [{"name": "scores", "parameters": {"classification": 1}}, {"name": "polarity"}],
        },
    },
}
Form = TypeVar("Form", bound=BaseModel)
router = APIRouter(tags=["Open Inference Protocol"])


def described(example: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the framework does not see of an operation."""
    parameters: list[dict[str, Any]] = [
        {
            "name": "model",
            "in": "path",
            "required": True,
            "description": "Name of a model in `GET /v1/models`.",
            "schema": {"type": "string"},
            "example": example,
        }
    ]
    if "{version}" in path:
        schema = {"type": "integer", "minimum": 1}
        version = {"name": "version", "in": "path", "required": True, "schema": schema, "example": 1}
        parameters.append(version | {"description": "Its version."})
    if content is None:
        return {"parameters": parameters}
    body = {"required": True, "content": content}
    return {"parameters": [*parameters, TIMEOUT_PARAMETER], "requestBody": body}


def manifest_of(request: Request, service: Service) -> Manifest:
    """The model that the path names. Raises ModelNotFound and ModelUnavailable."""
    name, version = request.path_params["model"], request.path_params.get("version")
    if version is not None and not (version.isascii() and version.isdigit() and 0 < len(version) < 10):
        raise ModelNotFound(f"model {name} has no version {version}; versions are numbers from 1")
    number = None if version is None else int(version)
    return service.catalog.named(None, name, number, service.client.view).manifest


async def body_of(request: Request) -> bytes:
    """The body, whatever content type it is said to have, as clients say nothing of it. Raises UnsupportedMedia."""
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise UnsupportedMedia(f"the content encoding is {coding[:40]}; send the body as it is, not compressed")
    return await request.body()


async def read(content: bytes, form: type[Form]) -> Form:
    """JSON as a `form`. Raises RequestValidationError."""
    return parsed(content, form) if len(content) <= _INLINE_BYTES else await asyncio.to_thread(parsed, content, form)


def options_of(manifest: Manifest, parameters: Parameters) -> Options:
    """Which model is to answer, and when."""
    return Options(
        model=manifest.name,
        version=manifest.version,
        priority=parameters.rank,
        timeout_ms=parameters.milliseconds,
    )


def preparing_texts(
    service: Service, manifest: Manifest, texts: Sequence[str], options: DecodingOptions
) -> Awaitable[Sequence[Job]]:
    """What a model that emits has to do for texts."""
    name, version = manifest.name, manifest.version
    if manifest.task == "completion":
        return service.task(Completion).prepare(texts, options, model=name, version=version)
    return service.task(Translation).prepare(texts, options, model=name, version=version, source=None, target=None)


_CONTENT = json_body(InferRequest, EXAMPLES) | {OCTETS: BINARY}
_ANSWER: dict[str, Any] = {
    "description": f"The outputs; with binary ones the JSON has as many bytes as the header `{HEADER}` says, and their "
    "data stand behind it",
    "content": {OCTETS: BINARY},
}
_ERRORS = problems(*COMMON_ERRORS, InvalidImage, ContradictoryOptions)


@router.post(
    INFER,
    summary="Ask a model, for clients of the Open Inference Protocol",
    response_model=InferAnswer,
    responses={200: _ANSWER, **_ERRORS},
    openapi_extra=described("sentiment-en", INFER, _CONTENT),
)
@router.post(
    INFER_VERSION,
    summary="Ask a version, for clients of the Open Inference Protocol",
    response_model=InferAnswer,
    responses={200: _ANSWER, **_ERRORS},
    openapi_extra=described("sentiment-en", INFER_VERSION, _CONTENT),
)
async def infer(request: Request) -> Response:
    """A model as `tritonclient.http` and KServe's `InferenceRESTClient` ask it: tensors in, tensors out, in JSON or
    behind it as bytes. The metadata of a model say which it takes and tells. An option that is not supported is refused
    and named.
    """
    service = service_of(request)
    content, tail = split(await body_of(request), request.headers.get(HEADER))
    asked = await read(content, InferRequest)
    manifest = manifest_of(request, service)
    if asked.model_name not in (None, manifest.name):
        raise InputError(f"model_name is {asked.model_name!r}, and the path names {manifest.name}; leave it out")
    sent = given(asked, tail, manifest)
    check_outputs(asked.outputs or (), manifest)
    if manifest.task == "sentiment":
        parameters = checked(asked.parameters or {}, Parameters, "parameters")
        terms = service.accept(request, options_of(manifest, parameters), inputs=sent.inputs)
        told = await _labelled(request, service, manifest, sent, terms)
    else:
        options = parameters = checked(asked.parameters or {}, SentenceParameters, "parameters")
        terms = service.accept(request, options_of(manifest, parameters), inputs=sent.inputs)
        told = await _spoken(request, service, manifest, sent, options, terms)
    return _answer(asked, manifest, told, binary=parameters.binary_data_output)


async def _labelled(request: Request, service: Service, manifest: Manifest, sent: Given, terms: Terms) -> list[Told]:
    task = service.task(Sentiment)
    async with service.attending(request, terms):
        readings = await task.prepare(sent.texts(), model=manifest.name, version=manifest.version)
        ticket_of(request).count_steps(sum(reading.steps for reading in readings))
        results, usage = await task.run(readings, terms)
    service.answered(request, service.metrics.task("sentiment"), usage)
    return labels_told(results, manifest)


async def _spoken(
    request: Request, service: Service, manifest: Manifest, sent: Given, options: SentenceParameters, terms: Terms
) -> list[Told]:
    async with service.attending(request, terms):
        if manifest.image:
            images = await sent.images()
            preparing: Awaitable[Sequence[Job]] = service.task(Captioning).prepare(
                images, options, model=manifest.name, version=manifest.version, deadline=terms.deadline
            )
        else:
            preparing = preparing_texts(service, manifest, sent.texts(), options)
        jobs = await service.counted(request, preparing)
        spoken = await service.spoken(request, jobs, terms, service.metrics.task(manifest.task))
    return sentences_told([item.result for item in spoken])


def _answer(asked: InferRequest, manifest: Manifest, told: Sequence[Told], *, binary: bool) -> Response:
    outputs, tail = encoded(told, asked.outputs or (), manifest, binary=binary)
    answer = InferAnswer(model_name=manifest.name, model_version=str(manifest.version), id=asked.id, outputs=outputs)
    content = answer.model_dump_json(exclude_none=True).encode()
    if all(output.parameters is None for output in outputs):
        return Response(content, media_type=JSON)
    return Response(content + tail, media_type=OCTETS, headers={HEADER: str(len(content))})


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """What clients of the protocol read of a problem."""
    return {"error": problem["detail"]}
