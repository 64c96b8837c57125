"""Texts to source ids: checked one by one, before any of them costs the engine anything."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong, UnknownWord
from app.tasks.catalog import Entry

_INLINE_CHARS = 4000  # more are tokenised in a thread, so that the event loop goes on


@dataclass(frozen=True)
class TextLimits:
    """`chars` is the longest text in characters."""

    chars: int


def check_texts(texts: Sequence[str], limits: TextLimits) -> None:
    """Raises EmptyInput or InputTooLong with the place of the first text that is refused."""
    for index, text in enumerate(texts):
        check_length(text, index, limits)
        if not text.strip():
            raise EmptyInput(f"inputs[{index}] is empty; send a text with at least one character", input=index)


def check_length(text: str, index: int, limits: TextLimits) -> None:
    """Raises InputTooLong with the text's place."""
    if len(text) > limits.chars:
        raise InputTooLong(
            f"inputs[{index}] has {len(text)} characters; at most {limits.chars} are taken: split the text",
            input=index,
            limit=limits.chars,
        )


def source_ids(entry: Entry, text: str) -> list[int]:
    """What a model reads for a text."""
    return entry.tokenizer.encode(text)


def prefix_ids(entry: Entry, text: str) -> list[int]:
    """What a model reads for a text that it is to go on with."""
    return entry.tokenizer.encode_prefix(text)


async def encode_texts(
    texts: Sequence[str], entries: Sequence[Entry], encode: Callable[[Entry, str], list[int]] = source_ids
) -> list[Tokens]:
    """Source ids of each text for its model. Raises EmptyInput or InputTooLong, as `check_texts` does."""
    if sum(map(len, texts)) <= _INLINE_CHARS:
        return _encode(texts, entries, encode)
    return await asyncio.to_thread(_encode, texts, entries, encode)


def _encode(texts: Sequence[str], entries: Sequence[Entry], encode: Callable[[Entry, str], list[int]]) -> list[Tokens]:
    sources = []
    for index, (text, entry) in enumerate(zip(texts, entries, strict=True)):
        try:
            ids = encode(entry, text)
        except UnknownWord as error:
            raise UnknownWord(
                f"inputs[{index}]: {error.detail} of {entry.manifest.name}", input=index, **error.facts
            ) from None
        most = entry.manifest.limits.source_tokens
        if not ids:
            raise EmptyInput(
                f"inputs[{index}] has nothing that {entry.manifest.name} can read; send a text with words", input=index
            )
        if most is not None and len(ids) > most:
            raise InputTooLong(
                f"inputs[{index}] has {len(ids)} tokens; {entry.manifest.name} takes at most {most}: split the text",
                input=index,
                limit=most,
            )
        sources.append(Tokens(ids))
    return sources
