"""Emitted tokens to sentences: text, what is told of its tokens, and how much of it may be told already."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.engine import protocol as messages
from app.engine.protocol import Emit, Emitted, Pixels, Progress, Tokens
from app.tasks.answers.decoding_options import DecodingOptions, decoding_of
from app.tasks.answers.results import (
    Alternative,
    EmittedToken,
    Hypothesis,
    ImageAttention,
    NextToken,
    SentenceResult,
    SourceToken,
    WordAlignment,
)
from app.tasks.catalog import Entry
from app.text.stops import first_stop, without_partial_stop
from app.text.tokenizer import Piece


@dataclass(frozen=True)
class Job:
    """One input, ready for an engine. `pieces` are those of the source, if it is a text and attention is told. The text
    goes on from what the ids `after` spell. `next_tokens` is how many tokens are told that might come first."""

    entry: Entry
    source: Tokens | Pixels
    emit: Emit
    options: DecodingOptions
    pieces: Sequence[Piece] = ()
    after: Sequence[int] = ()
    next_tokens: int = 0

    @property
    def stops(self) -> list[str]:
        return self.options.stop or []


@dataclass(frozen=True)
class Delta:
    """What came of a sentence: text that no later token changes, and the tokens of it if they are told."""

    text: str
    tokens: list[EmittedToken] | None = None


@dataclass(frozen=True)
class Spoken:
    """A result, and the tokens that were emitted for it, those after a stop string too."""

    result: SentenceResult
    emitted_tokens: int


class Transcript:
    """A sentence while it is emitted."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tokens: list[int] = []
        self._log_probs: list[float] = []
        self._alternatives: list[list[tuple[int, float]]] = []
        self._attention: list[list[float]] = []
        self._text = ""  # told
        self._told = 0  # tokens
        self.is_stopped = False

    def hear(self, progress: Progress) -> Iterator[Delta]:
        """Take tokens; what each of them lets be told. After a stop string nothing more is."""
        for index, token in enumerate(progress.tokens):
            self._tokens.append(token)
            self._log_probs.append(progress.log_probs[index])
            self._alternatives += progress.alternatives[index : index + 1]
            self._attention += progress.attention[index : index + 1]
            settled = self._job.entry.target_tokenizer.settled(self._tokens, after=self._job.after)
            if first_stop(settled, self._job.stops) is not None:
                self.is_stopped = True
                return
            if delta := self._tell(without_partial_stop(settled, self._job.stops).rstrip()):
                yield delta

    def _tell(self, text: str) -> Delta | None:
        """Tokens are told when no text of theirs is held back."""
        tokens = None
        tokenizer = self._job.entry.target_tokenizer
        if self._job.options.logprobs is not None and text == tokenizer.decode(self._tokens, after=self._job.after):
            tokens = _told(self._job, self._hypothesis())[self._told :]
            self._told = len(self._log_probs)
        return self._delta(text, tokens)

    def _delta(self, text: str, tokens: list[EmittedToken] | None) -> Delta | None:
        new, self._text = text[len(self._text) :], text
        return Delta(new, tokens) if new or tokens else None

    def end(self, emitted: Emitted | None = None) -> tuple[Delta | None, Spoken]:
        """The rest that is to be told, and the whole: from what the engine says at the end, or as far as it came."""
        if emitted is None:
            emitted = Emitted(0, [self._hypothesis()])
        spoken = spoken_of(self._job, emitted, told=self._told)
        tokens = spoken.result.tokens
        return self._delta(spoken.result.text, tokens[self._told :] if tokens is not None else None), spoken

    def _hypothesis(self) -> messages.Hypothesis:
        score = sum(self._log_probs)
        return messages.Hypothesis(
            self._tokens, self._log_probs, score, "cancelled", self._alternatives, self._attention
        )


def spoken_of(job: Job, emitted: Emitted, *, told: int = 0) -> Spoken:
    """The n-best of an input as a result; at least `told` tokens of the best are kept when a stop string cuts it."""
    best, *others = emitted.hypotheses
    sentences = [_sentence(job, best, told), *(_sentence(job, other) for other in others)]
    result = SentenceResult(
        **dict(sentences[0]),
        model=job.entry.manifest.name,
        version=job.entry.manifest.version,
        hypotheses=sentences if job.options.n_best > 1 else None,
        seed=job.emit.seed if job.options.samples else None,
        next=_next(job, best) if job.next_tokens else None,
    )
    return Spoken(result, sum(len(hypothesis.tokens) for hypothesis in emitted.hypotheses))


def _sentence(job: Job, hypothesis: messages.Hypothesis, told: int = 0) -> Hypothesis:
    tokenizer = job.entry.target_tokenizer
    text = tokenizer.unstripped(hypothesis.tokens, after=job.after)
    stop = first_stop(text, job.stops)
    if stop is None:
        text = text.rstrip()
    else:
        text = text[:stop].rstrip()
        hypothesis = _cut(hypothesis, max(told, _tokens_needed(job, hypothesis.tokens, len(text))))
    score = hypothesis.score
    if job.emit.beams == 1:
        score = sum(hypothesis.log_probs) / max(1, len(hypothesis.log_probs))
    return Hypothesis(
        text=text,
        score=min(score, 0.0),
        finish_reason=hypothesis.finish_reason,
        tokens=_told(job, hypothesis) if job.options.logprobs is not None else None,
        attention=_attention(job, hypothesis) if job.options.attention else None,
    )


def _tokens_needed(job: Job, tokens: list[int], length: int) -> int:
    """The fewest tokens whose text has `length` characters."""
    needed = len(tokens)
    while needed and len(job.entry.target_tokenizer.settled(tokens[: needed - 1], after=job.after)) >= length:
        needed -= 1
    return needed


def _cut(hypothesis: messages.Hypothesis, length: int) -> messages.Hypothesis:
    return messages.Hypothesis(
        hypothesis.tokens[:length],
        hypothesis.log_probs[:length],
        hypothesis.score,
        "stop",
        hypothesis.alternatives[:length],
        hypothesis.attention[:length],
    )


def _ids(job: Job, hypothesis: messages.Hypothesis) -> list[int]:
    """Its tokens, with the end if that was emitted."""
    return [*hypothesis.tokens, decoding_of(job.entry).eos][: len(hypothesis.log_probs)]


def _told(job: Job, hypothesis: messages.Hypothesis) -> list[EmittedToken]:
    piece, most = job.entry.target_tokenizer.piece, job.options.logprobs or 0
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


def _next(job: Job, hypothesis: messages.Hypothesis) -> list[NextToken]:
    """What might have come first, the most probable before the others."""
    piece = job.entry.target_tokenizer.piece
    first = hypothesis.alternatives[0][: job.next_tokens] if hypothesis.alternatives else []
    return [NextToken(text=piece(token), probability=min(1.0, math.exp(value))) for token, value in first]


def _attention(job: Job, hypothesis: messages.Hypothesis) -> WordAlignment | ImageAttention:
    target = [job.entry.target_tokenizer.piece(token) for token in _ids(job, hypothesis)]
    weights = [[round(weight, 5) for weight in row] for row in hypothesis.attention]
    if isinstance(job.source, Tokens):
        source = [SourceToken(text=piece.text, start=piece.start, end=piece.end) for piece in job.pieces]
        return WordAlignment(source=source, target=target, weights=weights)
    side = math.isqrt(len(weights[0])) if weights else 0  # the feature map of a square image is square
    grids = [[row[start : start + side] for start in range(0, side * side, side)] for row in weights]
    return ImageAttention(rows=side, columns=side, target=target, weights=grids)
