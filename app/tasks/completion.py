"""Completion: a text to what may come after it, by a language model."""

from collections.abc import Sequence

import msgspec

from app.engine.client import EngineClient, EngineView
from app.engine.protocol import Tokens
from app.errors import EmptyInput
from app.tasks.answers.decoding_options import DecodingOptions, emit_for
from app.tasks.answers.tokens import emit_of
from app.tasks.answers.transcript import Job
from app.tasks.catalog import Catalog, Entry
from app.tasks.sources.language import language_of
from app.tasks.sources.text import TextLimits, check_length, encode_texts, prefix_ids


class Completion:
    """Text to continuation. Without a model, each text's script chooses one.

    All of a text but its last token is consumed; that one is the first input of what is emitted.
    """

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
        next_tokens: int = 0,
    ) -> list[Job]:
        """What an engine has to do for each text, in order. The `next_tokens` most probable first tokens are told."""
        for index, text in enumerate(texts):
            check_length(text, index, self._limits)
        view = self._client.view
        entries = [self._entry_for(text, model, version, view) for text in texts]
        emits = [emit_for(entry, options) for entry in entries]
        sources = await encode_texts([text.rstrip() for text in texts], entries, prefix_ids)
        jobs = []
        for number, (text, entry, emit, source) in enumerate(zip(texts, entries, emits, sources, strict=True)):
            *consumed, first = source.ids
            if not consumed:
                raise EmptyInput(f"inputs[{number}] is empty, and {entry.manifest.name} needs a word to go on from")
            emit = msgspec.structs.replace(emit, first=first, alternatives=max(emit.alternatives, next_tokens))
            is_within_word = text != "" and not text[-1].isspace()
            jobs.append(
                Job(
                    entry,
                    Tokens(consumed),
                    emit_of(emit, number),
                    options,
                    after=entry.tokenizer.end_of(source.ids) if is_within_word else (),
                    next_tokens=next_tokens,
                )
            )
        return jobs

    def _entry_for(self, text: str, model: str | None, version: int | None, view: EngineView) -> Entry:
        if model is not None:
            return self._catalog.named("completion", model, version, view)
        return self._catalog.default("completion", view, source=language_of(text))
