"""Events of a stream of forecasts."""

from collections.abc import AsyncGenerator
from typing import Any

from pydantic import Field

from app.api.events import described_event, described_stream, event_in_blocks
from app.api.problems import Problem
from app.api.tasks.event_forms import OfInput, StreamDone
from app.tasks.answers.forecast_output import ForecastOutput, Rows
from app.tasks.answers.value_results import ForecastResult


class StreamedValues(OfInput):
    """Event `values`: further rows of the forecast of one input. The rows of all its events are those of its result."""

    window: int | None = Field(None, description="Only with `windows`: the number of the window, from 0.")
    values: list[list[float]]
    scaled: list[list[float]] | None = Field(None, description="Only with `scaled`: the network's outputs.")


class StreamedForecast(OfInput):
    """Event `result`: the result of one input."""

    result: ForecastResult


STREAMED_VALUES = described_stream(
    "The forecasts; with `stream`, events `values`, `result` and `done`, or `error` as the last event",
    described_event("values", StreamedValues),
    described_event("result", StreamedForecast),
    described_event("done", StreamDone),
    described_event("error", Problem),
    example='event: values\ndata: {"input":0,"values":[[12.8],[13.1]]}\n\n'
    'event: result\ndata: {"input":0,"result":{"values":[[12.8],[13.1]],"finish_reason":"length",'
    '"targets":["temp_max"],"model":"forecast-weather","version":1}}\n\n'
    'event: done\ndata: {"usage":{"inputs":1,"source_tokens":0,"emitted_tokens":0}}\n\n',
)


async def value_events(index: int, item: Rows | ForecastOutput) -> AsyncGenerator[bytes, None]:
    """The event of rows, or of the result of an input."""
    members: dict[str, Any]
    if isinstance(item, ForecastOutput):
        name, members = "result", {"result": item.result.model_dump(exclude_none=True)}
    else:
        name, members = "values", {"window": item.window, "values": item.values, "scaled": item.scaled}
    given = {member: value for member, value in members.items() if value is not None}
    async for block in event_in_blocks(name, {"input": index, **given}):
        yield block
