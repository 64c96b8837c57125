"""Sentiment: sequence to label, with its degree, and with what explains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.engine.client import EngineClient, EngineView
from app.engine.protocol import Explain, Explanation, Label, Terms, Tokens
from app.errors import ContradictoryOptions, InputTooLong
from app.store.architecture import Classifier
from app.store.manifest import Manifest
from app.tasks.answers.results import (
    DirectionActivations,
    LayerActivations,
    SentimentResult,
    SourceToken,
    TextExplanation,
    Usage,
)
from app.tasks.catalog import Catalog, Entry
from app.tasks.concurrently import concurrently
from app.tasks.sources.language import language_of
from app.tasks.sources.text import TextLimits, check_texts, encode_texts
from app.text.tokenizer import Piece

MOST_EXPLAINED = {1: 1024, 2: 128}  # tokens, by directions: with two, each prefix is read anew
_DIGITS = 5  # of activations
_POSITIVE, _NEGATIVE = ("positive", "pos"), ("negative", "neg")  # how labels of the two ends are called


@dataclass(frozen=True)
class Reading:
    """One text, ready for an engine. `pieces` are its tokens, if it is to be explained."""

    entry: Entry
    source: Tokens
    explain: Explain | None = None
    pieces: Sequence[Piece] = ()

    @property
    def steps(self) -> int:
        """Cell steps that it will take."""
        length = len(self.source.ids)
        if self.explain is None:
            return length
        return length + (length if _directions(self.entry.manifest) == 1 else length * (length + 1) // 2)


class Sentiment:
    """Text to a probability for each label. Without a model, each text's script chooses one."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: TextLimits) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits

    async def prepare(
        self, texts: Sequence[str], *, model: str | None, version: int | None, explain: Explain | None = None
    ) -> list[Reading]:
        """What an engine has to do for each text, in order."""
        check_texts(texts, self._limits)
        view = self._client.view
        entries = [self._entry_for(text, model, version, view) for text in texts]
        sources = await encode_texts(texts, entries)
        if explain is None:
            return [Reading(entry, source) for entry, source in zip(entries, sources, strict=True)]
        for index, (entry, source) in enumerate(zip(entries, sources, strict=True)):
            _check_explained(entry.manifest, len(source.ids), index, explain)
        return [
            Reading(entry, source, explain, entry.tokenizer.pieces(text))
            for text, entry, source in zip(texts, entries, sources, strict=True)
        ]

    async def run(self, readings: Sequence[Reading], terms: Terms) -> tuple[list[SentimentResult], Usage]:
        """A result for each text, in order, and what they took."""
        results = await concurrently([self._answer(reading, terms) for reading in readings])
        tokens = sum(len(reading.source.ids) for reading in readings)
        return results, Usage(inputs=len(readings), source_tokens=tokens, emitted_tokens=0)

    def _entry_for(self, text: str, model: str | None, version: int | None, view: EngineView) -> Entry:
        if model is not None:
            return self._catalog.named("sentiment", model, version, view)
        return self._catalog.default("sentiment", view, source=language_of(text))

    async def _answer(self, reading: Reading, terms: Terms) -> SentimentResult:
        manifest = reading.entry.manifest
        scored = await self._client.answer(manifest.key, reading.source, Label(reading.explain), terms)
        scores = dict(zip(manifest.labels, scored.scores, strict=True))
        label = max(scores, key=scores.__getitem__)
        return SentimentResult(
            label=label,
            score=scores[label],
            polarity=_of_any(scores, _POSITIVE) - _of_any(scores, _NEGATIVE),
            scores=scores,
            model=manifest.name,
            version=manifest.version,
            explanation=_explained(reading, scored.explanation) if scored.explanation else None,
        )


def _of_any(scores: Mapping[str, float], names: Sequence[str]) -> float:
    """The probability of the label that has one of these names in any case of letters, 0 without one."""
    return sum(score for label, score in scores.items() if label.lower() in names)


def _directions(manifest: Manifest) -> int:
    assert isinstance(manifest.architecture, Classifier)
    return manifest.architecture.encoder.recurrence.directions


def _check_explained(manifest: Manifest, tokens: int, index: int, explain: Explain) -> None:
    assert isinstance(manifest.architecture, Classifier)
    recurrence = manifest.architecture.encoder.recurrence
    most = MOST_EXPLAINED[recurrence.directions]
    if tokens > most:
        raise InputTooLong(
            f"inputs[{index}] has {tokens} tokens; {manifest.name} explains at most {most}: shorten the text, or leave "
            "out explain",
            input=index,
            limit=most,
        )
    if explain.layer is not None and explain.layer >= recurrence.layers:
        raise ContradictoryOptions(
            f"layer is {explain.layer}; {manifest.name} has {recurrence.layers}, counted from 0", options=["layer"]
        )


def _explained(reading: Reading, explanation: Explanation) -> TextExplanation:
    manifest = reading.entry.manifest
    assert isinstance(manifest.architecture, Classifier)
    recurrence = manifest.architecture.encoder.recurrence
    activations = None
    if reading.explain is not None and reading.explain.layer is not None:
        activations = LayerActivations(
            layer=reading.explain.layer,
            network=recurrence.describe(),
            directions=[
                DirectionActivations(
                    direction="backward" if number else "forward",
                    hidden=_rounded(one.hidden),
                    cell=_rounded(one.cell) or None,
                    gates={name: _rounded(values) for name, values in one.gates.items()},
                )
                for number, one in enumerate(explanation.activations)
            ],
        )
    return TextExplanation(
        method="one pass" if recurrence.directions == 1 else "each prefix read anew",
        tokens=[SourceToken(text=piece.text, start=piece.start, end=piece.end) for piece in reading.pieces],
        labels=list(manifest.labels),
        probabilities=explanation.probabilities,
        activations=activations,
    )


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[round(value, _DIGITS) for value in row] for row in rows]
