"""The source kind `text`, read word by word: texts or lists of words to token ids, and the tokens of each word."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.protocol import Tokens
from app.errors import ContradictoryOptions, EmptyInput, InputTooLong, UnknownWord
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.language import language_of
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.read_on import read_words_on
from app.tasks.sources.reading import Reading
from app.tasks.sources.source_kind import Reader, SourceKind
from app.tasks.sources.text import TextSource
from app.text.white_space import is_blank

_INLINE_CHARS = 4000  # of a request; a thread reads more, which would block the event loop


@dataclass(frozen=True)
class Words:
    """The words of a text. They are read as the text in which one space is between two."""

    words: Sequence[str]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def places(self) -> list[tuple[int, int]]:
        """The characters of each word in `text`."""
        places, start = [], 0
        for word in self.words:
            places.append((start, start + len(word)))
            start += len(word) + 1
        return places


class WordsSource(SourceKind[str | Words]):
    """A text, whose words the tokenizer finds, or a list of words."""

    kinds = ("text",)
    items = (str, Words)

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`."""
        return (Column("text_input", "text"),)

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[str]:
        """See `SourceKind.from_column`."""
        return values

    def check(self, inputs: Sequence[str | Words], limits: SourceLimits, options: TaskOptions) -> None:
        """See `SourceKind.check`."""
        TextSource().check([_text(item) for item in inputs], limits, options)
        for index, item in enumerate(inputs):
            words = _words(item)[: limits.text_chars]  # more are cut if they are not refused
            blank = next((number for number, word in enumerate(words) if is_blank(word)), None)
            if blank is not None:
                raise EmptyInput(f"word {blank} of inputs[{index}] is empty; leave it out", input=index)

    def language_of(self, item: str | Words) -> str | None:
        """The language of the script of the text."""
        return language_of(_text(item))

    async def read(
        self,
        inputs: Sequence[str | Words],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`."""
        whole_steps = reader.limits.whole_steps
        places = [
            Reading(entry, index, options, pieces, whole_steps, reader.carrying) for index, entry in enumerate(entries)
        ]

        def read_all() -> list[ReadSource]:
            return [_read(item, place, reader.limits) for item, place in zip(inputs, places, strict=True)]

        is_short = sum(len(_text(item)) for item in inputs) <= _INLINE_CHARS
        if is_short and all(entry.tokenizer.cleans_quickly for entry in entries):
            return read_all()
        return await asyncio.to_thread(read_all)


def _read(item: str | Words, place: Reading, limits: SourceLimits) -> ReadSource:
    if place.carrying.is_on:
        if isinstance(item, Words):
            raise ContradictoryOptions(
                f"inputs[{place.index}] is a list of words, which state and return_state exclude: send a text",
                options=["state"],
            )
        return read_words_on(item, place)
    reads_end, most = place.tokenizer.reads_end, limits.text_chars
    if place.truncates and isinstance(item, Words):
        item = Words(item.words[-most:] if reads_end else item.words[:most])
    text, given = _text(item), item.places if isinstance(item, Words) else None
    if place.truncates and len(text) > most:
        first = len(text) - most if reads_end else 0
        text = text[first : first + most]
        given = given and [
            (start - first, end - first) for start, end in given if first <= start and end <= first + most
        ]
    place.check_not_empty(text)
    try:
        ids, words = place.tokenizer.encode_words(text, given, most=place.most)
    except (UnknownWord, InputTooLong) as error:
        raise place.refused(error) from None
    if not ids:
        raise place.without_tokens()
    place.check_tokens(ids)
    longest = place.tokenizer.longest
    if longest is not None and not place.truncates and (count := place.tokenizer.whole_length(text)) > longest:
        raise InputTooLong(
            f"inputs[{place.index}] has {count} tokens; the limit of {place.entry.manifest.name} is {longest}: "
            f"{place.options.too_long}",
            input=place.index,
            limit=longest,
        )
    known = [word for word in words if word is not None]
    if len(known) < len(words) and not place.truncates:
        number = words.index(None)
        raise UnknownWord(
            f"word {number} of inputs[{place.index}] has no token of {place.entry.manifest.name}; leave it out",
            input=place.index,
        )
    return ReadSource(Tokens(ids), words=known, text=text)


def _text(item: str | Words) -> str:
    return item.text if isinstance(item, Words) else item


def _words(item: str | Words) -> Sequence[str]:
    return item.words if isinstance(item, Words) else ()
