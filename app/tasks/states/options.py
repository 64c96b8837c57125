"""Options of requests that return a state or continue from one."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from app.errors import ContradictoryOptions
from app.tasks.options import SentenceOptions, TaskOptions, TextOptions, WindowOptions

SessionName = Annotated[str, Field(pattern=r"^[\w@-][\w.@-]*$", max_length=128)]  # clients remove a path of dots


class GivenStateOptions(TaskOptions):
    """The state from which inputs go on."""

    state: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="A state that an earlier answer returned: each input is what came since. Its model answers. "
        "Several inputs, or several requests, fork it.",
    )


class StartOptions(GivenStateOptions):
    """A state from which inputs go on, or a session that keeps it."""

    session: SessionName | None = Field(
        None,
        description="A session that the service keeps: the input is what came since its last request. The first "
        "request has `session_start`. Each key has sessions of its own.",
    )
    session_start: bool = Field(False, description="Begin the session anew, from `state` if it is there.")
    session_end: bool = Field(False, description="Forget the session after the answer.")

    @model_validator(mode="after")
    def _are_of_a_session(self) -> Self:
        wrong = [name for name in ("session_start", "session_end") if getattr(self, name)]
        if self.session is None and wrong:
            raise ContradictoryOptions(f"{wrong[0]} needs a session; name it in session", options=[wrong[0], "session"])
        if self.session is not None and self.state is not None and not self.session_start:
            raise ContradictoryOptions(
                "session continues from its own state: leave out state, or set session_start to begin from it",
                options=["session", "state"],
            )
        return self


class ReturnedStateOptions(GivenStateOptions):
    """The state from which inputs go on, and whether the state after them is returned."""

    return_state: bool = Field(
        False,
        description="Add `state` to each result: a text that a later request sends to continue from here. Models that "
        "read in one direction have one.",
    )


class CarryOptions(StartOptions, ReturnedStateOptions):
    """States that a client carries, or a session keeps."""


def check_options(options: TaskOptions, what: str) -> None:
    """Raises ContradictoryOptions for options that exclude states, which the request asks for by `what`."""
    excluded = {
        "truncate": isinstance(options, TextOptions) and options.truncate,
        "split_sentences": isinstance(options, SentenceOptions) and bool(options.split_sentences),
        "windows": isinstance(options, WindowOptions) and options.windows,
        "explain": bool(getattr(options, "explain", False)),
        "layer": getattr(options, "layer", None) is not None,
    }
    wrong = [name for name, used in excluded.items() if used]
    if wrong:
        raise ContradictoryOptions(
            f"{what} and {wrong[0]} exclude each other: leave one of them out", options=[what, wrong[0]]
        )
