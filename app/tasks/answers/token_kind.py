"""The answer kind `tokens`: a sentence that is decoded step by step, returned whole or streamed."""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from app.engine.check import check_replayed
from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Decode, Decoded, Terms
from app.errors import ContradictoryOptions, TimedOut
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.completed_state import counts_tokens, with_state
from app.tasks.answers.decoding_options import MOST_SEED, DecodingOptions, decode_request
from app.tasks.answers.details import check_details
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.replayed import (
    ReplayOptions,
    check_replays,
    expected_steps,
    is_replayed,
    with_explanation,
)
from app.tasks.answers.token_results import SentenceResult
from app.tasks.answers.transcript import Delta, SentenceOutput, Transcript, join_outputs, output_of
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.concurrently import concurrently, interleaved
from app.tasks.job import Job, ReadSource
from app.tasks.options import TaskOptions

_SEEDS = 2**32  # between the seeds of two sentences of an input


class SentenceAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[SentenceResult]
    usage: Usage

    @property
    def has_pieces(self) -> bool:
        return any(
            part is not None
            for result in self.results
            for part in (result.tokens, result.attention, result.explanation)
        )


class TokenKind(AnswerKind):
    """A sentence, or the n-best sentences."""

    kind = "tokens"
    form = SentenceAnswer

    def plan(self, entry: Entry, options: TaskOptions) -> Decode:
        """See `AnswerKind.plan`."""
        if isinstance(options, ReplayOptions) and options.explain:
            check_replayed(entry.manifest, options.layer)
        return decode_request(entry, _decoding(options))

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """The plan, with the first input of the decoder, and with a seed per input and sentence, so that equal ones
        differ. A prefix is the beginning of the first sentence."""
        assert isinstance(plan, Decode)
        if plan.temperature and (index or read.part):
            plan = msgspec.structs.replace(plan, seed=(plan.seed + index + _SEEDS * read.part) & MOST_SEED)
        if plan.prefix and read.part:
            plan = msgspec.structs.replace(plan, prefix=[])
        plan = _with_past(plan, read)
        saved, named = read.saved, _decoding(options).seed
        if plan.temperature and saved is not None and saved.seed is not None and named in (None, saved.seed):
            plan = msgspec.structs.replace(plan, seed=(saved.seed + index) & MOST_SEED, drawn=saved.drawn)
        return plan if read.first is None else msgspec.structs.replace(plan, first=read.first)

    def check(self, jobs: Sequence[Job], options: TaskOptions, limits: AnswerLimits) -> None:
        """See `AnswerKind.check`. Raises ContradictoryOptions."""
        check_details(jobs)
        if is_replayed(options):
            check_replays(jobs, limits)
        if _decoding(options).n_best > 1:
            _check_one_sentence(jobs)

    def needs_pieces(self, options: TaskOptions) -> bool:
        """See `AnswerKind.needs_pieces`."""
        return _decoding(options).attention or is_replayed(options)

    def later_steps(self, job: Job) -> int:
        """See `AnswerKind.later_steps`."""
        return expected_steps(job)

    def streams(self, options: TaskOptions) -> bool:
        """See `AnswerKind.streams`."""
        return _decoding(options).stream

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> SentenceOutput:
        """See `AnswerKind.answer`."""
        if not job.following:
            return await self._answer_sentence(client, job, terms)
        answers = [self._answer_unless_late(client, one, terms) for one in job.parts]
        return await join_outputs(job, await concurrently(answers))

    async def _answer_unless_late(self, client: EngineClient, job: Job, terms: Terms) -> SentenceOutput | TimedOut:
        """The answer, or the error of a sentence that did not begin before the deadline."""
        try:
            return await self._answer_sentence(client, job, terms)
        except TimedOut as error:
            return error

    async def _answer_sentence(self, client: EngineClient, job: Job, terms: Terms) -> SentenceOutput:
        """With stop strings it streams, to stop decoding early."""
        assert isinstance(job.request, Decode)
        if not _decoding(job.options).stop or job.request.beams > 1:
            decoded = await client.answer(
                job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry
            )
            assert isinstance(decoded, Decoded)
            return await self._completed(client, job, terms, await output_of(job, decoded), decoded)
        async with aclosing(self._stream_sentence(client, job, terms)) as items:
            async for item in items:
                if isinstance(item, SentenceOutput):
                    return item
        raise AssertionError("the last item of a stream is its output")

    async def stream(
        self, client: EngineClient, job: Job, terms: Terms
    ) -> AsyncGenerator[Delta | SentenceOutput, None]:
        """See `AnswerKind.stream`. The sentences of an input are decoded at the same time, and sent in order."""
        if not job.following:
            async with aclosing(self._stream_sentence(client, job, terms)) as items_of_one:
                async for item_of_one in items_of_one:
                    yield item_of_one
            return
        streams = [_until_late(self._stream_sentence(client, one, terms)) for one in job.parts]
        outputs: list[SentenceOutput | TimedOut] = []
        early: list[deque[Delta | SentenceOutput | TimedOut]] = [deque() for _ in streams]
        between = ""  # the text between sentences that is not sent yet
        async with aclosing(interleaved(streams)) as items:
            async for place, arrived in items:
                early[place].append(arrived)
                while len(outputs) < len(early) and early[len(outputs)]:
                    item = early[len(outputs)].popleft()
                    if isinstance(item, Delta):
                        if between:
                            yield Delta(between)
                            between = ""
                        yield item
                        continue
                    outputs.append(item)
                    if len(outputs) < len(early):
                        between += job.following[len(outputs) - 1].separator
        joined = await join_outputs(job, outputs)
        if between:
            yield Delta(between)
        yield joined

    async def _stream_sentence(
        self, client: EngineClient, job: Job, terms: Terms
    ) -> AsyncGenerator[Delta | SentenceOutput, None]:
        """A stop string cancels the request in the engine."""
        assert isinstance(job.request, Decode)
        transcript = Transcript(job)
        last: Decoded | None = None
        async with aclosing(
            client.stream(job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry)
        ) as events:
            async for event in events:
                if isinstance(event, Decoded):
                    last = event
                    break
                for delta in transcript.feed(event):
                    yield delta
                if transcript.is_stopped:
                    break
        rest, output = await transcript.end(last)
        if rest is not None:
            yield rest
        yield await self._completed(client, job, terms, output, last)

    async def _completed(
        self, client: EngineClient, job: Job, terms: Terms, output: SentenceOutput, decoded: Decoded | None
    ) -> SentenceOutput:
        """The output with what further requests to the engine add: the state after it, or its explanation."""
        output = await with_state(client, job, terms, output, decoded)
        return await with_explanation(client, job, terms, output)

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        return Column("text", "text"), Column("score", "float32"), Column("finish_reason", "text")


