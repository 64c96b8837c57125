"""Translation: a sentence to a sentence in another language."""

from collections.abc import Sequence

from app.engine.client import EngineClient
from app.errors import UnknownLanguage
from app.tasks.catalog import Catalog
from app.tasks.concurrently import concurrently
from app.tasks.results import SentenceResult, Usage
from app.tasks.sentences import sentence_of, tokens_to_emit
from app.tasks.texts import TextLimits, check_texts, encode_texts


class Translation:
    """Text to text, by a model that is named or by the default one of the two languages."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: TextLimits) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits

    async def run(
        self,
        texts: Sequence[str],
        *,
        model: str | None,
        version: int | None,
        source: str | None,
        target: str | None,
        max_tokens: int | None,
    ) -> tuple[list[SentenceResult], Usage]:
        """A translation of each text, in order."""
        check_texts(texts, self._limits)
        view = self._client.view
        if model is not None:
            entry = self._catalog.named("translation", model, version, view)
            own = (entry.manifest.source_language, entry.manifest.target_language)
            if source not in (None, own[0]) or target not in (None, own[1]):
                raise UnknownLanguage(f"{model} translates from {own[0]} to {own[1]}; leave out source and target")
        else:
            entry = self._catalog.default("translation", view, source=source, target=target)
        most = tokens_to_emit(entry, max_tokens)
        sources = await encode_texts(texts, [entry] * len(texts))
        answers = await concurrently(
            [self._client.sentence(entry.manifest.key, ids, max_tokens=most) for ids in sources]
        )
        usage = Usage(
            inputs=len(texts),
            source_tokens=sum(len(ids.ids) for ids in sources),
            emitted_tokens=sum(len(answer.tokens) for answer in answers),
        )
        return [sentence_of(entry, answer) for answer in answers], usage
