"""The source kind `text`: texts to token ids, all checked before the first one reaches an engine."""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong, UnknownWord
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.sources.language import language_of
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader, SourceKind

_INLINE_CHARS = 4000  # a thread tokenises longer texts, which would block the event loop


class TextSource(SourceKind[str]):
    """A text. With `continues` the network reads all but the last token; that one is the decoder's first input."""

    kind = "text"

    def __init__(self, *, continues: bool = False) -> None:
        self.continues = continues

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `SourceKind.columns`."""
        return (Column("text_input", "text"),)

    def from_column(self, column: Column, values: Sequence[Any], shape: Sequence[int]) -> Sequence[str]:
        """See `SourceKind.from_column`."""
        return values

    def check(self, inputs: Sequence[str], limits: SourceLimits) -> None:
        """See `SourceKind.check`. Errors have the index of the first refused text. A text to continue may be empty."""
        for index, text in enumerate(inputs):
            if len(text) > limits.text_chars:
                raise InputTooLong(
                    f"inputs[{index}] has {len(text)} characters; the limit is {limits.text_chars}: split the text",
                    input=index,
                    limit=limits.text_chars,
                )
            if not self.continues and not text.strip():
                raise EmptyInput(f"inputs[{index}] is empty; send a text with at least one character", input=index)

    def language_of(self, item: str) -> str | None:
        """The language of the script of the text."""
        return language_of(item)

    async def read(
        self,
        inputs: Sequence[str],
        entries: Sequence[Entry],
        reader: Reader,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`."""
        if sum(map(len, inputs)) <= _INLINE_CHARS:
            return self._read_all(inputs, entries, pieces)
        return await asyncio.to_thread(self._read_all, inputs, entries, pieces)

    def _read_all(self, texts: Sequence[str], entries: Sequence[Entry], pieces: bool) -> list[ReadSource]:
        read = self._continued if self.continues else self._whole
        return [
            read(text, entry, index, pieces) for index, (text, entry) in enumerate(zip(texts, entries, strict=True))
        ]

    def _whole(self, text: str, entry: Entry, index: int, pieces: bool) -> ReadSource:
        try:
            ids = entry.tokenizer.encode(text)
        except UnknownWord as error:
            raise _of_input(error, entry, index) from None
        if not ids:
            raise EmptyInput(
                f"inputs[{index}] has no token of {entry.manifest.name}; send a text with words", input=index
            )
        _check_tokens(ids, entry, index)
        return ReadSource(Tokens(ids), entry.tokenizer.pieces(text) if pieces else ())

    def _continued(self, text: str, entry: Entry, index: int, pieces: bool) -> ReadSource:
        try:
            ids = entry.tokenizer.encode_prefix(text.rstrip())
        except UnknownWord as error:
            raise _of_input(error, entry, index) from None
        _check_tokens(ids, entry, index)
        *prefix, first = ids
        if not prefix:
            raise EmptyInput(
                f"inputs[{index}] is empty, but {entry.manifest.name} needs at least one word to continue", input=index
            )
        ends_within_word = text != "" and not text[-1].isspace()
        after = entry.tokenizer.end_of(ids) if ends_within_word else ()
        return ReadSource(Tokens(prefix), first=first, after=after)


def _of_input(error: UnknownWord, entry: Entry, index: int) -> UnknownWord:
    return UnknownWord(f"inputs[{index}]: {error.detail} of {entry.manifest.name}", input=index, **error.facts)


def _check_tokens(ids: list[int], entry: Entry, index: int) -> None:
    most = entry.manifest.limits.source_tokens
    if most is not None and len(ids) > most:
        raise InputTooLong(
            f"inputs[{index}] has {len(ids)} tokens; the limit of {entry.manifest.name} is {most}: split the text",
            input=index,
            limit=most,
        )
