"""The source kind `text`: texts to token ids, all checked before the first one reaches an engine."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong, UnknownWord
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.language import language_of
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.read_on import read_on
from app.tasks.sources.reading import Reading, splits, truncates
from app.tasks.sources.source_kind import Reader, SourceKind
from app.text.sentences import Span, most_sentences, sentences_of
from app.text.tokenizer import Piece
from app.text.white_space import ends_in_space, is_blank

MOST_SENTENCES = 1024  # in an input, beside its first one
MOST_IN_REQUEST = 8192  # beside the first of each input
_INLINE_CHARS, _INLINE_SENTENCES = 4000, 64  # a thread tokenises more, which would block the event loop


class TextSource(SourceKind[str]):
    """A text. With `continues` the network reads all but the last token; that one is the decoder's first input. With
    `whole` a text of several sentences is read as one by every model."""

    kinds = ("text",)
    items = (str,)

    def __init__(self, *, continues: bool = False, whole: bool = False) -> None:
        self.continues = continues
        self._whole = whole

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`."""
        return (Column("text_input", "text"),)

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[str]:
        """See `SourceKind.from_column`."""
        return values

    def check(self, inputs: Sequence[str], limits: SourceLimits, options: TaskOptions) -> None:
        """See `SourceKind.check`. Errors have the index of the first refused text."""
        for index, text in enumerate(inputs):
            if len(text) > limits.text_chars and not truncates(options):
                raise InputTooLong(
                    f"inputs[{index}] has {len(text)} characters; the limit is {limits.text_chars}: {options.too_long}",
                    input=index,
                    limit=limits.text_chars,
                )

    def language_of(self, item: str) -> str | None:
        """The language of the script of the text."""
        return language_of(item)

    async def read(
        self,
        inputs: Sequence[str],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`."""
        if truncates(options):
            most = reader.limits.text_chars
            inputs = [
                text[-most:] if self.continues or entry.tokenizer.reads_end else text[:most]
                for text, entry in zip(inputs, entries, strict=True)
            ]
        whole_steps = reader.limits.whole_steps
        places = [
            Reading(entry, index, options, pieces, whole_steps, reader.carrying) for index, entry in enumerate(entries)
        ]
        if _is_read_quickly(inputs, entries, options):
            return self._read_all(inputs, places)
        return await asyncio.to_thread(self._read_all, inputs, places)

    def _read_all(self, texts: Sequence[str], places: Sequence[Reading]) -> list[ReadSource]:
        read: list[ReadSource] = []
        count = 0
        for index, (text, place) in enumerate(zip(texts, places, strict=True)):
            read.append(self._read(text, place))
            count += len(read[-1].following)
            if count > MOST_IN_REQUEST:
                raise InputTooLong(
                    f"the inputs up to inputs[{index}] have {count} sentences beside the first of each; the limit of a "
                    f"request is {MOST_IN_REQUEST}: send several requests, or set split_sentences to false",
                    input=index,
                    limit=MOST_IN_REQUEST,
                )
        return read

    def _read(self, text: str, place: Reading) -> ReadSource:
        if place.carrying.is_on:
            return read_on(text, place, continues=self.continues)
        if self.continues:
            return _continued(text, place)
        place.check_not_empty(text)
        if self._whole or not place.splits:
            return _whole(text, place)
        first, *others = sentences_of(text) or [Span(0, len(text))]
        if len(others) > MOST_SENTENCES:
            raise InputTooLong(
                f"inputs[{place.index}] has {len(others)} sentences beside its first one; the limit is "
                f"{MOST_SENTENCES}: split the text, or set split_sentences to false",
                input=place.index,
                limit=MOST_SENTENCES,
            )
        following, before = [], first
        for number, span in enumerate(others, 1):
            following.append((text[before.end : span.start], _whole(text, place, span, number)))
            before = span
        return msgspec.structs.replace(_whole(text, place, first), following=following)


def _whole(text: str, place: Reading, span: Span | None = None, number: int = 0) -> ReadSource:
    """A text, or one sentence of it."""
    entry, start = place.entry, span.start if span else 0
    own = text[start : span.end] if span else text
    try:
        ids = _ids(entry, own, place.most, place.before)
    except (UnknownWord, InputTooLong) as error:
        raise place.refused(error) from None
    if not ids:
        raise place.without_tokens()
    place.check_tokens(ids, number if span else None)
    pieces = entry.tokenizer.pieces(own, most=place.most, before=place.before) if place.needs_pieces else []
    moved = [Piece(piece.text, piece.start + start, piece.end + start) for piece in pieces] if start else pieces
    return ReadSource(Tokens(ids), moved, part=number, text=text if pieces else "")


def _ids(entry: Entry, text: str, most: int | None, before: Sequence[int]) -> list[int]:
    """The ids of a text that is read to its end. A language model reads what it would continue."""
    if not entry.manifest.continues:
        return entry.tokenizer.encode(text, most=most, before=before)
    return entry.tokenizer.encode_prefix(entry.tokenizer.begun(text))[:most]


def _continued(text: str, place: Reading) -> ReadSource:
    entry = place.entry
    try:
        ids = entry.tokenizer.encode_prefix(entry.tokenizer.begun(text), most=place.most)
    except (UnknownWord, InputTooLong) as error:
        raise place.refused(error) from None
    place.check_tokens(ids)
    own = len(ids) - len(entry.manifest.tokenizer.prepend) if entry.manifest.tokenizer else len(ids)
    if not own and len(ids) < 2 and not (ids and entry.tokenizer.reads_empty):
        raise EmptyInput(
            f"inputs[{place.index}] is empty, but {entry.manifest.name} needs at least one word to continue",
            input=place.index,
        )
    *prefix, first = ids
    ends_within_word = not (is_blank(text) or ends_in_space(text))
    after = entry.tokenizer.end_of(ids) if ends_within_word or entry.tokenizer.reads_spaces else ()
    source = Tokens(prefix) if prefix else Tokens([first], unread=True)
    return ReadSource(source, first=first, after=after)


def _is_read_quickly(texts: Sequence[str], entries: Sequence[Entry], options: TaskOptions) -> bool:
    """Whether texts are so short and so few that they are read in less than a few milliseconds."""
    if len(texts) > _INLINE_SENTENCES or sum(map(len, texts)) > _INLINE_CHARS:
        return False
    if not all(entry.tokenizer.cleans_quickly for entry in entries):
        return False
    counts = (most_sentences(text) if splits(entry, options) else 1 for text, entry in zip(texts, entries, strict=True))
    return sum(counts) <= _INLINE_SENTENCES
