"""Tagging: a text to a label for each of its words."""

from app.tasks.answers.tag_kind import TagKind, TagOptions
from app.tasks.options import TextOptions
from app.tasks.sources.words import WordsSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

_TEXT = "I can open the can."


class TaggingOptions(TagOptions, TextOptions, CarryOptions):
    """The members of a tagged word, and how texts are read."""


TAGGING = Task(
    name="tagging",
    source=WordsSource(),
    answer=TagKind(),
    options=TaggingOptions,
    face=Face(
        path="/v1/tag",
        summary="Tag the words of a text",
        description="""Labels each word of a text, with its place in the text and the probability of the label. A model
with a CRF chooses the labels of a text together. If the labels mark spans (BIO, IOBES or BILOU), `spans` joins them.

An input is a text, whose words the tokenizer of the model finds, or a list of words. A list of strings is a list of
texts, so one list of words is in a list of its own.

Without `model` the script of each text chooses one.
""",
        inputs="Texts, or lists of words, to tag. Without `model` each text's script chooses one.",
        results="The words of each input with their labels, in the same order",
        examples={
            "text": {"summary": "A text", "value": {"inputs": _TEXT}},
            "words": {
                "summary": "A text, and a list of words, with the probability of each label",
                "value": {"inputs": [_TEXT, ["Time", "flies", "like", "an", "arrow", "."]], "scores": True},
            },
        },
    ),
)
