"""Results of the answer kind `tags`: arrays until they are JSON, since there may be too many words to be objects."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, SkipValidation

from app.json_pieces import AS_IT_IS, JsonArray, JsonInPieces, json_array
from app.tasks.answers.spans import mark_spans, spans_of
from app.text.placed_words import PlacedWord

_PIECE = 2048  # words and probabilities that are encoded at once


class WordTag(BaseModel):
    """A word with its label."""

    text: str = Field(description="The word.", examples=["Seoul"])
    start: int = Field(
        description="Its first character, counted from 0; of a list of words in the text with one space between two.",
        examples=[12],
    )
    end: int = Field(description="The character after its last.", examples=[17])
    label: str = Field(description="Its label.", examples=["B-LOC"])
    score: float = Field(description="Probability of `label`; with a CRF its marginal probability.", examples=[0.98])
    scores: dict[str, float] | None = Field(None, description="With `scores` only: the probability of each label.")


class Span(BaseModel):
    """Words that have one label together, joined by their BIO, IOBES or BILOU marks."""

    label: str = Field(description="The label without its mark.", examples=["LOC"])
    text: str = Field(description="The characters of the text from `start` to `end`.", examples=["South Korea"])
    start: int = Field(description="Its first character, counted as that of a word.", examples=[12])
    end: int = Field(description="The character after its last.", examples=[23])
    first: int = Field(description="The number of its first word, from 0.", examples=[2])
    last: int = Field(description="The number of its last word.", examples=[3])
    score: float = Field(description="Mean of the scores of its words.", examples=[0.97])


class TagResult(BaseModel):
    """The words of a text with their labels."""

    tags: Annotated[list[WordTag], SkipValidation, AS_IT_IS] = Field(description="The words in order.")
    spans: Annotated[list[Span] | None, SkipValidation, AS_IT_IS] = Field(
        None, description="If the labels of the model mark spans (BIO, IOBES, BILOU): the spans in order."
    )
    model: str = Field(description="The model that answered.", examples=["tag-en"])
    version: int = Field(description="Its version.", examples=[1])
    state: str | None = Field(None, description="Only with `return_state`: the state, to continue from here.")

    @property
    def word(self) -> list[str]:
        """The words alone."""
        return [word.text for word in self._arrays.words]

    @property
    def label(self) -> list[str]:
        """Their labels alone."""
        return self._arrays.names

    @property
    def score(self) -> Sequence[float]:
        """The probabilities of these labels alone."""
        return self._arrays.scores

    @property
    def _arrays(self) -> "WordTags":
        assert isinstance(self.tags, WordTags)
        return self.tags


class _TagJson(msgspec.Struct, gc=False):
    text: str
    start: int
    end: int
    label: str
    score: float


class _TagWithScoresJson(_TagJson, gc=False):
    scores: dict[str, float]


class _SpanJson(msgspec.Struct, gc=False):
    label: str
    text: str
    start: int
    end: int
    first: int
    last: int
    score: float


class WordTags(JsonInPieces, frozen=True, eq=False):
    """The words of a text, the number of the label of each, its probability, and on request the probability of each
    label (words, labels)."""

    words: Sequence[PlacedWord]
    labels: Sequence[str]
    chosen: Sequence[int]
    scores: Sequence[float]
    probabilities: NDArray[np.float32] | None

    @property
    def names(self) -> list[str]:
        """The label of each word."""
        return [self.labels[number] for number in self.chosen]

    def spans(self, text: str, first: int = 0) -> JsonArray | None:
        """The spans of the words of a text, whose first character has the place `first`; None if the labels do not mark
        them."""
        if not mark_spans(self.labels):
            return None
        words, scores = self.words, self.scores
        return JsonArray(
            [
                _SpanJson(
                    span.label,
                    text[words[span.first].start - first : words[span.last].end - first],
                    words[span.first].start,
                    words[span.last].end,
                    span.first,
                    span.last,
                    sum(scores[span.first : span.last + 1]) / (span.last + 1 - span.first),
                )
                for span in spans_of(self.names)
            ]
        )

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array(self._parts())

    def _parts(self) -> Iterator[list[_TagJson]]:
        step = max(1, _PIECE // (1 + len(self.labels) * (self.probabilities is not None)))
        names, scores = self.names, self.scores
        for begin in range(0, len(self.words), step):
            places = range(begin, min(begin + step, len(self.words)))
            shown = [
                (word.text, word.start, word.end, names[place], scores[place])
                for place, word in zip(places, self.words[begin : begin + step], strict=True)
            ]
            if self.probabilities is not None:
                rows = self.probabilities[begin : begin + step].tolist()
                yield [
                    _TagWithScoresJson(*members, dict(zip(self.labels, row, strict=True)))
                    for members, row in zip(shown, rows, strict=True)
                ]
            else:
                yield [_TagJson(*members) for members in shown]
