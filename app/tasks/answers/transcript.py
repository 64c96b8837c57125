"""Decoded tokens to sentences, whole or in deltas of text that later tokens do not change."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine import protocol
from app.engine.protocol import Alternatives, Decode, Decoded, Progress, Table, join_alternatives, join_tables
from app.errors import TimedOut
from app.tasks.answers.decoding_options import ContinuationOptions
from app.tasks.answers.emitted_tokens import EmittedTokens, possible_tokens
from app.tasks.answers.sentence import Sentence, decoding_options_of, emitted_tokens, join_sentences, sentence_of
from app.tasks.answers.source_words import SourceWords
from app.tasks.answers.token_results import Hypothesis, NextToken, SentenceResult
from app.tasks.job import Job, Output
from app.text.growing_text import GrowingText
from app.text.stops import first_stop, without_partial_stop
from app.turns import Pauses

_NOT_BEGUN = protocol.Hypothesis([], [], 0.0, "deadline")


@dataclass(frozen=True)
class Delta:
    """Text that later tokens do not change, and its tokens if the request asks for them."""

    text: str
    tokens: EmittedTokens | None = None


@dataclass(frozen=True, slots=True)
class SentenceOutput(Output):
    """A sentence, as a `result` and with its parts. `emitted_tokens` includes the tokens after a stop string."""

    result: SentenceResult
    sentence: Sentence = field(kw_only=True)


class Transcript:
    """A sentence during decoding: `feed` takes tokens and returns deltas. `_sent_...` is already in deltas.

    A token costs the same however long the sentence is: only the end of the text is decoded and searched again.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = decoding_options_of(job)
        self._stops = self._options.stop or []
        self._text = GrowingText(job.entry.target_tokenizer, job.read.after)
        for token in job.read.unshown:
            self._text.add(token)
        self._words = SourceWords(job)
        self._tokens: list[int] = []
        self._log_probs: list[float] = []
        self._alternatives: list[Alternatives] = []  # of one token each, like `_attention`
        self._attention: list[Table] = []
        self._sent_text = ""
        self._sent_tokens = 0
        self.is_stopped = False

    def feed(self, progress: Progress) -> Iterator[Delta]:
        """Take tokens; each may complete a delta. A stop string ends the deltas."""
        self._words.add(progress.tokens, progress.attention)
        for index, token in enumerate(progress.tokens):
            self._text.add(token)
            self._tokens.append(token)
            self._log_probs.append(progress.log_probs[index])
            if progress.alternatives is not None:
                self._alternatives.append(progress.alternatives.rows(index, index + 1))
            if progress.attention is not None:
                self._attention.append(progress.attention.rows(index, index + 1))
            new = self._words.put_into_growing(self._text.settled)[
                len(self._sent_text) :
            ]  # no stop string begins before it
            if first_stop(new, self._stops) is not None:
                self.is_stopped = True
                return
            if delta := self._settle(self._sent_text + without_partial_stop(new, self._stops).rstrip()):
                yield delta

    def _settle(self, text: str) -> Delta | None:
        """The delta up to `text`. It has tokens if `text` contains all their text, spaces at its end included."""
        tokens = None
        if self._options.logprobs is not None and text == self._words.put_into(self._text.unstripped):
            tokens = emitted_tokens(self._job, self._hypothesis(begin=self._sent_tokens))
            self._sent_tokens = len(self._tokens)
        return self._delta(text, tokens)

    def _delta(self, text: str, tokens: EmittedTokens | None) -> Delta | None:
        new, self._sent_text = text[len(self._sent_text) :], text
        return Delta(new, tokens) if new or tokens else None

    async def end(self, decoded: Decoded | None = None) -> tuple[Delta | None, SentenceOutput]:
        """The last delta and the output, from the last engine event or from the tokens so far."""
        if decoded is None:
            decoded = Decoded(0, [self._hypothesis()])
        output = await output_of(self._job, decoded, sent_tokens=self._sent_tokens)
        tokens = output.sentence.tokens
        rest = self._delta(output.result.text, tokens.since(self._sent_tokens) if tokens is not None else None)
        return rest, output

    def _hypothesis(self, begin: int = 0) -> protocol.Hypothesis:
        """The tokens from `begin`."""
        log_probs = self._log_probs[begin:]
        alternatives, attention = self._alternatives[begin:], self._attention[begin:]
        return protocol.Hypothesis(
            self._tokens[begin:],
            log_probs,
            sum(log_probs),
            "cancelled",
            join_alternatives(alternatives) if alternatives else None,
            join_tables(attention) if attention else None,
        )


