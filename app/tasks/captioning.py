"""Captioning: an image to a sentence about it."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from app.engine.client import EngineClient
from app.engine.protocol import Pixels
from app.errors import TimedOut
from app.store.manifest import ImageInput
from app.tasks.answers.decoding_options import DecodingOptions, emit_for
from app.tasks.answers.tokens import emit_of
from app.tasks.answers.transcript import Job
from app.tasks.catalog import Catalog
from app.tasks.sources.image_files import ImageLimits, RawImage, read_image, read_raw


class Captioning:
    """Image files, or their pixels, to sentences. Files are decoded in `pool`, a few at a time, which bounds the memory
    they take."""

    def __init__(self, catalog: Catalog, client: EngineClient, limits: ImageLimits, pool: Executor) -> None:
        self._catalog = catalog
        self._client = client
        self._limits = limits
        self._pool = pool

    async def prepare(
        self,
        files: Sequence[bytes | RawImage],
        options: DecodingOptions,
        *,
        model: str | None,
        version: int | None,
        deadline: float | None = None,
    ) -> list[Job]:
        """What an engine has to do for each file, in order. After `deadline`, on the clock of `time.monotonic`, nothing
        is decoded any more: raises TimedOut."""
        view = self._client.view
        if model is not None:
            entry = self._catalog.named("captioning", model, version, view)
        else:
            entry = self._catalog.default("captioning", view)
        emit = emit_for(entry, options)
        assert entry.manifest.image is not None
        pixels = await self._decoded(files, entry.manifest.image, deadline)
        return [Job(entry, source, emit_of(emit, number), options) for number, source in enumerate(pixels)]

    async def _decoded(
        self, files: Sequence[bytes | RawImage], wanted: ImageInput, deadline: float | None
    ) -> list[Pixels]:
        """Pixels of each file. When one fails, those that have not begun are not decoded."""

        def pixels(file: bytes | RawImage, index: int) -> bytes:
            if deadline is not None and time.monotonic() > deadline:  # it waited for its turn until now
                raise TimedOut("its time was over before its images were decoded")
            if isinstance(file, RawImage):
                return read_raw(file, index, wanted, self._limits)
            return read_image(file, index, wanted, self._limits)

        loop = asyncio.get_running_loop()
        decoding = [loop.run_in_executor(self._pool, pixels, file, index) for index, file in enumerate(files)]
        try:
            return [Pixels(wanted.size, data) for data in await asyncio.gather(*decoding)]
        except BaseException:
            for image in decoding:
                image.cancel()
            raise
