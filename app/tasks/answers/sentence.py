"""A decoded hypothesis to a sentence: its text, cut at a stop string, with tokens and attention on request."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from app.engine import protocol
from app.engine.protocol import Decode, FinishReason, Frames, Pixels, Series, Tokens
from app.tasks.answers.attention_weights import GridAttention, TextAttention, join_attention
from app.tasks.answers.decoding_options import DecodingOptions, decoding_of
from app.tasks.answers.emitted_tokens import EmittedTokens, join_tokens
from app.tasks.answers.source_words import SourceWords
from app.tasks.job import Job
from app.text.stops import first_stop


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with what its request asks for. `places` counts its log-probabilities; `ids` are its tokens;
    `confidence` is that of a calibrated model, `runs` are the members of a TokenExplanation."""

    text: str
    score: float
    places: int
    finish_reason: FinishReason
    tokens: EmittedTokens | None
    attention: TextAttention | GridAttention | None
    ids: list[int]
    confidence: float | None
    runs: Sequence[dict[str, Any]] = ()

    @property
    def has_pieces(self) -> bool:
        """Whether it has parts that become JSON piece by piece."""
        return self.tokens is not None or self.attention is not None or bool(self.runs)


def decoding_options_of(job: Job) -> DecodingOptions:
    """The options of a job that decodes tokens."""
    assert isinstance(job.options, DecodingOptions)
    return job.options


def sentence_of(job: Job, hypothesis: protocol.Hypothesis, *, sent_tokens: int = 0) -> Sentence:
    """The sentence of a hypothesis. A stop string cuts it, but keeps `sent_tokens`."""
    options = decoding_options_of(job)
    words = SourceWords(job)
    words.add(hypothesis.tokens, hypothesis.attention)
    ids = [*job.read.unshown, *hypothesis.tokens]
    text = words.put_into(job.entry.target_tokenizer.unstripped(ids, after=job.read.after))
    stop = first_stop(text, options.stop or ())
    if stop is not None:
        text = text[:stop].rstrip()
        hypothesis = _cut(hypothesis, max(sent_tokens, _tokens_needed(job, hypothesis.tokens, words, len(text))))
    elif hypothesis.finish_reason == "stop" or not job.entry.manifest.continues:
        text = text.rstrip()  # a completion that was cut by its length continues after its last space
    elif job.read.next is not None:
        text = job.entry.target_tokenizer.unstripped(ids[: shown_ids(job, ids)], after=job.read.after)
    score = hypothesis.score
    if _is_one_beam(job):
        score = _mean_log_prob(hypothesis)
    return Sentence(
        text,
        min(score, 0.0),
        len(hypothesis.log_probs),
        hypothesis.finish_reason,
        emitted_tokens(job, hypothesis) if options.logprobs is not None else None,
        _attention(job, hypothesis) if options.attention else None,
        hypothesis.tokens,
        _confidence(job, hypothesis),
    )


def shown_ids(job: Job, ids: Sequence[int]) -> int:
    """How many decoded ids are shown by an answer that a later one continues from: their text no longer changes."""
    tokenizer, after = job.entry.target_tokenizer, job.read.after
    settled = tokenizer.settled(ids, after=after)
    count = len(ids)
    while count and not settled.startswith(tokenizer.unstripped(ids[:count], after=after)):
        count -= 1
    return count


def join_sentences(job: Job, sentences: Sequence[Sentence], separators: Sequence[str]) -> Sentence:
    """The sentences of an input as one, with a separator between two."""
    text = sentences[0].text + "".join(
        between + one.text for between, one in zip(separators, sentences[1:], strict=True)
    )
    score = sum(one.score for one in sentences)
    if _is_one_beam(job):
        score = sum(one.score * one.places for one in sentences) / max(1, sum(one.places for one in sentences))
    reasons = {one.finish_reason for one in sentences}
    order: tuple[FinishReason, ...] = ("deadline", "cancelled", "length", "stop")
    tokens = [one.tokens for one in sentences if one.tokens is not None]
    attention = [one.attention for one in sentences if isinstance(one.attention, TextAttention)]
    return Sentence(
        text,
        score,
        sum(one.places for one in sentences),
        next(reason for reason in order if reason in reasons),
        join_tokens(tokens) if tokens else None,
        join_attention(attention) if attention else None,
        [token for one in sentences for token in one.ids],
        _lowest([one.confidence for one in sentences]),
        [run | {"sentence": number} for number, one in enumerate(sentences) for run in one.runs],
    )


def emitted_tokens(job: Job, hypothesis: protocol.Hypothesis) -> EmittedTokens:
    """The tokens of a hypothesis."""
    shown = decoding_options_of(job).logprobs or 0
    ids = _ids(job, hypothesis)
    return EmittedTokens(job.entry.target_tokenizer, ids, hypothesis.log_probs, hypothesis.alternatives, shown)


def _confidence(job: Job, hypothesis: protocol.Hypothesis) -> float | None:
    """The confidence in a whole answer that was decoded as in the calibration: greedily or by a search."""
    confidence = job.entry.manifest.confidence
    is_whole = hypothesis.finish_reason in ("stop", "length")
    if confidence is None or not is_whole or decoding_options_of(job).samples:
        return None
    curve = confidence.greedy if _is_one_beam(job) else confidence.searched
    return None if curve is None else curve.at(_mean_log_prob(hypothesis))


def _mean_log_prob(hypothesis: protocol.Hypothesis) -> float:
    return sum(hypothesis.log_probs) / max(1, len(hypothesis.log_probs))


def _lowest(confidences: Sequence[float | None]) -> float | None:
    """The lowest confidence; None if one is unknown."""
    known = [one for one in confidences if one is not None]
    return min(known) if len(known) == len(confidences) else None


def _is_one_beam(job: Job) -> bool:
    return isinstance(job.request, Decode) and job.request.beams == 1


def _tokens_needed(job: Job, tokens: list[int], words: SourceWords, length: int) -> int:
    """The fewest tokens whose text has `length` characters."""
    settled, after, before = job.entry.target_tokenizer.settled, job.read.after, job.read.unshown
    return bisect_left(
        range(len(tokens)),
        length,
        key=lambda count: len(words.put_into(settled([*before, *tokens[:count]], after=after))),
    )


def _cut(hypothesis: protocol.Hypothesis, length: int) -> protocol.Hypothesis:
    return protocol.Hypothesis(
        hypothesis.tokens[:length],
        hypothesis.log_probs[:length],
        hypothesis.score,
        "stop",
        hypothesis.alternatives and hypothesis.alternatives.rows(0, length),
        hypothesis.attention and hypothesis.attention.rows(0, length),
    )


def _ids(job: Job, hypothesis: protocol.Hypothesis) -> list[int]:
    """Its tokens, with the end token if the model ended it."""
    return [*hypothesis.tokens, decoding_of(job.entry).eos][: len(hypothesis.log_probs)]


def _attention(job: Job, hypothesis: protocol.Hypothesis) -> TextAttention | GridAttention:
    target = [job.entry.target_tokenizer.piece(token) for token in _ids(job, hypothesis)]
    weights = hypothesis.attention if hypothesis.attention is not None else protocol.Table(0, b"")
    match job.read.source:
        case Tokens():
            return TextAttention(job.read.pieces, target, weights)
        case Pixels():
            return GridAttention(target, weights)
        case Series() | Frames():
            raise AssertionError("no network decodes tokens from such a source")
        case _:
            assert_never(job.read.source)
