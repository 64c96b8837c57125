"""Captioning: an image to a sentence about it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from app.engine.client import EngineClient
from app.engine.messages import Pixels
from app.tasks.catalog import Catalog
from app.tasks.concurrently import concurrently
from app.tasks.images import ImageLimits, read_image
from app.tasks.results import SentenceResult, Usage
from app.tasks.sentences import sentence_of, tokens_to_emit


class Captioning:
    """Image files to sentences. Files are decoded in `pool`, a few at a time, which bounds the memory they take."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: ImageLimits, pool: Executor) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits
        self._pool = pool

    async def run(
        self, files: Sequence[bytes], *, model: str | None, version: int | None, max_tokens: int | None
    ) -> tuple[list[SentenceResult], Usage]:
        """A caption for each file, in order."""
        view = self._client.view
        if model is not None:
            entry = self._catalog.named("captioning", model, version, view)
        else:
            entry = self._catalog.default("captioning", view)
        most = tokens_to_emit(entry, max_tokens)
        assert entry.manifest.image is not None
        size = entry.manifest.image.size
        loop = asyncio.get_running_loop()
        pixels = await asyncio.gather(
            *(
                loop.run_in_executor(self._pool, read_image, file, index, size, self._limits)
                for index, file in enumerate(files)
            )
        )
        answers = await concurrently(
            [self._client.sentence(entry.manifest.key, Pixels(size, data), max_tokens=most) for data in pixels]
        )
        usage = Usage(inputs=len(files), source_tokens=0, emitted_tokens=sum(len(answer.tokens) for answer in answers))
        return [sentence_of(entry, answer) for answer in answers], usage
