"""POST /hf/text-generation/{model}: the language models as Hugging Face's clients ask them, whole or token by token."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from app.api.body import read_json
from app.api.compat.hugging_face.schemas import (
    Generation,
    GenerationDetails,
    GenerationError,
    GenerationToken,
    StreamDetails,
    StreamedGeneration,
    TextGenerationRequest,
)
from app.api.compat.hugging_face.tasks import asked, described, error_members, listed
from app.api.events import data_event, described_event, described_stream
from app.api.problems import problems
from app.api.service import Service
from app.api.tasks.sentiment import COMMON_ERRORS
from app.engine.protocol import Terms, Tokens
from app.errors import ContradictoryOptions
from app.tasks.answers.decoding_options import decoding_of
from app.tasks.answers.results import Alternative, EmittedToken, SentenceResult
from app.tasks.answers.transcript import Delta, Job, Spoken
from app.tasks.completion import Completion

TEXT_GENERATION = "/hf/text-generation/{model}"
_BEGUN = "This film is one of the"
_GENERATIONS = TypeAdapter(list[Generation])
TEXT_GENERATION_EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": _BEGUN, "parameters": {"max_new_tokens": 24}}},
    "details": {
        "summary": "Drawn, with its tokens",
        "value": {
            "inputs": _BEGUN,
            "parameters": {"max_new_tokens": 12, "do_sample": True, "seed": 7, "details": True, "top_n_tokens": 2},
        },
    },
    "streamed": {
        "summary": "As server-sent events",
        "value": {"inputs": _BEGUN, "parameters": {"max_new_tokens": 24}, "stream": True},
    },
}
STREAMED = described_stream(
    "The texts; with `stream`, an event without a name for each token",
    described_event(None, StreamedGeneration),
    described_event(None, GenerationError),
    example='data: {"index":1,"token":{"id":271,"text":" best","logprob":-1.08,"special":false}}\n\n',
)
router = APIRouter(tags=["Compatible"])


@router.post(
    TEXT_GENERATION,
    operation_id="hugging_face_text_generation",
    summary="Go on with texts, for Hugging Face's clients",
    response_model=list[Generation],
    responses={200: STREAMED, **problems(*COMMON_ERRORS, ContradictoryOptions)},
    openapi_extra=described("lm-en", TextGenerationRequest, TEXT_GENERATION_EXAMPLES),
)
async def generate(request: Request) -> Response:
    """Completion as `InferenceClient(".../hf/text-generation/lm-en").text_generation(...)` asks it, with details or
    streamed if it likes. An option that is not supported is refused and named.
    """
    service, options = asked(request)
    body = await read_json(request, TextGenerationRequest)
    terms = service.accept(request, options, inputs=len(body.inputs))
    async with service.attending(request, terms):
        preparing = service.task(Completion).prepare(
            body.inputs, body.decoding(), model=options.model, version=options.version
        )
        jobs = await service.counted(request, preparing)
        if not body.stream:
            spoken = await service.spoken(request, jobs, terms, service.metrics.task("completion"))
            return listed(_GENERATIONS, _generations(body, jobs, spoken))
    return service.event_stream(_tokens(request, service, jobs, terms), terms, failed=_failed)


def _generations(body: TextGenerationRequest, jobs: Sequence[Job], spoken: Sequence[Spoken]) -> list[Generation]:
    before = body.inputs if body.parameters.return_full_text else [""] * len(jobs)
    return [
        Generation(
            generated_text=prompt + item.result.text,
            details=_details(job, item.result) if body.parameters.details else None,
        )
        for job, item, prompt in zip(jobs, spoken, before, strict=True)
    ]


def _details(job: Job, result: SentenceResult) -> GenerationDetails:
    tokens = result.tokens or []
    return GenerationDetails(
        finish_reason=_finish_reason(job, result),
        generated_tokens=len(tokens),
        seed=result.seed,
        tokens=[_token(job, token, token.text) for token in tokens],
        top_tokens=[_top(job, token) for token in tokens] if job.options.logprobs else None,
    )


async def _tokens(request: Request, service: Service, jobs: Sequence[Job], terms: Terms) -> AsyncGenerator[bytes, None]:
    """An event for each token; the last is held back until it is known to be the last."""
    (job,) = jobs
    telling = _Telling(job)
    held: StreamedGeneration | None = None
    async with aclosing(service.streamed(request, jobs, terms, service.metrics.task("completion"))) as streamed:
        async for _, item in streamed:
            if isinstance(item, Spoken):
                yield data_event(telling.last(held, item.result))
                return
            for event in telling.told(item):
                if held is not None:
                    yield data_event(held)
                held = event


class _Telling:
    """The text of a stream on its tokens: what several spell together is told with the last of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._text = ""
        self._count = 0

    def told(self, delta: Delta) -> list[StreamedGeneration]:
        """The tokens of a delta."""
        self._text += delta.text
        tokens = delta.tokens or []
        eos = decoding_of(self._job.entry).eos
        bearer = max((place for place, token in enumerate(tokens) if token.id != eos), default=len(tokens) - 1)
        events = []
        for place, token in enumerate(tokens):
            text = ""
            if place == bearer:
                text, self._text = self._text, ""
            self._count += 1
            top = _top(self._job, token) if self._job.options.logprobs else None
            events.append(StreamedGeneration(index=self._count, token=_token(self._job, token, text), top_tokens=top))
        return events

    def last(self, event: StreamedGeneration | None, result: SentenceResult) -> StreamedGeneration:
        """The last token with what is known at the end; an end of its own where a stop string left none."""
        if event is None:
            end = GenerationToken(id=decoding_of(self._job.entry).eos, text="", logprob=0, special=True)
            event = StreamedGeneration(index=1, token=end)
        assert isinstance(self._job.source, Tokens)
        details = StreamDetails(
            finish_reason=_finish_reason(self._job, result),
            generated_tokens=self._count,
            input_length=len(self._job.source.ids) + 1,  # and the first input
            seed=result.seed,
        )
        return event.model_copy(update={"generated_text": result.text, "details": details})


def _token(job: Job, token: Alternative, text: str) -> GenerationToken:
    special = token.id == decoding_of(job.entry).eos
    return GenerationToken(id=token.id, text=text, logprob=token.logprob, special=special)


def _top(job: Job, token: EmittedToken) -> list[GenerationToken]:
    return [_token(job, item, item.text) for item in token.alternatives]


def _finish_reason(job: Job, result: SentenceResult) -> Literal["length", "eos_token", "stop_sequence"]:
    if result.finish_reason != "stop":
        return "length"
    ended = result.tokens and result.tokens[-1].id == decoding_of(job.entry).eos
    return "eos_token" if ended else "stop_sequence"


def _failed(problem: Mapping[str, object]) -> bytes:
    return data_event(error_members(problem))
