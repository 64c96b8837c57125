"""The answer kind `tokens`: a sentence that is decoded step by step, returned whole or streamed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Decode, Decoded, Terms
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.decoding_options import MOST_SEED, DecodingOptions, decode_request
from app.tasks.answers.details import check_details
from app.tasks.answers.token_results import SentenceResult
from app.tasks.answers.transcript import Delta, SentenceOutput, Transcript, output_of
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import Job, ReadSource
from app.tasks.options import TaskOptions


class SentenceAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[SentenceResult]
    usage: Usage


class TokenKind(AnswerKind):
    """A sentence, or the n-best sentences."""

    kind = "tokens"
    form = SentenceAnswer

    def plan(self, entry: Entry, options: TaskOptions) -> Decode:
        """See `AnswerKind.plan`."""
        return decode_request(entry, _decoding(options))

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """The plan, with the first input of the decoder, and with a seed per input, so that equal inputs differ."""
        assert isinstance(plan, Decode)
        if plan.temperature and index:
            plan = msgspec.structs.replace(plan, seed=(plan.seed + index) & MOST_SEED)
        return plan if read.first is None else msgspec.structs.replace(plan, first=read.first)

    def check(self, jobs: Sequence[Job], options: TaskOptions) -> None:
        """See `AnswerKind.check`."""
        check_details(jobs)

    def needs_pieces(self, options: TaskOptions) -> bool:
        """See `AnswerKind.needs_pieces`."""
        return _decoding(options).attention

    def streams(self, options: TaskOptions) -> bool:
        """See `AnswerKind.streams`."""
        return _decoding(options).stream

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> SentenceOutput:
        """See `AnswerKind.answer`. With stop strings it streams, to stop decoding early."""
        assert isinstance(job.request, Decode)
        if not _decoding(job.options).stop or job.request.beams > 1:
            decoded = await client.answer(job.key, job.read.source, job.request, terms)
            assert isinstance(decoded, Decoded)
            return output_of(job, decoded)
        async with aclosing(self.stream(client, job, terms)) as items:
            async for item in items:
                if isinstance(item, SentenceOutput):
                    return item
        raise AssertionError("the last item of a stream is its output")

    async def stream(
        self, client: EngineClient, job: Job, terms: Terms
    ) -> AsyncGenerator[Delta | SentenceOutput, None]:
        """See `AnswerKind.stream`. A stop string cancels the request in the engine."""
        assert isinstance(job.request, Decode)
        transcript = Transcript(job)
        last: Decoded | None = None
        async with aclosing(client.stream(job.key, job.read.source, job.request, terms)) as events:
            async for event in events:
                if isinstance(event, Decoded):
                    last = event
                    break
                for delta in transcript.feed(event):
                    yield delta
                if transcript.is_stopped:
                    break
        rest, output = transcript.end(last)
        if rest is not None:
            yield rest
        yield output

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        return Column("text", "text"), Column("score", "float32"), Column("finish_reason", "text")


def _decoding(options: TaskOptions) -> DecodingOptions:
    assert isinstance(options, DecodingOptions)  # of every task that answers with tokens
    return options
