"""Which engine gets a request: the one with the least work, counted with the architecture of the model."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from app.engine.client import EngineClient
from app.engine.protocol import Forecast, Series, Table, Terms
from app.request_context import REQUEST_CONTEXT, RequestContext
from app.tasks.catalog import Entry, open_catalog
from app.tasks.forecasting import FORECASTING, ForecastOptions
from app.tasks.job import Job, ReadSource
from app.tasks.registry import CHECKS
from tests.conftest import engine_in_thread
from tests.engine.test_client import until
from tests.tiny_numbers import WINDOW, number_drafts
from tests.tiny_store import publish_tiny, tiny_tokenizer

NAME = "forecast-window"
SOURCE = ReadSource(Series(Table(1, bytes(4 * WINDOW))))


def store_of_one(folder: Path) -> Path:
    """A store in which a forecaster that reads its window for each step is the default, which engines load first."""
    (draft,) = (draft for draft in number_drafts() if draft.name == NAME)
    publish_tiny(draft.model_copy(update={"default": True}), folder / "store", tiny_tokenizer(folder))
    return folder / "store"


async def engine_for(client: EngineClient, entry: Entry, horizon: int) -> str:
    context = RequestContext(f"horizon {horizon}", 0.0)
    REQUEST_CONTEXT.set(context)
    job = Job(entry, SOURCE, Forecast(horizon), ForecastOptions())
    await FORECASTING.answer.answer(client, job, Terms())
    (execution,) = context.executions
    return execution.engine


def test_a_window_that_is_read_for_each_step_counts_as_often(tmp_path: Path) -> None:
    """20 steps read 120 rows: ten forecasts of one step, which read 60, all go to the other engine."""
    store = store_of_one(tmp_path)
    entry = open_catalog(store, CHECKS).entries[NAME, 1]

    async def scenario(endpoints: list[str]) -> None:
        async with EngineClient(endpoints) as client:
            await client.wait_ready(30)
            await until(lambda: client.view.is_ready and all(status.precisions for status in client.view.ready))
            long, *short = await asyncio.gather(*(engine_for(client, entry, horizon) for horizon in [20] + [1] * 10))
        assert long not in short
        assert len(set(short)) == 1

    with ExitStack() as stack:
        endpoints = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            endpoints.append(stack.enter_context(engine_in_thread(store, tmp_path / name)))
        asyncio.run(asyncio.wait_for(scenario(endpoints), 30))
