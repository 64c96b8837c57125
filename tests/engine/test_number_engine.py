"""Series, tags and states through the client and an engine: streams, deadlines, cancellations, an engine that ends."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import torch

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.forking import EngineTemplate
from app.engine.process import EngineProcesses
from app.engine.protocol import AnswerSpec, Decode, Embed, Explain, Forecast, Label, Source, Tag, Terms, Tokens, Values
from app.errors import ContradictoryOptions, EngineFailed, TimedOut
from tests.conftest import engine_in_thread
from tests.engine.number_references import embedded_alone, forecast_alone, rows_of, scores_alone, series, tags_alone
from tests.engine.references import open_shipped
from tests.engine.test_client import client_of, until
from tests.tiny_numbers import WINDOW

STATE, WINDOWED, CLASSIFY, TAG = "forecast-state/1", "forecast-window/1", "classify-series/1", "tag-crf/1"
ANYHOW = Terms()
SOURCE = series(torch.linspace(-1, 1, 24).view(12, 2))
WINDOW_SOURCE = series(torch.linspace(-1, 1, WINDOW).view(WINDOW, 1))
ENDLESS = Forecast(50_000_000)


@pytest.fixture(scope="module")
def endpoint(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("number-engine")
    with engine_in_thread(number_store, folder, slots=2, precision="float32") as endpoint:
        yield endpoint


async def ready(client: EngineClient) -> None:
    await until(lambda: client.view.is_ready)


def test_every_answer_comes_through_the_client(endpoint: str, number_store: Path) -> None:
    async def scenario() -> None:
        shipped = {key: open_shipped(number_store, key) for key in (STATE, CLASSIFY, TAG)}
        words = Tokens([7, 8, 9])
        async with EngineClient([endpoint]) as client:
            await ready(client)
            forecast, label, tags, state = await asyncio.gather(
                client.answer(STATE, SOURCE, Forecast(9), ANYHOW),
                client.answer(CLASSIFY, SOURCE, Label(), ANYHOW),
                client.answer(TAG, words, Tag(scores=True), ANYHOW),
                client.answer(STATE, SOURCE, Embed("mean", 0), ANYHOW),
            )
        torch.testing.assert_close(rows_of(forecast.rows), forecast_alone(shipped[STATE], SOURCE, 9), rtol=0, atol=1e-6)
        assert label.scores == pytest.approx(scores_alone(shipped[CLASSIFY], SOURCE).tolist(), abs=1e-6)
        assert tags.labels == tags_alone(shipped[TAG], words)[0]
        expected = embedded_alone(shipped[STATE], SOURCE, Embed("mean", 0))
        torch.testing.assert_close(rows_of(state.state)[0], expected, rtol=0, atol=1e-6)

    asyncio.run(scenario())


@pytest.mark.parametrize(("key", "source"), [(STATE, SOURCE), (WINDOWED, WINDOW_SOURCE)])
def test_a_deadline_answers_the_rows_that_are_made(endpoint: str, key: str, source: Source) -> None:
    """A request that never ran is late, also one that waits for a row."""

    async def scenario() -> None:
        async with EngineClient([endpoint]) as client:
            await ready(client)
            soon = Terms(deadline=time.monotonic() + 1)
            answers = await asyncio.gather(
                *(client.answer(key, source, ENDLESS, soon) for _ in range(2)),
            )
            assert all(2 < len(answer.rows) < ENDLESS.horizon for answer in answers)
            late = Terms(deadline=time.monotonic() - 1)
            with pytest.raises(TimedOut):
                await client.answer(key, source, ENDLESS, late)
            await until(lambda: client.view.ready[0].gauges["running"] == 0)
            assert client.view.ready[0].figures[key].rows == 0

    asyncio.run(scenario())


def test_a_stream_has_each_row_once_and_ends_when_it_is_closed(endpoint: str) -> None:
    async def scenario() -> None:
        async with EngineClient([endpoint]) as client:
            await ready(client)
            whole = await client.answer(STATE, SOURCE, Forecast(20), ANYHOW)
            parts: list[bytes] = []
            async with aclosing(client.stream(STATE, SOURCE, Forecast(20), ANYHOW)) as events:
                async for event in events:
                    if isinstance(event, Values):
                        parts.append(event.rows.numbers)
                        assert 1 <= len(event.rows) <= 6
                    else:
                        last = event
            assert len(parts) > 3
            assert b"".join(parts) == last.rows.numbers == whole.rows.numbers
            before = client.view.ready[0].counters["cancelled"]
            async with aclosing(client.stream(STATE, SOURCE, ENDLESS, ANYHOW)) as events:
                assert isinstance(await anext(events), Values)
            await until(lambda: client.view.ready[0].counters["cancelled"] == before + 1)
            await until(lambda: client.view.ready[0].gauges["running"] == 0)

    asyncio.run(scenario())


def test_a_stream_of_numbers_goes_on_unbroken_when_its_engine_ends(
    number_store: Path, template: EngineTemplate
) -> None:
    async def scenario() -> None:
        config = EngineConfig(endpoint="", store=str(number_store))
        engines = EngineProcesses(config, ["cpu"], heartbeat_seconds=30, template=template)
        try:
            async with client_of(engines) as client:
                whole = await client.answer(STATE, SOURCE, Forecast(6000), ANYHOW)
                numbers, killed = b"", False
                async with aclosing(client.stream(STATE, SOURCE, Forecast(6000), ANYHOW)) as events:
                    async for event in events:
                        if isinstance(event, Values):
                            numbers += event.rows.numbers
                            if not killed and len(numbers) > 1000:
                                killed = True
                                for pid in engines.pids:
                                    os.kill(pid, signal.SIGKILL)
                        else:
                            last = event
                assert killed
                assert client.view.restarts == 1
                assert len(last.rows) == 6000
                assert numbers == last.rows.numbers == whole.rows.numbers
        finally:
            engines.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "source", "answer", "words"),
    [
        (STATE, Tokens([5]), Forecast(3), "reads sources of kind series, not text"),
        (STATE, SOURCE, Label(), "gives answers of kind values, not label"),
        (STATE, SOURCE, Decode(3), "gives answers of kind values, not tokens"),
        (STATE, SOURCE, Forecast(0), "a horizon of at least 1"),
        (STATE, series(torch.zeros(3, 1)), Forecast(3), "rows of 2 numbers"),
        (STATE, series(torch.zeros(0, 2)), Forecast(3), "at least one"),
        (WINDOWED, series(torch.zeros(5, 1)), Forecast(3), "needs 6 rows, its window, and got 5"),
        (TAG, Tokens([]), Tag(), "at least one token id"),
        (TAG, Tokens([5]), Label(), "gives answers of kind tags, not label"),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    endpoint: str, key: str, source: Source, answer: AnswerSpec, words: str
) -> None:
    async def scenario() -> None:
        async with EngineClient([endpoint]) as client:
            await ready(client)
            with pytest.raises(EngineFailed, match=words):
                await client.answer(key, source, answer, ANYHOW)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "answer", "words", "option"),
    [
        ("forecast-tiny/1", Forecast(4), "at most 3 steps: set it to 3 or less", "horizon"),
        ("forecast-tiny/1", Embed(layer=1), "layer is 1; forecast-tiny has 1 layer, counted", "layer"),
        (CLASSIFY, Label(Explain(layer=1)), "layer is 1; classify-series has 1 layer, counted", "layer"),
    ],
)
def test_an_option_that_a_model_does_not_have_contradicts(
    endpoint: str, key: str, answer: AnswerSpec, words: str, option: str
) -> None:
    async def scenario() -> None:
        async with EngineClient([endpoint]) as client:
            await ready(client)
            window = series(torch.zeros(WINDOW, 3))
            with pytest.raises(ContradictoryOptions, match=words) as refusal:
                await client.answer(key, window, answer, ANYHOW)
            assert refusal.value.facts["options"] == [option]

    asyncio.run(scenario())
