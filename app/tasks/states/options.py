"""Options of requests that return a state or continue from one."""

from typing import Annotated

from pydantic import Field

from app.errors import ContradictoryOptions
from app.tasks.options import SentenceOptions, TaskOptions, TextOptions, WindowOptions


class StartOptions(TaskOptions):
    """The state from which inputs go on."""

    state: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="A state that an earlier answer returned: each input is what came since. Its model answers. "
        "Several inputs, or several requests, fork it.",
    )


class CarryOptions(StartOptions):
    """The state from which inputs go on, and whether the state after them is returned."""

    return_state: bool = Field(
        False,
        description="Add `state` to each result: a text that a later request sends to continue from here. Models that "
        "read in one direction have one.",
    )


def check_options(options: TaskOptions) -> None:
    """Raises ContradictoryOptions for options that exclude states."""
    excluded = {
        "truncate": isinstance(options, TextOptions) and options.truncate,
        "split_sentences": isinstance(options, SentenceOptions) and bool(options.split_sentences),
        "windows": isinstance(options, WindowOptions) and options.windows,
        "explain": bool(getattr(options, "explain", False)),
        "layer": getattr(options, "layer", None) is not None,
    }
    wrong = [name for name, used in excluded.items() if used]
    if wrong:
        names = "state" if isinstance(options, StartOptions) and options.state is not None else "return_state"
        raise ContradictoryOptions(
            f"{names} and {wrong[0]} exclude each other: leave one of them out", options=[names, wrong[0]]
        )
