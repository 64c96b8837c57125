"""Texts to source ids: checked one by one, before any of them costs the engine anything."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.messages import Tokens
from app.errors import EmptyInput, InputTooLong
from app.tasks.catalog import Entry

_INLINE_CHARS = 4000  # more are tokenised in a thread, so that the event loop goes on


@dataclass(frozen=True)
class TextLimits:
    """`chars` is the longest text in characters."""

    chars: int


def check_texts(texts: Sequence[str], limits: TextLimits) -> None:
    """Raises EmptyInput or InputTooLong with the place of the first text that is refused."""
    for index, text in enumerate(texts):
        if len(text) > limits.chars:
            raise InputTooLong(
                f"inputs[{index}] has {len(text)} characters; at most {limits.chars} are taken: split the text",
                input=index,
                limit=limits.chars,
            )
        if not text.strip():
            raise EmptyInput(f"inputs[{index}] is empty; send a text with at least one character", input=index)


async def encode_texts(texts: Sequence[str], entries: Sequence[Entry]) -> list[Tokens]:
    """Source ids of each text for its model. Raises EmptyInput or InputTooLong, as `check_texts` does."""
    if sum(map(len, texts)) <= _INLINE_CHARS:
        return _encode(texts, entries)
    return await asyncio.to_thread(_encode, texts, entries)


def _encode(texts: Sequence[str], entries: Sequence[Entry]) -> list[Tokens]:
    sources = []
    for index, (text, entry) in enumerate(zip(texts, entries, strict=True)):
        ids = entry.tokenizer.encode(text)
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
