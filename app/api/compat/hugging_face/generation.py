"""POST /hf/text-generation/{model}: language models for Hugging Face's clients, whole or streamed."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from itertools import chain
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from app.api.blocks import response_in_pieces
from app.api.body import read_json
from app.api.compat.hugging_face.pipeline import Pipeline, chosen_by, described
from app.api.compat.hugging_face.schemas import (
    Generation,
    GenerationDetails,
    GenerationError,
    GenerationToken,
    StreamDetails,
    StreamedGeneration,
    TextGenerationRequest,
)
from app.api.events import data_event, described_event, described_stream
from app.api.problems import COMMON_ERRORS, problems
from app.api.service import service_of
from app.errors import ContradictoryOptions
from app.json_pieces import JsonInPieces, json_array
from app.tasks.answers.decoding_options import decoding_of
from app.tasks.answers.emitted_tokens import EmittedTokens, PossibleToken, Token
from app.tasks.answers.sentence import decoding_options_of
from app.tasks.answers.transcript import Delta, SentenceOutput, sentences
from app.tasks.job import Job, Output

TEXT_GENERATION = Pipeline("text-generation", source="text", answer="tokens", continues=True)
_PROMPT = "This film is one of the"
_GENERATIONS = TypeAdapter(list[Generation])
TEXT_GENERATION_EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": _PROMPT, "parameters": {"max_new_tokens": 24}}},
    "details": {
        "summary": "Drawn, with its tokens",
        "value": {
            "inputs": _PROMPT,
            "parameters": {"max_new_tokens": 12, "do_sample": True, "seed": 7, "details": True, "top_n_tokens": 2},
        },
    },
    "streamed": {
        "summary": "As server-sent events",
        "value": {"inputs": _PROMPT, "parameters": {"max_new_tokens": 24}, "stream": True},
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
    TEXT_GENERATION.path,
    operation_id="hugging_face_text_generation",
    summary="Complete a text (Hugging Face)",
    response_model=list[Generation],
    responses={200: STREAMED, **problems(*COMMON_ERRORS, ContradictoryOptions)},
    openapi_extra=described("lm-en", TextGenerationRequest, TEXT_GENERATION_EXAMPLES),
)
async def generate(request: Request) -> Response:
    """Continuations for `InferenceClient(".../hf/text-generation/lm-en").text_generation(...)`, with `details` or
    streamed. An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    body = await read_json(request, TextGenerationRequest)
    terms = service.accept(request, chosen, inputs=len(body.inputs))
    async with service.until_disconnect(request, terms):
        task = TEXT_GENERATION.task_of(service, chosen)
        jobs = await service.prepare(request, task, body.inputs, body.decoding(), chosen, terms)
        if not body.stream:
            outputs = await service.answer(request, jobs, terms)
            generations = _generations(body, jobs, outputs)
            return await response_in_pieces(_GENERATIONS.dump_python(generations, exclude_none=True))
    return service.event_stream(_events(service.stream(request, jobs, terms), jobs), terms)


def _generations(body: TextGenerationRequest, jobs: Sequence[Job], outputs: Sequence[Output]) -> list[Generation]:
    prompts = body.inputs if body.parameters.return_full_text else [""] * len(jobs)
    return [
        Generation.model_construct(
            generated_text=prompt + output.result.text,
            details=_details(job, output) if body.parameters.details else None,
        )
        for job, output, prompt in zip(jobs, sentences(outputs), prompts, strict=True)
    ]


def _details(job: Job, output: SentenceOutput) -> GenerationDetails:
    tokens = output.sentence.tokens
    assert tokens is not None  # asked for, see `TextGenerationRequest.decoding`
    members: dict[str, Any] = {
        "finish_reason": _finish_reason(job, output),
        "generated_tokens": len(tokens),
        "seed": output.result.seed,
        "tokens": _Places(tokens.without_alternatives(), lambda token: _members(job, token)),
        "top_tokens": _Places(tokens, lambda token: [_members(job, item) for item in token.alternatives])
        if _shows_alternatives(job)
        else None,
    }
    return GenerationDetails.model_construct(**members)


class _Places(JsonInPieces, frozen=True, eq=False):
    """An array with what `of` returns for the token of each place."""

    tokens: EmittedTokens
    of: Callable[[Token], Any]

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array([self.of(token) for token in part] for part in self.tokens.parts())


async def _events(items: AsyncGenerator[tuple[int, Any], None], jobs: Sequence[Job]) -> AsyncGenerator[bytes, None]:
    """An event for each token. The latest one is held back, since the last event has further members."""
    tokens = _StreamedTokens(jobs)
    held: StreamedGeneration | None = None
    async with aclosing(items):
        async for _, item in items:
            if isinstance(item, SentenceOutput):
                yield data_event(tokens.last(held, item))
                return
            for event in tokens.of(item):
                if held is not None:
                    yield data_event(held)
                held = event


class _StreamedTokens:
    """The tokens of a stream with their texts. Text that several tokens spell together belongs to the last of them."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._text = ""
        self._count = 0

    @property
    def _job(self) -> Job:
        """The only job, which may be prepared again before the first token."""
        return self._jobs[0]

    def of(self, delta: Delta) -> Iterator[StreamedGeneration]:
        """The tokens of a delta."""
        self._text += delta.text
        if delta.tokens is None:
            return
        ids, eos = delta.tokens.ids, decoding_of(self._job.entry).eos
        last = max((place for place, token in enumerate(ids) if token != eos), default=len(ids) - 1)
        for place, token in enumerate(chain.from_iterable(delta.tokens.parts())):
            text = ""
            if place == last:
                text, self._text = self._text, ""
            self._count += 1
            top = _top(self._job, token) if _shows_alternatives(self._job) else None
            yield StreamedGeneration(index=self._count, token=_token(self._job, token, text), top_tokens=top)

    def last(self, event: StreamedGeneration | None, output: SentenceOutput) -> StreamedGeneration:
        """The last token with the whole text; an added end token if a stop string left none."""
        if event is None:
            end = GenerationToken(id=decoding_of(self._job.entry).eos, text="", logprob=0, special=True)
            event = StreamedGeneration(index=1, token=end)
        details = StreamDetails(
            finish_reason=_finish_reason(self._job, output),
            generated_tokens=self._count,
            input_length=self._job.read.tokens + 1,  # and the first input of the decoder
            seed=output.result.seed,
        )
        return event.model_copy(update={"generated_text": output.result.text, "details": details})


def _shows_alternatives(job: Job) -> bool:
    return bool(decoding_options_of(job).logprobs)


def _token(job: Job, token: PossibleToken | Token, text: str) -> GenerationToken:
    return GenerationToken(**_members(job, token) | {"text": text})


def _members(job: Job, token: PossibleToken | Token) -> dict[str, Any]:
    """The members of a GenerationToken."""
    special = token.id == decoding_of(job.entry).eos
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": special}


def _top(job: Job, token: Token) -> list[GenerationToken]:
    return [_token(job, item, item.text) for item in token.alternatives]


def _finish_reason(job: Job, output: SentenceOutput) -> Literal["length", "eos_token", "stop_sequence"]:
    if output.result.finish_reason != "stop":
        return "length"
    tokens = output.sentence.tokens
    return "eos_token" if tokens and tokens.ids[-1] == decoding_of(job.entry).eos else "stop_sequence"
