"""Decoded tokens to sentences, whole or in deltas of text that later tokens do not change."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from app.engine import protocol
from app.engine.protocol import Decode, Decoded, Pixels, Progress, Tokens
from app.tasks.answers.decoding_options import ContinuationOptions, DecodingOptions, decoding_of
from app.tasks.answers.source_tokens import source_tokens
from app.tasks.answers.token_results import (
    Alternative,
    EmittedToken,
    Hypothesis,
    ImageAttention,
    NextToken,
    SentenceResult,
    WordAlignment,
)
from app.tasks.job import Job, Output
from app.text.growing_text import GrowingText
from app.text.stops import first_stop, without_partial_stop


@dataclass(frozen=True)
class Delta:
    """Text that later tokens do not change, and its tokens if the request asks for them."""

    text: str
    tokens: list[EmittedToken] | None = None


@dataclass(frozen=True, slots=True)
class SentenceOutput(Output):
    """A sentence. `emitted_tokens` includes the tokens after a stop string."""

    result: SentenceResult


class Transcript:
    """A sentence during decoding: `feed` takes tokens and returns deltas. `_sent_...` is already in deltas.

    A token costs the same however long the sentence is: only the end of the text is decoded and searched again.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = decoding_options_of(job)
        self._stops = self._options.stop or []
        self._text = GrowingText(job.entry.target_tokenizer, job.read.after)
        self._tokens: list[int] = []
        self._log_probs: list[float] = []
        self._alternatives: list[list[tuple[int, float]]] = []
        self._attention: list[list[float]] = []
        self._emitted: list[EmittedToken] = []  # of `_tokens`, with the option `logprobs`
        self._sent_text = ""
        self._sent_tokens = 0
        self.is_stopped = False

    def feed(self, progress: Progress) -> Iterator[Delta]:
        """Take tokens; each may complete a delta. A stop string ends the deltas."""
        for index, token in enumerate(progress.tokens):
            self._text.add(token)
            self._tokens.append(token)
            self._log_probs.append(progress.log_probs[index])
            self._alternatives += progress.alternatives[index : index + 1]
            self._attention += progress.attention[index : index + 1]
            new = self._text.settled[len(self._sent_text) :]  # no stop string begins before it
            if first_stop(new, self._stops) is not None:
                self.is_stopped = True
                return
            if delta := self._settle(self._sent_text + without_partial_stop(new, self._stops).rstrip()):
                yield delta

    def _settle(self, text: str) -> Delta | None:
        """The delta up to `text`. It has tokens if `text` contains all their text."""
        tokens = None
        if self._options.logprobs is not None and text == self._text.whole:
            self._emitted += _emitted_tokens(self._job, self._hypothesis(begin=len(self._emitted)))
            tokens = self._emitted[self._sent_tokens :]
            self._sent_tokens = len(self._emitted)
        return self._delta(text, tokens)

    def _delta(self, text: str, tokens: list[EmittedToken] | None) -> Delta | None:
        new, self._sent_text = text[len(self._sent_text) :], text
        return Delta(new, tokens) if new or tokens else None

    def end(self, decoded: Decoded | None = None) -> tuple[Delta | None, SentenceOutput]:
        """The last delta and the output, from the last engine event or from the tokens so far."""
        if decoded is None:
            decoded = Decoded(0, [self._hypothesis()])
        output = output_of(self._job, decoded, sent_tokens=self._sent_tokens)
        tokens = output.result.tokens
        rest = self._delta(output.result.text, tokens[self._sent_tokens :] if tokens is not None else None)
        return rest, output

    def _hypothesis(self, begin: int = 0) -> protocol.Hypothesis:
        """The tokens from `begin`."""
        log_probs = self._log_probs[begin:]
        return protocol.Hypothesis(
            self._tokens[begin:],
            log_probs,
            sum(log_probs),
            "cancelled",
            self._alternatives[begin:],
            self._attention[begin:],
        )


def decoding_options_of(job: Job) -> DecodingOptions:
    """The options of a job that decodes tokens."""
    assert isinstance(job.options, DecodingOptions)
    return job.options


def sentences(outputs: Sequence[Output]) -> list[SentenceResult]:
    """The results of a task that decodes tokens."""
    return [output.result for output in outputs if isinstance(output, SentenceOutput)]


