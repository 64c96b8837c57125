"""Sentiment: sequence to label, with its degree."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.client import EngineClient, EngineView
from app.engine.messages import Terms, Tokens
from app.tasks.catalog import Catalog, Entry
from app.tasks.concurrently import concurrently
from app.tasks.language import language_of
from app.tasks.results import SentimentResult, Usage
from app.tasks.texts import TextLimits, check_texts, encode_texts


@dataclass(frozen=True)
class Reading:
    """One text, ready for an engine."""

    entry: Entry
    source: Tokens


class Sentiment:
    """Text to a probability for each label. Without a model, each text's script chooses one."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: TextLimits) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits

    async def prepare(self, texts: Sequence[str], *, model: str | None, version: int | None) -> list[Reading]:
        """What an engine has to do for each text, in order."""
        check_texts(texts, self._limits)
        view = self._client.view
        entries = [self._entry_for(text, model, version, view) for text in texts]
        sources = await encode_texts(texts, entries)
        return [Reading(entry, source) for entry, source in zip(entries, sources, strict=True)]

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
        probabilities = await self._client.label(manifest.key, reading.source, terms)
        scores = dict(zip(manifest.labels, probabilities, strict=True))
        label = max(scores, key=scores.__getitem__)
        return SentimentResult(
            label=label,
            score=scores[label],
            polarity=scores.get("positive", 0.0) - scores.get("negative", 0.0),
            scores=scores,
            model=manifest.name,
            version=manifest.version,
        )
