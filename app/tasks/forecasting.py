"""Forecasting: a series of numbers to the numbers that follow."""

from app.tasks.answers.values_kind import ValuesKind
from app.tasks.answers.values_options import ValuesOptions
from app.tasks.options import WindowOptions
from app.tasks.sources.series import SeriesSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

# The last nine days of 2015 in Seattle: precipitation (mm), highest and lowest temperature (°C), wind (m/s).
_DAYS = [
    [5.8, 5.0, 2.8, 1.7],
    [0.0, 4.4, 0.6, 1.7],
    [0.0, 4.4, 0.0, 2.5],
    [8.6, 4.4, 1.7, 2.9],
    [1.5, 5.0, 1.7, 1.3],
    [0.0, 7.2, 0.6, 2.6],
    [0.0, 5.6, -1.0, 3.4],
    [0.0, 5.6, -2.1, 3.5],
]
_NAMES = ("precipitation", "temp_max", "temp_min", "wind")
_BY_NAME = [dict(zip(_NAMES, day, strict=True)) for day in _DAYS[-6:]]
_COLUMNS = {name: [day[place] for day in _DAYS] for place, name in enumerate(_NAMES)}


class ForecastOptions(ValuesOptions, WindowOptions, CarryOptions):
    """How far to forecast, what to add, and whether to cut the series into windows."""


FORECASTING = Task(
    name="forecasting",
    source=SeriesSource(),
    answer=ValuesKind(),
    options=ForecastOptions,
    face=Face(
        path="/v1/forecast",
        summary="Forecast a series of numbers",
        description="""Reads each series with a recurrent network and answers with the rows that follow, in the units of
the data. Scaling, the window that the network reads, and what becomes of missing numbers are the model's: `GET
/v1/models` describes its features.

With `windows` the series is cut into windows, and each is answered: a backtest over past data. With `stream` the rows
come as server-sent events. A body of type `text/csv` is one series; its header row names the columns, in any order, and
columns that the model does not read are ignored.
""",
        inputs="Series to forecast.",
        results="The rows that follow each series, in the same order",
        examples={
            "rows": {"summary": "Six days, a row for each", "value": {"inputs": _DAYS[-6:]}},
            "named": {"summary": "Rows by feature name", "value": {"inputs": _BY_NAME, "horizon": 1}},
            "columns": {"summary": "Columns by feature name; the last six days count", "value": {"inputs": _COLUMNS}},
            "several": {
                "summary": "Two series",
                "value": {"inputs": [_DAYS[:6], _DAYS[-6:]], "model": "forecast-weather"},
            },
            "windows": {
                "summary": "Every window of six days, a backtest",
                "value": {"inputs": _DAYS, "windows": True, "stride": 1},
            },
            "inside": {
                "summary": "With the network's outputs and hidden states",
                "value": {"inputs": _DAYS, "horizon": 2, "scaled": True, "states": True},
            },
            "streamed": {"summary": "As server-sent events", "value": {"inputs": _DAYS, "stream": True}},
        },
    ),
)
