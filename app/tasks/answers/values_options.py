"""Options of forecasts."""

from typing import Annotated

from pydantic import Field

from app.tasks.answers.limits import LONGEST_HORIZON
from app.tasks.options import TaskOptions


class ValuesOptions(TaskOptions):
    """How far to forecast, and what to add to the forecast."""

    horizon: Annotated[int, Field(ge=1, le=LONGEST_HORIZON)] | None = Field(
        None,
        description="Steps ahead; the model's own when left out. Only a model that feeds back has no limit of its own.",
    )
    scaled: bool = Field(False, description="Add `scaled`: the network's outputs, before they get their units.")
    states: bool = Field(False, description="Add `states`: the hidden state of the top layer after each step.")
    stream: bool = Field(False, description="Answer with server-sent events during the forecast.")


def values_options(options: TaskOptions) -> ValuesOptions:
    """The options of a task that answers with values; the defaults if it has none of them."""
    return options if isinstance(options, ValuesOptions) else ValuesOptions()
