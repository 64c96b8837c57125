"""Emitted tokens to a sentence, the same for captioning and translation."""

from app.engine.messages import Emitted
from app.errors import InputTooLong
from app.store.manifest import Decoding
from app.tasks.catalog import Entry
from app.tasks.results import SentenceResult


def tokens_to_emit(entry: Entry, asked: int | None) -> int:
    """`max_tokens` of a request, or the model's own. Raises InputTooLong when the model emits fewer at most."""
    decoding, most = decoding_of(entry), entry.manifest.limits.max_tokens
    if asked is not None and most is not None and asked > most:
        raise InputTooLong(f"max_tokens is {asked}; {entry.manifest.name} emits at most {most}", limit=most)
    return asked or decoding.max_tokens


def decoding_of(entry: Entry) -> Decoding:
    assert entry.manifest.decoding is not None  # of every model that emits, see `Manifest`
    return entry.manifest.decoding


def sentence_of(entry: Entry, emitted: Emitted) -> SentenceResult:
    """Text and mean log-probability of what an engine emitted."""
    score = sum(emitted.log_probs) / len(emitted.log_probs)
    return SentenceResult(
        text=entry.tokenizer.decode(emitted.tokens),
        score=min(score, 0.0),
        finish_reason=emitted.finish_reason,
        model=entry.manifest.name,
        version=entry.manifest.version,
    )
