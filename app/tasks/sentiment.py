"""Sentiment: a text to a label with a signed degree."""

from collections.abc import Mapping

from pydantic import Field

from app.tasks.answers.label_kind import LabelForm, LabelKind, LabelOptions
from app.tasks.answers.label_results import LabelResult
from app.tasks.answers.usage import Usage
from app.tasks.options import TextOptions
from app.tasks.sources.text import TextSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

_SIGNS = {"positive": 1, "pos": 1, "negative": -1, "neg": -1}  # of the labels of the two ends, in any letter case


class SentimentOptions(LabelOptions, TextOptions, CarryOptions):
    """How labels are explained, and how texts are read."""


class SentimentResult(LabelResult):
    """A label with its polarity."""

    polarity: float = Field(
        description="Signed degree: probability of positive (or pos) minus probability of negative (or neg).",
        ge=-1,
        le=1,
        examples=[0.94],
    )


class SentimentAnswer(LabelForm):
    """One result per input, in the same order."""

    results: list[SentimentResult]
    usage: Usage


class DegreeKind(LabelKind):
    """A label with its polarity."""

    form = SentimentAnswer
    result = SentimentResult
    numbers = ("polarity",)

    def measure(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The polarity. A label that a model lacks counts as 0."""
        polarity = 0.0
        for label, score in scores.items():
            polarity += _SIGNS.get(label.lower(), 0) * score
        return {"polarity": polarity}


SENTIMENT = Task(
    name="sentiment",
    source=TextSource(),
    answer=DegreeKind(),
    options=SentimentOptions,
    face=Face(
        path="/v1/sentiment",
        summary="Find the sentiment of a text",
        description="""Reads each text with a recurrent network and answers with the most probable label, the
probability of each label, and `polarity`, a signed degree from -1 (negative) to +1 (positive).

`explain` adds the probability of each label after each token, `layer` the activations of that layer, and `units` limits
these to the units that change most. The explanations of a request have at most 500,000 numbers.

Without `model` the script of each text chooses one, so one request may mix English and Korean.
""",
        inputs="Texts to label. Without `model` each text's script chooses one: Latin English, Hangul Korean.",
        results="A result for each text, in the same order",
        examples={
            "one": {"summary": "One text", "value": {"inputs": "A warm, funny film that I would gladly see again."}},
            "mixed": {
                "summary": "English and Korean together",
                "value": {
                    "inputs": [
                        "The plot makes no sense and the acting is worse.",
                        "정말 재미있게 봤어요. 강력 추천합니다!",
                    ]
                },
            },
            "named": {
                "summary": "A model by name",
                "value": {"inputs": "돈이 아깝다. 최악의 영화", "model": "sentiment-ko", "version": 1},
            },
            "explained": {
                "summary": "The label after each token",
                "value": {"inputs": "It begins well, but the end is a disappointment.", "explain": True},
            },
            "inside": {
                "summary": "With the gates and cells of the first layer",
                "value": {"inputs": "Not bad at all", "explain": True, "layer": 0},
            },
            "soon": {
                "summary": "Before others, and within five seconds",
                "value": {"inputs": "Two hours that I will never get back.", "priority": 5, "timeout_ms": 5000},
            },
        },
    ),
)
