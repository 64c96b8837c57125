"""Sentiment: sequence to label, with its degree."""

from collections.abc import Sequence

from app.engine.client import EngineClient, EngineView
from app.engine.messages import Tokens
from app.tasks.catalog import Catalog, Entry
from app.tasks.concurrently import concurrently
from app.tasks.language import language_of
from app.tasks.results import SentimentResult, Usage
from app.tasks.texts import TextLimits, check_texts, encode_texts


class Sentiment:
    """Text to a probability for each label. Without a model, each text's script chooses one."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: TextLimits) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits

    async def run(
        self, texts: Sequence[str], *, model: str | None, version: int | None
    ) -> tuple[list[SentimentResult], Usage]:
        """A result for each text, in order."""
        check_texts(texts, self._limits)
        view = self._client.view
        entries = [self._entry_for(text, model, version, view) for text in texts]
        sources = await encode_texts(texts, entries)
        pairs = zip(entries, sources, strict=True)
        results = await concurrently([self._answer(entry, source) for entry, source in pairs])
        tokens = sum(len(source.ids) for source in sources)
        return results, Usage(inputs=len(texts), source_tokens=tokens, emitted_tokens=0)

    def _entry_for(self, text: str, model: str | None, version: int | None, view: EngineView) -> Entry:
        if model is not None:
            return self._catalog.named("sentiment", model, version, view)
        return self._catalog.default("sentiment", view, source=language_of(text))

    async def _answer(self, entry: Entry, source: Tokens) -> SentimentResult:
        probabilities = await self._client.label(entry.manifest.key, source)
        scores = dict(zip(entry.manifest.labels, probabilities, strict=True))
        label = max(scores, key=scores.__getitem__)
        polarity = scores.get("positive", 0.0) - scores.get("negative", 0.0)
        return SentimentResult(
            label=label,
            score=scores[label],
            polarity=polarity,
            scores=scores,
            model=entry.manifest.name,
            version=entry.manifest.version,
        )
