"""Both clients asked in one way, so that each test is of both."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from unroll_client import AsyncUnroll, Unroll

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")


def asked(kind: Kind, url: str, question: Callable[[Any], Any], **terms: Any) -> Any:
    """What a client of the kind, made on the terms, answers to the question."""
    if kind == "sync":
        with Unroll(url, **terms) as client:
            return question(client)

    async def run() -> Any:
        async with AsyncUnroll(url, **terms) as client:
            return await question(client)

    return asyncio.run(run())


def streamed(kind: Kind, url: str, question: Callable[[Any], Any], **terms: Any) -> tuple[list[Any], Any]:
    """The tokens of a stream, and its result."""
    if kind == "sync":
        with Unroll(url, **terms) as client, question(client) as stream:
            return list(stream), stream.result()

    async def run() -> tuple[list[Any], Any]:
        async with AsyncUnroll(url, **terms) as client, question(client) as stream:
            return [token async for token in stream], await stream.result()

    return asyncio.run(run())
