"""POST /v2/models/{model}/generate and /generate_stream: Triton's generate extension, text to text."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import checked, json_body, read_long
from app.api.compat.open_inference.options import chosen_by, sentence_form, sequence_of
from app.api.compat.open_inference.paths import for_both, manifest_of
from app.api.compat.open_inference.schemas import GenerateAnswer, GenerateFailure, GenerateRequest, SentenceParameters
from app.api.events import data_event, described_event, described_stream
from app.api.options import Options
from app.api.problems import COMMON_ERRORS, STATE_ERRORS, problems
from app.api.service import Service, json_response, service_of
from app.api.sessions.turn import Turn
from app.engine.protocol import Terms
from app.errors import ContradictoryOptions, InputError
from app.store.manifest import Manifest
from app.tasks.answers.transcript import SentenceOutput
from app.tasks.jobs import Jobs
from app.tasks.task import Task

GENERATE, STREAM = "/generate", "/generate_stream"
_PROMPT = "This film is one of the"
EXAMPLES = {
    "one": {
        "summary": "The most probable continuation",
        "value": {"text_input": _PROMPT, "parameters": {"max_tokens": 24}},
    },
    "drawn": {
        "summary": "Drawn at random, options beside the text",
        "value": {"id": "42", "text_input": _PROMPT, "max_tokens": 12, "temperature": 0.8, "top_p": 0.9, "seed": 7},
    },
}
STREAMED = described_stream(
    "Events without a name; their texts, joined, are the whole text",
    described_event(None, GenerateAnswer),
    described_event(None, GenerateFailure),
    example='data: {"model_name":"lm-en","model_version":"1","text_output":" best"}\n\n'
    'data: {"model_name":"lm-en","model_version":"1","text_output":"","score":-1.2,"finish_reason":"length"}\n\n',
)
_ERRORS = problems(*COMMON_ERRORS, ContradictoryOptions, *STATE_ERRORS)
router = APIRouter(tags=["Open Inference Protocol"])


class _TextRequest(NamedTuple):
    """A request whose body has been read."""

    service: Service
    manifest: Manifest
    id: str | None
    text: str
    options: SentenceParameters

    @property
    def task(self) -> Task:
        return self.service.task_of(self.manifest)


async def _read(request: Request, *, streamed: bool) -> _TextRequest:
    """Read a request, with options in `parameters` or beside the text. Raises InputError, RequestValidationError,
    ModelNotFound."""
    service = service_of(request)
    body = await read_long(await request.body(), GenerateRequest)
    manifest = manifest_of(request, service)
    if (manifest.source, manifest.answer) != ("text", "tokens"):
        raise InputError(f"{manifest.name} does not map text to text; use {manifest.name}/infer")
    form = sentence_form(service.task_of(manifest))
    beside = form.without_nulls(body.model_extra or {})
    parameters = form.without_nulls(body.parameters or {})
    if twice := beside.keys() & parameters.keys():
        raise InputError(
            f"{', '.join(sorted(twice))}: given in parameters and beside text_input; send each option once"
        )
    given: dict[str, Any] = beside | parameters
    if given.get("stream", streamed) is not streamed:
        raise InputError(f"stream is always {'true' if streamed else 'false'} at this path; leave it out")
    given.pop("stream", None)
    return _TextRequest(service, manifest, body.id, body.text_input, checked(given, form, "parameters"))


async def _jobs(request: Request, prompt: _TextRequest, terms: Terms, turn: Turn | None) -> Jobs:
    return await prompt.service.prepare(
        request, prompt.task, [prompt.text], prompt.options, _chosen(request, prompt), terms, turn
    )


def _turn(request: Request, prompt: _TextRequest, terms: Terms) -> AbstractAsyncContextManager[Turn | None]:
    return prompt.service.turn(request, sequence_of(prompt.manifest, prompt.options), terms, inputs=1)


def _chosen(request: Request, prompt: _TextRequest) -> Options:
    return chosen_by(request, prompt.manifest, prompt.options)


def _content() -> dict[str, Any]:
    return json_body(GenerateRequest, EXAMPLES)


@for_both(
    router.post,
    GENERATE,
    summary="Generate text with {}",
    example="lm-en",
    content=_content,
    response_model=GenerateAnswer,
    responses=_ERRORS,
)
async def generate(request: Request) -> Response:
    """A language model or a translator by Triton's generate extension: one text in JSON, with decoding options in
    `parameters` or beside the text. An unsupported option is refused by name.
    """
    prompt = await _read(request, streamed=False)
    service = prompt.service
    terms = service.accept(request, _chosen(request, prompt), inputs=1)
    async with service.until_disconnect(request, terms), _turn(request, prompt, terms) as turn:
        jobs = await _jobs(request, prompt, terms, turn)
        (output,) = await service.answer(request, jobs, terms, turn)
    assert isinstance(output, SentenceOutput)
    return json_response(_answer(prompt.id, jobs, output.result.text, output))


@for_both(
    router.post,
    STREAM,
    summary="Stream text from {}",
    example="lm-en",
    content=_content,
    response_model=None,
    response_class=Response,
    responses={200: STREAMED, **_ERRORS},
)
async def generate_stream(request: Request) -> Response:
    """Like `generate`, but with server-sent events during decoding: each has new text, and the last one the finish
    reason. A failure is the last event, with a member `error`.
    """
    prompt = await _read(request, streamed=True)
    prompt = prompt._replace(options=prompt.options.model_copy(update={"stream": True}))
    service = prompt.service
    terms = service.accept(request, _chosen(request, prompt), inputs=1)
    async with AsyncExitStack() as session:
        async with service.until_disconnect(request, terms):
            turn = await session.enter_async_context(_turn(request, prompt, terms))
            jobs = await _jobs(request, prompt, terms, turn)
        events = _events(service.stream(request, jobs, terms, turn), prompt.id, jobs)
        return service.event_stream(events, terms, until_end=session.pop_all())


async def _events(
    items: AsyncGenerator[tuple[int, Any], None], id_: str | None, jobs: Jobs
) -> AsyncGenerator[bytes, None]:
    async with aclosing(items):
        async for _, item in items:
            if isinstance(item, SentenceOutput):
                yield data_event(_answer(id_, jobs, "", item))
            elif item.text:
                yield data_event(_answer(id_, jobs, item.text))


def _answer(id_: str | None, jobs: Jobs, text: str, output: SentenceOutput | None = None) -> GenerateAnswer:
    manifest = jobs[0].entry.manifest
    return GenerateAnswer(
        id=id_,
        model_name=manifest.name,
        model_version=str(manifest.version),
        text_output=text,
        score=output.result.score if output else None,
        finish_reason=output.result.finish_reason if output else None,
        state=output.result.state if output else None,
    )