def sentences(outputs: Sequence[Output]) -> list[SentenceOutput]:
    """The outputs of a task that decodes tokens."""
    return [output for output in outputs if isinstance(output, SentenceOutput)]


async def output_of(job: Job, decoded: Decoded, *, sent_tokens: int = 0) -> SentenceOutput:
    """The n-best of an input as a result. A stop string cuts the best one, but keeps `sent_tokens`."""
    pauses = Pauses()
    n_best: list[Sentence] = []
    for hypothesis in decoded.hypotheses:
        n_best.append(sentence_of(job, hypothesis, sent_tokens=0 if n_best else sent_tokens))
        await pauses.pause()
    emitted = sum(len(hypothesis.tokens) for hypothesis in decoded.hypotheses)
    return _output(job, n_best, emitted, decoded.hypotheses[0])


async def join_outputs(job: Job, arrived: Sequence[SentenceOutput | TimedOut]) -> SentenceOutput:
    """The output of an input with several sentences, from that of each. One that did not begin before the deadline is
    empty. Raises TimedOut if none did."""
    late = [output.detail for output in arrived if isinstance(output, TimedOut)]
    if len(late) == len(arrived):
        raise TimedOut(late[0])
    separators = [separator for separator, _ in job.following]
    outputs = [
        await output_of(one, Decoded(0, [_NOT_BEGUN])) if isinstance(output, TimedOut) else output
        for one, output in zip(job.parts, arrived, strict=True)
    ]
    sentence = join_sentences(job, [output.sentence for output in outputs], separators)
    return _output(job, [sentence], sum(output.emitted_tokens for output in outputs))


def _output(
    job: Job, n_best: Sequence[Sentence], emitted: int, best: protocol.Hypothesis | None = None
) -> SentenceOutput:
    options = decoding_options_of(job)
    assert isinstance(job.request, Decode)
    next_tokens = options.next_tokens if isinstance(options, ContinuationOptions) else 0
    explanation: Any = {"runs": n_best[0].runs} if n_best[0].runs else None  # members of a TokenExplanation
    calibrated, sure = job.entry.manifest.confidence, n_best[0].confidence
    result = SentenceResult.model_construct(
        **_members(n_best[0]),
        confidence=sure,
        unsure=True if calibrated is not None and sure is not None and sure < calibrated.unsure_below else None,
        model=job.entry.manifest.name,
        version=job.entry.manifest.version,
        hypotheses=[Hypothesis.model_construct(**_members(one)) for one in n_best] if options.n_best > 1 else None,
        seed=job.request.seed if options.samples else None,
        next=_next(job, best, next_tokens) if best is not None and next_tokens else None,
        explanation=explanation,
    )
    return SentenceOutput(result, emitted, sentence=n_best[0])


def _members(sentence: Sentence) -> dict[str, Any]:
    """The members of a hypothesis; its tokens and its attention stay as they are."""
    return {
        "text": sentence.text,
        "score": sentence.score,
        "finish_reason": sentence.finish_reason,
        "tokens": sentence.tokens,
        "attention": sentence.attention,
    }


def _next(job: Job, hypothesis: protocol.Hypothesis, count: int) -> list[NextToken]:
    """The most probable first tokens, best first."""
    if hypothesis.alternatives is None:
        return []
    first = possible_tokens(job.entry.target_tokenizer, hypothesis.alternatives.rows(0, 1), count)
    return [NextToken(text=token.text, probability=math.exp(token.logprob)) for place in first for token in place]
