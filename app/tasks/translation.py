"""Translation: a sentence to a sentence in another language."""

from collections.abc import Sequence

from app.engine.client import EngineClient
from app.errors import UnknownLanguage
from app.tasks.answers.decoding_options import DecodingOptions, emit_for
from app.tasks.answers.tokens import emit_of
from app.tasks.answers.transcript import Job
from app.tasks.catalog import Catalog, Entry
from app.tasks.sources.text import TextLimits, check_texts, encode_texts


class Translation:
    """Text to text, by a model that is named or by the default one of the two languages."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: TextLimits) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits

    async def prepare(
        self,
        texts: Sequence[str],
        options: DecodingOptions,
        *,
        model: str | None,
        version: int | None,
        source: str | None,
        target: str | None,
    ) -> list[Job]:
        """What an engine has to do for each text, in order."""
        check_texts(texts, self._limits)
        entry = self._entry_for(model, version, source, target)
        emit = emit_for(entry, options)
        sources = await encode_texts(texts, [entry] * len(texts))
        return [
            Job(
                entry,
                ids,
                emit_of(emit, number),
                options,
                entry.tokenizer.pieces(text) if options.attention else (),
            )
            for number, (text, ids) in enumerate(zip(texts, sources, strict=True))
        ]

    def _entry_for(self, model: str | None, version: int | None, source: str | None, target: str | None) -> Entry:
        view = self._client.view
        if model is None:
            return self._catalog.default("translation", view, source=source, target=target)
        entry = self._catalog.named("translation", model, version, view)
        own = (entry.manifest.source_language, entry.manifest.target_language)
        if source not in (None, own[0]) or target not in (None, own[1]):
            raise UnknownLanguage(f"{model} translates from {own[0]} to {own[1]}; leave out source and target")
        return entry