async def _until_late(
    stream: AsyncGenerator[Delta | SentenceOutput, None],
) -> AsyncGenerator[Delta | SentenceOutput | TimedOut, None]:
    """The items of a stream; the error of a sentence that did not begin before the deadline is the last one."""
    has_begun = False
    async with aclosing(stream):
        try:
            async for item in stream:
                has_begun = True
                yield item
        except TimedOut as error:
            if has_begun:
                raise
            yield error


def _decoding(options: TaskOptions) -> DecodingOptions:
    assert isinstance(options, DecodingOptions)  # of every task that answers with tokens
    return options


def _with_past(plan: Decode, read: ReadSource) -> Decode:
    """The plan with the tokens decoded before the state, if a rule counts them. Raises ContradictoryOptions for a state
    without them, or for a search."""
    if read.saved is None or not read.saved.is_completed or not counts_tokens(plan):
        return plan
    if read.saved.decoded is None or plan.beams > 1:
        rule = "no_repeat_ngram_size" if plan.no_repeat_ngram else "repetition_penalty"
        why = (
            "beams search anew" if plan.beams > 1 else "it was kept without them: complete with the rule from the start"
        )
        raise ContradictoryOptions(
            f"{rule} counts the tokens decoded before the state, and {why}; or leave out {rule}",
            options=["state", rule],
        )
    return msgspec.structs.replace(plan, past=read.saved.decoded)


def _check_one_sentence(jobs: Sequence[Job]) -> None:
    """Raises ContradictoryOptions for several best answers to an input of several sentences."""
    for index, job in enumerate(jobs):
        if job.following:
            raise ContradictoryOptions(
                f"n_best is above 1, but inputs[{index}] has {len(job.parts)} sentences, which are answered one by "
                "one: send each as an input of its own, set n_best to 1, or split_sentences to false",
                options=["n_best", "split_sentences"],
            )
