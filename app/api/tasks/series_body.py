"""Series: in JSON, as numbers, rows or columns; or as one CSV."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.api.body import (
    JSON,
    TIMEOUT_PARAMETER,
    json_body,
    media_type,
    query_parameters,
    read_long,
    unsupported_content,
)
from app.api.service import Service
from app.api.tasks.files import with_query
from app.api.tasks.forms import RequestOptions, json_form, options_form
from app.errors import InputTooShort, InvalidSeries, UnrollError
from app.tasks.request_form import RequestForm
from app.tasks.sources.raw_series import CsvFile, RawSeries, is_list_of_series, series_in
from app.tasks.task import Task

CSV = "text/csv"
_EXAMPLE = """date,precipitation,temp_max,temp_min,wind
2015-12-26,0.0,4.4,0.0,2.5
2015-12-27,8.6,4.4,1.7,2.9
2015-12-28,1.5,5.0,1.7,1.3
2015-12-29,0.0,7.2,0.6,2.6
2015-12-30,0.0,5.6,-1.0,3.4
2015-12-31,0.0,5.6,-2.1,3.5
"""


def _series(inputs: object) -> object:
    if isinstance(inputs, list | dict) and inputs:
        return inputs
    raise PydanticCustomError(
        "series", "Input should be a series (a list of rows, or an object of columns) or a list of at least one series"
    )


_Number = float | None
_Rows = list[_Number] | list[list[_Number]] | list[dict[str, _Number]]
_Columns = dict[str, list[_Number]]
_Inputs = _Rows | _Columns | list[list[list[_Number]]] | list[list[dict[str, _Number]]] | list[_Columns]


class SeriesInputs(RequestForm):
    """One series or a list of series."""

    inputs: Annotated[Any, BeforeValidator(_series, json_schema_input_type=_Inputs)] = Field(
        description="A series, or a list of series. A series is a list with a row of numbers for each step, in the "
        "order of the model's features; or a list of objects by feature name; or an object with a list for each "
        "feature; of a model with one feature also a list of numbers. `null` is a missing number."
    )


class SeriesBody:
    """Options are JSON members; both bodies may have them in the query string instead."""

    inputs: type[BaseModel] = SeriesInputs
    media_types: tuple[str, ...] = (CSV,)
    words = "a series (rows or columns of numbers) or a list of series"
    errors: tuple[type[UnrollError], ...] = (InvalidSeries, InputTooShort)

    def __init__(self, task: Task) -> None:
        self.json = json_form(task, SeriesInputs)
        self._task = task
        self._options = options_form(task)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[RawSeries], RequestOptions]:
        """See `Body.read`."""
        content_type = media_type(request)
        if content_type == JSON:
            form = await read_long(await request.body(), self.json)
            options: RequestOptions = with_query(request, form, self._options)
            return await self.items(form.inputs, options, service), options
        if content_type == CSV:
            options = with_query(request, self._options(), self._options)
            return [CsvFile(await request.body(), _charset(request))], options
        raise unsupported_content(request, JSON, CSV)

    def recognises(self, inputs: object) -> bool:
        """See `PartBody.recognises`: numbers, lists and objects of them."""
        if isinstance(inputs, list) and all(item is None for item in inputs):  # missing numbers alone are nothing
            return False
        return isinstance(inputs, list | dict) and bool(inputs) and not _has_text(inputs)

    async def items(self, inputs: Any, options: RequestOptions, service: Service) -> Sequence[RawSeries]:
        """See `PartBody.items`. The number of the model's features says whether they are one series or several. Raises
        ModelNotFound, ModelUnavailable, UnknownLanguage and TooManyInputs."""
        series = service.chosen(self._task, options, ("series",)).series
        features = 0 if series is None else len(series.features)
        if is_list_of_series(inputs, features):
            service.check_count(len(inputs))
        return series_in(inputs, features)

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [*query_parameters(self._options), TIMEOUT_PARAMETER],
            "requestBody": {
                "required": True,
                "content": {
                    **json_body(self.json, self._examples),
                    CSV: {
                        "schema": {"type": "string"},
                        "examples": {"days": {"summary": "Six days", "value": _EXAMPLE}},
                    },
                },
            },
        }


def _has_text(inputs: list[Any] | dict[str, Any]) -> bool:
    """Whether the first value is a text, so that this is a text or a clip."""
    first: object = inputs
    while isinstance(first, list | dict) and first:
        first = first[0] if isinstance(first, list) else next(iter(first.values()))
    return isinstance(first, str)


def _charset(request: Request) -> str | None:
    """The parameter `charset` of the content type."""
    for parameter in request.headers.get("content-type", "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or None
    return None
