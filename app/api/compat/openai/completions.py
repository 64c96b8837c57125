"""POST /v1/completions: language models for OpenAI's clients."""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.blocks import response_in_pieces
from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.compat.openai.logprobs import Logprobs
from app.api.compat.openai.schemas import (
    CompletionAnswer,
    CompletionChoice,
    CompletionError,
    CompletionRequest,
    CompletionUsage,
)
from app.api.events import data_event, described_event, described_stream, event_in_blocks
from app.api.openapi.deferred import Deferred
from app.api.problems import COMMON_ERRORS, problems
from app.api.service import service_of
from app.errors import ContradictoryOptions
from app.tasks.answers.emitted_tokens import EmittedTokens
from app.tasks.answers.token_results import FinishReason
from app.tasks.answers.transcript import SentenceOutput, sentences
from app.tasks.job import Output
from app.tasks.jobs import Jobs
from app.text.growing_text import GrowingText

_DONE = b"data: [DONE]\n\n"
_PROMPT = "This film is one of the"
EXAMPLES = {
    "one": {
        "summary": "The most probable continuation",
        "value": {"model": "lm-en", "prompt": _PROMPT, "temperature": 0},
    },
    "several": {
        "summary": "Two prompts with two choices each, drawn",
        "value": {"model": "lm-en", "prompt": [_PROMPT, "The acting is"], "n": 2, "seed": 7, "top_p": 0.9},
    },
    "logprobs": {
        "summary": "Log-probabilities and alternatives",
        "value": {"model": "lm-ko", "prompt": "이 영화는", "max_tokens": 8, "temperature": 0, "logprobs": 3},
    },
    "echo": {
        "summary": "With the prompt, up to a full stop",
        "value": {"model": "lm-en", "prompt": _PROMPT, "max_tokens": 40, "stop": ["."], "echo": True, "seed": 1},
    },
    "streamed": {
        "summary": "As server-sent events",
        "value": {
            "model": "lm-en/1",
            "prompt": _PROMPT,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
}
STREAMED = described_stream(
    "The choices; with `stream`, chunks of them as events without a name, and `[DONE]` as the last",
    described_event(None, CompletionAnswer),
    described_event(None, CompletionError),
    {"type": "object", "properties": {"data": {"const": "[DONE]"}}, "required": ["data"]},
    example='data: {"id":"cmpl-2f0c8f3f6c5e4e58","object":"text_completion","created":1767225600,'
    '"model":"lm-en","system_fingerprint":"lm-en/1","choices":[{"index":0,"text":" best","logprobs":null,'
    '"finish_reason":null}]}\n\ndata: [DONE]\n\n',
)
router = APIRouter(tags=["Compatible"])


@router.post(
    "/v1/completions",
    operation_id="openai_completions",
    summary="Complete a text (OpenAI)",
    response_model=CompletionAnswer,
    responses={200: STREAMED, **problems(*COMMON_ERRORS, ContradictoryOptions)},
    openapi_extra=Deferred(
        lambda: {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": json_body(CompletionRequest, EXAMPLES)},
        }
    ),
)
async def completions(request: Request) -> Response:
    """Completions for `OpenAI(base_url=".../v1", api_key="x").completions.create(...)`, whole or streamed. An
    unsupported option is refused by name. Errors have OpenAI's member `error` as well.
    """
    service = service_of(request)
    body = await read_json(request, CompletionRequest)
    chosen, inputs = body.options(), body.inputs
    terms = service.accept(request, chosen, inputs=len(inputs))
    async with service.until_disconnect(request, terms):
        task = service.task_continuing(chosen)
        answer = _Answer(body, await service.prepare(request, task, inputs, body.decoding(), chosen, terms))
        if not body.stream:
            outputs = await service.answer(request, answer.jobs, terms)
            return await response_in_pieces(answer.whole(outputs).model_dump())
    return service.event_stream(_chunks(service.stream(request, answer.jobs, terms), answer), terms)


async def _chunks(items: AsyncGenerator[tuple[int, Any], None], answer: "_Answer") -> AsyncGenerator[bytes, None]:
    """The choices in chunks as they come; the last chunk of a choice has its finish reason."""
    outputs: dict[int, Output] = {}
    for chunk in answer.echoed():
        yield data_event(answer.members([chunk]))
    async with aclosing(items):
        async for index, item in items:
            if isinstance(item, SentenceOutput):
                outputs[index] = item
                yield data_event(answer.members([answer.chunk(index, "", None, item.result.finish_reason)]))
            else:
                chunk = answer.chunk(index, item.text, item.tokens)
                async for block in event_in_blocks(None, answer.members([chunk])):
                    yield block
                answer.add(index, item.tokens)
    if answer.has_usage:
        yield data_event(answer.members([], answer.usage([outputs[index] for index in range(len(answer.jobs))])))
    yield _DONE


class _Answer:
    """The answer to a request, whole or in chunks."""

    def __init__(self, body: CompletionRequest, jobs: Jobs) -> None:
        self.jobs = jobs
        self.has_usage = bool(body.stream_options and body.stream_options.include_usage)
        self._body = body
        self._texts: dict[int, GrowingText] = {}  # of the tokens in chunks so far, by choice
        self._frame = CompletionAnswer(
            id=f"cmpl-{secrets.token_hex(8)}",
            created=int(time.time()),
            model=body.model,
            system_fingerprint="",
            choices=[],
        )

    def whole(self, outputs: Sequence[Output]) -> CompletionAnswer:
        """All choices."""
        prompts = self._body.inputs if self._body.echo else [""] * len(outputs)
        choices = [
            self.chunk(index, prompt + output.result.text, output.sentence.tokens, output.result.finish_reason)
            for index, (output, prompt) in enumerate(zip(sentences(outputs), prompts, strict=True))
        ]
        return self._framed(choices, self.usage(outputs))

    def echoed(self) -> list[CompletionChoice]:
        """The prompts, with `echo`."""
        texts = self._body.inputs if self._body.echo else []
        return [self.chunk(place, text, None) for place, text in enumerate(texts)]

    def chunk(
        self, place: int, text: str, tokens: EmittedTokens | None, reason: FinishReason | None = None
    ) -> CompletionChoice:
        """A choice or a part of it; `reason` is the finish reason of its last part."""
        members: dict[str, Any] = {
            "index": place,
            "text": text,
            "logprobs": self._logprobs(place, tokens) if tokens else None,
            "finish_reason": _finish_reason(reason) if reason else None,
        }
        return CompletionChoice.model_construct(**members)

    def add(self, place: int, tokens: EmittedTokens | None) -> None:
        """Note that a chunk of a choice was sent: the next one follows its tokens."""
        if tokens:
            text = self._text(place)
            for token in tokens.ids:
                text.add(token)

    def members(self, choices: list[CompletionChoice], usage: CompletionUsage | None = None) -> dict[str, Any]:
        """A chunk of the answer. It has a member `usage` only if the stream ends with one."""
        return self._framed(choices, usage).model_dump(exclude=None if self.has_usage else {"usage"})

    def _framed(self, choices: list[CompletionChoice], usage: CompletionUsage | None) -> CompletionAnswer:
        fingerprint = self.jobs[0].key  # the jobs may be prepared again, for another version
        return self._frame.model_copy(update={"choices": choices, "usage": usage, "system_fingerprint": fingerprint})

    def usage(self, outputs: Sequence[Output]) -> CompletionUsage:
        """The tokens of the prompts, each counted once for all its choices, and of the choices."""
        read = sum(job.read.tokens + 1 for job in self.jobs[:: self._body.choices])  # + the decoder's first input
        emitted = sum(output.emitted_tokens for output in outputs)
        return CompletionUsage(prompt_tokens=read, completion_tokens=emitted, total_tokens=read + emitted)

    def _logprobs(self, place: int, tokens: EmittedTokens) -> Logprobs:
        return Logprobs(tokens, self._text(place), len(self._body.inputs[place]))

    def _text(self, place: int) -> GrowingText:
        job = self.jobs[place]
        return self._texts.setdefault(place, GrowingText(job.entry.target_tokenizer, job.read.after))


def _finish_reason(reason: FinishReason) -> Literal["stop", "length"]:
    return "stop" if reason == "stop" else "length"
