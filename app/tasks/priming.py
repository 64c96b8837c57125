"""Priming: a text or a series to a state that many requests continue from."""

from app.tasks.answers.primed_kind import PrimedKind
from app.tasks.sources.one_of import OneOf
from app.tasks.sources.series import SeriesSource
from app.tasks.sources.text import TextSource
from app.tasks.states.options import StartOptions
from app.tasks.task import Face, Task

_BEGINNING = "I saw this film last night with my whole family, and"

PRIMING = Task(
    name="priming",
    source=OneOf(TextSource(whole=True), SeriesSource()),
    answer=PrimedKind(),
    options=StartOptions,
    any_model=True,
    face=Face(
        path="/v1/states",
        summary="Read an input once, to continue later",
        description="""Reads each input and returns the state of the network after it, as a text. Later requests send it
as `state`, and the model reads only what came since: of `/v1/complete` as of all tasks of the model. A state may be
sent any number of times, to any service with the same `state_secret` and the same version of the model.

Models that read in one direction have such states.
""",
        inputs="Texts or series to read.",
        results="The state after each input, in the same order",
        examples={
            "one": {"summary": "A text to continue", "value": {"inputs": _BEGINNING, "model": "lm-en"}},
        },
    ),
)
