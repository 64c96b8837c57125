"""Streams: their tokens join to the plain answer, they end with the result, and leaving one closes its connection."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from unroll_client import AsyncUnroll, InvalidRequest, Overloaded, ServiceTimedOut, TimedOut, Unroll

from tests.client.both_clients import KINDS, Kind, result_of, streamed
from tests.service.serving import metric, until

kinds = pytest.mark.parametrize("kind", KINDS)
TEXTS = ["a good film", "save the file", "open the file"]


@kinds
@pytest.mark.parametrize("task", ["translate", "complete", "caption"])
def test_tokens_joined_are_the_result(kind: Kind, server: str, photo: Path, task: str) -> None:
    source = photo if task == "caption" else TEXTS[0]
    tokens, result = streamed(
        kind, server, lambda client: getattr(client, f"stream_{task}")(source, max_tokens=12, logprobs=1)
    )
    assert len(tokens) > 1
    assert "".join(map(str, tokens)) == result.text
    assert {token.input for token in tokens} == {0}
    plain = result_of(kind, server, lambda client: getattr(client, task)(source, max_tokens=12, logprobs=1))
    assert result.text == plain.text
    assert result.usage == plain.usage
    assert [item.text for token in tokens for item in token.tokens] == [item.text for item in plain.tokens]


@kinds
def test_streams_of_lists_are_mixed_and_end_in_a_list(kind: Kind, server: str) -> None:
    tokens, results = streamed(
        kind, server, lambda client: client.stream_translate(TEXTS, max_tokens=60, min_tokens=60)
    )
    places = [token.input for token in tokens]
    assert places != sorted(places)
    for place, result in enumerate(results):
        assert "".join(token.text for token in tokens if token.input == place) == result.text
    assert results.usage.inputs == 3


def test_result_waits_for_the_rest(server: str) -> None:
    with Unroll(server) as client:
        stream = client.stream_translate("save the file", max_tokens=40)
        first = next(stream)
        result = stream.result()
        assert result.text.startswith(first.text)
        assert result == stream.result()
        assert list(stream) == []


@kinds
def test_an_error_before_the_start_is_raised_by_the_first_token(kind: Kind, server: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        streamed(kind, server, lambda client: client.stream_translate([TEXTS[0], ""]))
    assert refusal.value.input == 1
    with pytest.raises(InvalidRequest, match="beams"):
        streamed(kind, server, lambda client: client.stream_translate(TEXTS[0], beams=2))


@kinds
def test_failure_after_the_start_is_raised(kind: Kind, server: str) -> None:
    """The time is too short for some of the many inputs."""
    failure = None
    for _ in range(30):
        try:
            streamed(
                kind, server, lambda client: client.stream_translate(["save the file"] * 64, timeout_ms=1), retries=1
            )
        except ServiceTimedOut as error:
            failure = error
            break
        except Overloaded:  # the service saw in advance that the time is too short
            time.sleep(0.1)
    assert failure is not None
    assert failure.status == 504
    assert isinstance(failure, TimedOut)


def leave_by_closing(client: Unroll, endless: str) -> None:
    stream = client.stream_translate([endless] * 2, max_tokens=4000, min_tokens=4000)
    next(stream)
    stream.close()


def leave_the_block(client: Unroll, endless: str) -> None:
    with client.stream_translate([endless] * 2, max_tokens=4000, min_tokens=4000) as stream:
        next(stream)


def leave_the_loop(client: Unroll, endless: str) -> None:
    for token in client.stream_translate([endless] * 2, max_tokens=4000, min_tokens=4000):
        assert token.text
        break


@pytest.mark.parametrize("leave", [leave_by_closing, leave_the_block, leave_the_loop])
def test_leaving_a_stream_cancels_it(server: str, endless: str, leave: Any) -> None:
    until(lambda: metric(server, "unroll_engine_running") == 0)
    cancelled = metric(server, "unroll_engine_cancelled_total")
    with Unroll(server) as client:
        leave(client, endless)
        until(lambda: metric(server, "unroll_engine_cancelled_total") >= cancelled + 2)
        until(lambda: metric(server, "unroll_engine_running") == 0)
        assert client.sentiment("a good film").label  # the client still works


async def leave_by_aclosing(client: AsyncUnroll, server: str, endless: str) -> None:
    async with client.stream_translate([endless] * 2, max_tokens=4000, min_tokens=4000) as stream:
        await anext(stream)


async def be_cancelled_in_a_stream(client: AsyncUnroll, server: str, endless: str) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in client.stream_translate([endless] * 2, max_tokens=4000, min_tokens=4000):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def be_cancelled_in_a_call(client: AsyncUnroll, server: str, endless: str) -> None:
    task = asyncio.create_task(client.translate([endless] * 2, max_tokens=4000, min_tokens=4000))
    while await asyncio.to_thread(metric, server, "unroll_engine_running") < 2:
        assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("leave", [leave_by_aclosing, be_cancelled_in_a_stream, be_cancelled_in_a_call])
def test_leaving_with_asyncio_cancels(server: str, endless: str, leave: Any) -> None:
    until(lambda: metric(server, "unroll_engine_running") == 0)
    cancelled = metric(server, "unroll_engine_cancelled_total")

    async def run() -> None:
        async with AsyncUnroll(server) as client:
            await leave(client, server, endless)
            await asyncio.to_thread(until, lambda: metric(server, "unroll_engine_cancelled_total") >= cancelled + 2)
            assert (await client.sentiment("a good film")).label

    asyncio.run(run())


@kinds
def test_the_timeout_of_the_client_returns_partial_answers(kind: Kind, server: str, endless: str) -> None:
    """The client sends the remaining time, so the service stops before the client does."""
    many = [endless] * 12  # seconds of work, and little to send at the end
    options = {"max_tokens": 4000, "min_tokens": 4000, "no_repeat_ngram_size": 3}
    results = result_of(kind, server, lambda client: client.translate(many, **options), timeout=3)
    assert "deadline" in {result.finish_reason for result in results}
    _, results = streamed(kind, server, lambda client: client.stream_translate(many, **options), timeout=3)
    assert "deadline" in {result.finish_reason for result in results}
