"""Embedding: a text, a series or a clip to the hidden state that sums it up."""

from app.tasks.answers.state_kind import StateKind, StateOptions
from app.tasks.classification import EXAMPLE_CLIP
from app.tasks.options import TextOptions
from app.tasks.sources.frames import FramesSource
from app.tasks.sources.one_of import OneOf
from app.tasks.sources.series import SeriesSource
from app.tasks.sources.text import TextSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

_FILM = "A warm, funny film that I would gladly see again."


class EmbeddingOptions(StateOptions, TextOptions, CarryOptions):
    """Which state is returned, and how texts are read."""


EMBEDDING = Task(
    name="embedding",
    source=OneOf(TextSource(whole=True), FramesSource(), SeriesSource()),
    answer=StateKind(),
    options=EmbeddingOptions,
    any_model=True,
    face=Face(
        path="/v1/embed",
        summary="Embed an input as the state of a network",
        description="""Reads each input with a recurrent network and returns the hidden state that sums it up: after the
last step, or the mean or the largest value over all steps (`pooling`), of one layer (`layer`). Every model with a
recurrent encoder can be named: classifiers, taggers, forecasters, translators and language models.

Without `model` the kind of the input chooses one, and of a text its script.
""",
        inputs="Texts, series or clips to embed. The named model says which; without it their form does.",
        results="A state for each input, in the same order",
        examples={
            "one": {"summary": "One text", "value": {"inputs": _FILM, "model": "sentiment-en"}},
            "mean": {
                "summary": "The mean over all tokens, of the first layer, with length 1",
                "value": {
                    "inputs": [_FILM, "The acting is awful."],
                    "model": "lm-en",
                    "pooling": "mean",
                    "layer": 0,
                    "normalize": True,
                },
            },
            "clip": {"summary": "A clip", "value": {"inputs": {"frames": EXAMPLE_CLIP}}},
        },
    ),
)
