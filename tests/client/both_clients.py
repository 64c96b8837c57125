"""One call through either client, so that a test covers both."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from unroll_client import AsyncUnroll, Unroll

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")


def result_of(kind: Kind, url: str, call: Callable[[Any], Any], **arguments: Any) -> Any:
    """The result of a call of a client with these arguments."""
    if kind == "sync":
        with Unroll(url, **arguments) as client:
            return call(client)

    async def run() -> Any:
        async with AsyncUnroll(url, **arguments) as client:
            return await call(client)

    return asyncio.run(run())


def streamed(kind: Kind, url: str, call: Callable[[Any], Any], **arguments: Any) -> tuple[list[Any], Any]:
    """The tokens of a stream, and its result."""
    if kind == "sync":
        with Unroll(url, **arguments) as client, call(client) as stream:
            return list(stream), stream.result()

    async def run() -> tuple[list[Any], Any]:
        async with AsyncUnroll(url, **arguments) as client, call(client) as stream:
            return [token async for token in stream], await stream.result()

    return asyncio.run(run())
