"""The source kind `text`: texts to token ids, all checked before the first one reaches an engine."""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong, UnknownWord
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.options import SentenceOptions, TaskOptions, TextOptions
from app.tasks.sources.language import language_of
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader, SourceKind
from app.text.sentences import Span, most_sentences, sentences_of
from app.text.tokenizer import Piece, TextTokenizer
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
            if len(text) > limits.text_chars and not _truncates(options):
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
        if _truncates(options):
            most = reader.limits.text_chars
            inputs = [
                text[-most:] if self.continues or entry.tokenizer.reads_end else text[:most]
                for text, entry in zip(inputs, entries, strict=True)
            ]
        whole_steps = reader.limits.whole_steps
        places = [Reading(entry, index, options, pieces, whole_steps) for index, entry in enumerate(entries)]
        if _is_read_quickly(inputs, entries, options):
            return self._read_all(inputs, places)
        return await asyncio.to_thread(self._read_all, inputs, places)

    def _read_all(self, texts: Sequence[str], places: Sequence["Reading"]) -> list[ReadSource]:
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

    def _read(self, text: str, place: "Reading") -> ReadSource:
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
        return dataclasses.replace(_whole(text, place, first), following=following)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read for: its model, its index in the request, the options, and whether its pieces are needed.
    `whole_steps` is the limit of a text that a model reads as a whole."""

    entry: Entry
    index: int
    options: TaskOptions
    pieces: bool
    whole_steps: int

    @property
    def splits(self) -> bool:
        """Whether each sentence is read on its own."""
        return _splits(self.entry, self.options)

    @property
    def needs_pieces(self) -> bool:
        """Whether the answer shows tokens of the source, or words in place of unknown ones."""
        decoding = self.entry.manifest.decoding
        return self.pieces or (decoding is not None and decoding.replace_unknown is not None)

    @property
    def truncates(self) -> bool:
        """Whether a text that is too long is cut."""
        return _truncates(self.options)

    @property
    def most(self) -> int | None:
        """The number of tokens to cut a text to."""
        return self.limit if self.truncates else None

    @property
    def limit(self) -> int | None:
        """The most tokens of a text: the model's limit, and the service's for one that is read as a whole."""
        manifest = self.entry.manifest
        encoder, of_model = manifest.architecture.encoder, manifest.limits.source_tokens
        if encoder.kind == "image" or encoder.is_divisible:
            return of_model
        most = min(self.whole_steps, max(encoder.whole_steps(self.whole_steps), manifest.fixed_source or 0))
        return most if of_model is None else min(of_model, most)

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer of the model."""
        return self.entry.tokenizer

    def check_not_empty(self, text: str) -> None:
        """Raises EmptyInput for an empty text, unless the model reads it."""
        if is_blank(text) and not self.tokenizer.reads_empty:
            raise EmptyInput(
                f"inputs[{self.index}] is empty; send a text with at least one character", input=self.index
            )

    def without_tokens(self) -> EmptyInput:
        """The error of a text without tokens."""
        name = self.entry.manifest.name
        return EmptyInput(f"inputs[{self.index}] has no token of {name}; send a text with words", input=self.index)

    def refused(self, error: UnknownWord | InputTooLong) -> UnknownWord | InputTooLong:
        """The error of an unknown word, or of a text that cleaning makes too long, with the input and the model."""
        name = self.entry.manifest.name
        return type(error)(f"inputs[{self.index}]: {error.detail} of {name}", input=self.index, **error.facts)

    def check_tokens(self, ids: Sequence[int], number: int | None = None) -> None:
        """Raises InputTooLong for a text, or for sentence `number` of it."""
        manifest, most = self.entry.manifest, self.limit
        if most is not None and len(ids) > most:
            what = f"inputs[{self.index}]" if number is None else f"sentence {number + 1} of inputs[{self.index}]"
            raise InputTooLong(
                f"{what} has {len(ids)} tokens; the limit of {manifest.name} is {most}: {self.options.too_long}",
                input=self.index,
                limit=most,
            )


def _whole(text: str, place: Reading, span: Span | None = None, number: int = 0) -> ReadSource:
    """A text, or one sentence of it."""
    entry, start = place.entry, span.start if span else 0
    own = text[start : span.end] if span else text
    try:
        ids = _ids(entry, own, place.most)
    except (UnknownWord, InputTooLong) as error:
        raise place.refused(error) from None
    if not ids:
        raise place.without_tokens()
    place.check_tokens(ids, number if span else None)
    pieces = entry.tokenizer.pieces(own, most=place.most) if place.needs_pieces else []
    moved = [Piece(piece.text, piece.start + start, piece.end + start) for piece in pieces] if start else pieces
    return ReadSource(Tokens(ids), moved, part=number, text=text if pieces else "")


def _ids(entry: Entry, text: str, most: int | None) -> list[int]:
    """The ids of a text that is read to its end. A language model reads what it would continue."""
    if not entry.manifest.continues:
        return entry.tokenizer.encode(text, most=most)
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
    counts = (
        most_sentences(text) if _splits(entry, options) else 1 for text, entry in zip(texts, entries, strict=True)
    )
    return sum(counts) <= _INLINE_SENTENCES


def _splits(entry: Entry, options: TaskOptions) -> bool:
    wanted = options.split_sentences if isinstance(options, SentenceOptions) else None
    return entry.manifest.one_sentence if wanted is None else wanted


def _truncates(options: TaskOptions) -> bool:
    return isinstance(options, TextOptions) and options.truncate