def output_of(job: Job, decoded: Decoded, *, sent_tokens: int = 0) -> SentenceOutput:
    """The n-best of an input as a result. A stop string cuts the best one, but keeps `sent_tokens`."""
    options = decoding_options_of(job)
    best, *others = decoded.hypotheses
    sentences = [_sentence(job, options, best, sent_tokens), *(_sentence(job, options, other) for other in others)]
    assert isinstance(job.request, Decode)
    next_tokens = options.next_tokens if isinstance(options, ContinuationOptions) else 0
    result = SentenceResult(
        **dict(sentences[0]),
        model=job.entry.manifest.name,
        version=job.entry.manifest.version,
        hypotheses=sentences if options.n_best > 1 else None,
        seed=job.request.seed if options.samples else None,
        next=_next(job, best, next_tokens) if next_tokens else None,
    )
    return SentenceOutput(result, sum(len(hypothesis.tokens) for hypothesis in decoded.hypotheses))


def _sentence(job: Job, options: DecodingOptions, hypothesis: protocol.Hypothesis, sent_tokens: int = 0) -> Hypothesis:
    text = job.entry.target_tokenizer.unstripped(hypothesis.tokens, after=job.read.after)
    stop = first_stop(text, options.stop or ())
    if stop is None:
        text = text.rstrip()
    else:
        text = text[:stop].rstrip()
        hypothesis = _cut(hypothesis, max(sent_tokens, _tokens_needed(job, hypothesis.tokens, len(text))))
    score = hypothesis.score
    if isinstance(job.request, Decode) and job.request.beams == 1:
        score = sum(hypothesis.log_probs) / max(1, len(hypothesis.log_probs))
    return Hypothesis(
        text=text,
        score=min(score, 0.0),
        finish_reason=hypothesis.finish_reason,
        tokens=_emitted_tokens(job, hypothesis) if options.logprobs is not None else None,
        attention=_attention(job, hypothesis) if options.attention else None,
    )


def _tokens_needed(job: Job, tokens: list[int], length: int) -> int:
    """The fewest tokens whose text has `length` characters."""
    settled, after = job.entry.target_tokenizer.settled, job.read.after
    return bisect_left(range(len(tokens)), length, key=lambda count: len(settled(tokens[:count], after=after)))


def _cut(hypothesis: protocol.Hypothesis, length: int) -> protocol.Hypothesis:
    return protocol.Hypothesis(
        hypothesis.tokens[:length],
        hypothesis.log_probs[:length],
        hypothesis.score,
        "stop",
        hypothesis.alternatives[:length],
        hypothesis.attention[:length],
    )


def _ids(job: Job, hypothesis: protocol.Hypothesis) -> list[int]:
    """Its tokens, with the end token if the model ended it."""
    return [*hypothesis.tokens, decoding_of(job.entry).eos][: len(hypothesis.log_probs)]


def _emitted_tokens(job: Job, hypothesis: protocol.Hypothesis) -> list[EmittedToken]:
    piece, most = job.entry.target_tokenizer.piece, decoding_options_of(job).logprobs or 0
    alternatives = hypothesis.alternatives or [[]] * len(hypothesis.log_probs)
    return [
        EmittedToken(
            id=token,
            text=piece(token),
            logprob=min(log_prob, 0.0),
            alternatives=[
                Alternative(id=other, text=piece(other), logprob=min(value, 0.0)) for other, value in others[:most]
            ],
        )
        for token, log_prob, others in zip(_ids(job, hypothesis), hypothesis.log_probs, alternatives, strict=True)
    ]


def _next(job: Job, hypothesis: protocol.Hypothesis, count: int) -> list[NextToken]:
    """The most probable first tokens, best first."""
    piece = job.entry.target_tokenizer.piece
    first = hypothesis.alternatives[0][:count] if hypothesis.alternatives else []
    return [NextToken(text=piece(token), probability=min(1.0, math.exp(value))) for token, value in first]


def _attention(job: Job, hypothesis: protocol.Hypothesis) -> WordAlignment | ImageAttention:
    target = [job.entry.target_tokenizer.piece(token) for token in _ids(job, hypothesis)]
    weights = [[round(weight, 5) for weight in row] for row in hypothesis.attention]
    match job.read.source:
        case Tokens():
            return WordAlignment(source=source_tokens(job.read.pieces), target=target, weights=weights)
        case Pixels():
            side = math.isqrt(len(weights[0])) if weights else 0  # the feature map of a square image is square
            grids = [[row[start : start + side] for start in range(0, side * side, side)] for row in weights]
            return ImageAttention(rows=side, columns=side, target=target, weights=grids)
        case _:
            assert_never(job.read.source)
