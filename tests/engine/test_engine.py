"""Client, loop, scheduler, encoding and decoding together over the inproc transport of ZeroMQ, without mocks."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import zmq

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.protocol import Decode, Decoded, Label, Pixels, Progress, Source, Terms, Tokens
from app.errors import EngineFailed, ModelUnavailable, TimedOut
from tests.conftest import engine_in_thread
from tests.engine.references import Reference, label_alone, open_shipped
from tests.tiny_store import IMAGE_SIZE, VOCABULARY

StartClient = Callable[..., AbstractAsyncContextManager[EngineClient]]
ANYHOW = Terms()
LABEL, TRANSLATE, CAPTION = "sentiment-en/1", "translate-en-ko/1", "caption-en/1"


@pytest.fixture
def start_client(tiny_store: Path) -> Iterator[StartClient]:
    """Starts an engine in a thread and a client of it; unit, slots and budget are small so that much happens."""
    engines: list[tuple[Engine, threading.Thread]] = []
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    @asynccontextmanager
    async def start(*, unit: int = 6, slots: int = 5, budget: int = 200) -> AsyncIterator[EngineClient]:
        endpoint = f"inproc://engine-{len(engines)}"
        config = EngineConfig(
            endpoint=endpoint,
            store=str(tiny_store),
            device="cpu",
            unit=unit,
            slots=slots,
            budget=budget,
            precision="float32",
        )
        engine = Engine(config, context)
        engine.load()
        thread = threading.Thread(target=engine.run)
        thread.start()
        engines.append((engine, thread))
        async with EngineClient([endpoint], context) as client:
            await until(lambda: bool(client.view.ready))
            yield client

    yield start
    for engine, thread in engines:
        engine.stop()
        thread.join()
    context.term()


async def until(condition: Callable[[], bool], *, seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def random_tokens(rng: random.Random, longest: int) -> Tokens:
    return Tokens([rng.randrange(4, VOCABULARY) for _ in range(rng.randint(1, longest))])


def random_image(rng: random.Random) -> Pixels:
    return Pixels(IMAGE_SIZE, rng.randbytes(3 * IMAGE_SIZE * IMAGE_SIZE))


def test_200_mixed_requests_are_answered_as_if_alone(start_client: StartClient, tiny_store: Path) -> None:
    rng = random.Random(7)
    work: list[tuple[str, Source, Decode]] = []
    for _ in range(200):
        kind = rng.choice([LABEL, TRANSLATE, TRANSLATE, CAPTION])
        source: Source = random_image(rng) if kind == CAPTION else random_tokens(rng, 60)
        beams = rng.choice([1, 1, 1, 4])
        work.append((kind, source, Decode(rng.randint(1, 40), beams=beams, alternatives=rng.choice([0, 3]))))

    async def send(client: EngineClient, kind: str, source: Source, options: Decode) -> list[float] | Decoded:
        await asyncio.sleep(rng.random() * 0.3)
        terms = Terms(rng.randint(-3, 3), client=rng.choice("ab"), group=rng.randint(1, 5))
        if kind == LABEL:
            assert isinstance(source, Tokens)
            return (await client.answer(kind, source, Label(), terms)).scores
        if options.beams == 1 and rng.random() < 0.5:
            return await streamed(client, kind, source, options, terms)
        return await client.answer(kind, source, options, terms)

    async def together() -> list[list[float] | Decoded]:
        async with start_client() as client:
            return await asyncio.gather(*(send(client, *item) for item in work))

    shipped = {key: open_shipped(tiny_store, key) for key in (LABEL, TRANSLATE, CAPTION)}
    reasons = set()
    for (kind, source, options), answer in zip(work, asyncio.run(together()), strict=True):
        if isinstance(answer, Decoded):
            reference = Reference(shipped[kind], source, options)
            expected = reference.search()[0] if options.beams > 1 else reference.greedy()
            [sentence] = answer.hypotheses
            assert (sentence.tokens, sentence.finish_reason) == (expected.tokens, expected.reason)
            assert len(sentence.log_probs) == len(expected.tokens) + (expected.reason == "stop")
            reasons.add(expected.reason)
        else:
            assert isinstance(source, Tokens)
            assert answer == pytest.approx(label_alone(shipped[kind], source), abs=1e-5)
    assert reasons == {"stop", "length"}


async def streamed(client: EngineClient, model: str, source: Source, options: Decode, terms: Terms = ANYHOW) -> Decoded:
    """The end of a stream, after a look at what came before it."""
    tokens: list[int] = []
    async for event in client.stream(model, source, options, terms):
        if isinstance(event, Progress):
            assert len(event.tokens) == len(event.log_probs) > 0
            tokens += event.tokens
        else:
            assert event.hypotheses[0].tokens == tokens
            return event
    raise AssertionError("the stream had no end")


def test_a_cancelled_request_runs_at_most_one_more_unit(start_client: StartClient) -> None:
    async def scenario() -> tuple[float, float]:
        async with start_client(unit=4) as client:
            call = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000), ANYHOW))
            await until(lambda: client.view.ready[0].counters["decode_steps"] > 20)
            call.cancel()
            await until(lambda: client.view.ready[0].counters["cancelled"] == 1)
            steps = client.view.ready[0].counters["decode_steps"]
            assert not any(client.view.ready[0].gauges.values())
            await asyncio.sleep(0.6)  # more than one more status
            assert client.pending == 0
            return steps, client.view.ready[0].counters["decode_steps"]

    at_cancel, later = asyncio.run(scenario())
    assert later - at_cancel <= 4


def test_short_requests_pass_a_long_one(start_client: StartClient) -> None:
    async def scenario() -> None:
        async with start_client(unit=3) as client:
            long = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000), ANYHOW))
            await until(lambda: client.view.ready[0].gauges["running"] == 1)
            answers = [await client.answer(TRANSLATE, Tokens([5, 6]), Decode(3), ANYHOW) for _ in range(5)]
            assert all(len(answer.hypotheses[0].tokens) <= 3 for answer in answers)
            assert len((await client.answer(LABEL, Tokens([4, 5]), Label(), ANYHOW)).scores) == 2
            assert not long.done()
            long.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("nobody/1", Tokens([4])),
        (LABEL, Tokens([VOCABULARY])),
        (LABEL, Tokens([-1])),
        (LABEL, Tokens([])),
        (LABEL, Pixels(IMAGE_SIZE, bytes(3 * IMAGE_SIZE**2))),
        (CAPTION, Tokens([4])),
        (CAPTION, Pixels(IMAGE_SIZE, b"short")),
    ],
)
def test_what_a_model_cannot_take_fails_alone(start_client: StartClient, model: str, source: Source) -> None:
    async def scenario() -> None:
        async with start_client() as client:
            neighbour = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(50), ANYHOW))
            with pytest.raises((EngineFailed, ModelUnavailable)):
                await client.answer(model, source, Decode(4), ANYHOW)
            assert (await neighbour).hypotheses[0].log_probs

    asyncio.run(scenario())


def test_a_front_end_that_vanishes_leaves_nothing_running(tiny_store: Path, tmp_path: Path) -> None:
    async def scenario(endpoint: str) -> None:
        async with EngineClient([endpoint]) as watcher:
            await until(lambda: bool(watcher.view.ready))
            async with EngineClient([endpoint]) as client:
                await until(lambda: bool(client.view.ready))
                call = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000), ANYHOW))
                await until(lambda: watcher.view.ready[0].gauges["running"] == 1)
            await until(lambda: watcher.view.ready[0].gauges["running"] == 0)
            call.cancel()

    with engine_in_thread(tiny_store, tmp_path) as endpoint:
        asyncio.run(scenario(endpoint))


def test_a_deadline_answers_what_there_is_and_fails_what_was_never_run(start_client: StartClient) -> None:
    async def scenario() -> None:
        async with start_client(slots=2) as client:
            soon = Terms(deadline=time.monotonic() + 0.5)
            runs = [
                asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000, beams=beams), soon))
                for beams in (1, 1)
            ]
            await until(lambda: client.view.ready[0].gauges["running"] == 2)
            waits = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9]), Decode(9, beams=2), soon))
            for answer in await asyncio.gather(*runs):
                [sentence] = answer.hypotheses
                assert sentence.finish_reason == "deadline"
                assert len(sentence.tokens) > 10
            with pytest.raises(TimedOut, match="deadline"):
                await waits
            with pytest.raises(TimedOut):
                await client.answer(LABEL, Tokens([4, 5]), Label(), Terms(deadline=time.monotonic() - 1))
            await until(lambda: client.view.ready[0].counters["expired"] == 4)  # a report comes after the answers
            await until(lambda: not any(client.view.ready[0].gauges.values()))

    asyncio.run(scenario())


def test_a_version_that_is_being_unloaded_refuses_requests(start_client: StartClient) -> None:
    async def scenario() -> None:
        async with start_client() as client:
            runs = asyncio.create_task(client.answer(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000), ANYHOW))
            await until(lambda: client.view.ready[0].gauges["running"] == 1)
            unloading = asyncio.create_task(client.unload(TRANSLATE, linger=0))
            await asyncio.sleep(0.05)  # in which it is sent
            with pytest.raises(ModelUnavailable, match="is being unloaded"):
                await client.answer(TRANSLATE, Tokens([9, 9]), Decode(9), ANYHOW)
            with pytest.raises(ModelUnavailable, match="is being unloaded"):
                await anext(client.stream(TRANSLATE, Tokens([9, 9]), Decode(9), ANYHOW))
            assert not runs.done()
            runs.cancel()
            await unloading
            with pytest.raises(ModelUnavailable, match="was unloaded"):
                await client.answer(TRANSLATE, Tokens([9, 9]), Decode(9), ANYHOW)
            with pytest.raises(ModelUnavailable, match="was unloaded"):
                await anext(client.stream(TRANSLATE, Tokens([9, 9]), Decode(9), ANYHOW))

    asyncio.run(scenario())


def test_a_stream_that_is_closed_stops_its_row(start_client: StartClient) -> None:
    async def scenario() -> None:
        async with start_client(unit=2) as client:
            stream = client.stream(TRANSLATE, Tokens([9, 9, 9]), Decode(1_000_000), ANYHOW)
            first = await anext(stream)
            assert isinstance(first, Progress)
            assert len(first.tokens) == 2
            await stream.aclose()
            await until(lambda: client.view.ready[0].counters["cancelled"] == 1)
            assert client.pending == 0

    asyncio.run(scenario())


def test_a_search_under_a_deadline_answers_with_the_best_so_far(start_client: StartClient) -> None:
    async def scenario() -> None:
        async with start_client() as client:
            soon = Terms(deadline=time.monotonic() + 2)
            options = Decode(1_000_000, min_tokens=1_000_000, beams=4, n_best=3)
            answer = await client.answer(TRANSLATE, Tokens([9, 9, 9]), options, soon)
            assert [sentence.finish_reason for sentence in answer.hypotheses] == ["deadline"] * 3
            assert len({len(sentence.tokens) for sentence in answer.hypotheses}) == 1

    asyncio.run(scenario())
