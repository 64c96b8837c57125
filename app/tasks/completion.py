"""Completion: a text to its continuation, by a language model."""

from app.tasks.answers.decoding_options import ContinuationOptions
from app.tasks.answers.replayed import ReplayOptions
from app.tasks.answers.token_kind import TokenKind
from app.tasks.options import TextOptions
from app.tasks.sources.text import TextSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

_BEGINNING = "The clouds are in the"


class CompletionOptions(ContinuationOptions, ReplayOptions, TextOptions, CarryOptions):
    """Options of a continuation, whether it is explained, and how texts are read."""


COMPLETION = Task(
    name="completion",
    source=TextSource(continues=True),
    answer=TokenKind(),
    options=CompletionOptions,
    face=Face(
        path="/v1/complete",
        summary="Complete a text",
        description="""Continues each text, token after token, by a language model: greedily, with beam search (`beams`)
or drawn at random (`temperature`). The input followed by `text` is the whole text. `next_tokens` adds the most probable
next tokens with their probabilities; with `stream` the answer comes as server-sent events.

Without `model` the script of each text chooses one, so one request may mix English and Korean.
""",
        inputs="Texts to continue. Without `model` each text's script chooses one: Latin English, Hangul Korean. An "
        "empty text starts a new one.",
        results="A continuation of each text, in the same order",
        examples={
            "one": {"summary": "The most probable continuation", "value": {"inputs": _BEGINNING, "max_tokens": 24}},
            "next": {
                "summary": "The most probable next tokens, with probabilities",
                "value": {
                    "inputs": ["I grew up in France. I speak fluent", "정말 재미있게"],
                    "next_tokens": 5,
                    "max_tokens": 1,
                },
            },
            "drawn": {
                "summary": "Drawn at random; the seed repeats the draw",
                "value": {"inputs": _BEGINNING, "temperature": 0.8, "top_p": 0.9, "seed": 7, "max_tokens": 40},
            },
            "beams": {
                "summary": "Beam search, the two best",
                "value": {"inputs": "이 영화는", "beams": 4, "n_best": 2, "max_tokens": 20},
            },
            "memory": {
                "summary": "The hidden state of four units at each token, with their gates",
                "value": {"inputs": _BEGINNING, "max_tokens": 4, "explain": True, "layer": 0, "units": 4},
            },
            "streamed": {
                "summary": "As server-sent events",
                "value": {"inputs": _BEGINNING, "max_tokens": 24, "stream": True},
            },
        },
    ),
)
