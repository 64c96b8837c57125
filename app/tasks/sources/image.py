"""The source kind `image`: image files, or their pixels, to the pixels that a model reads."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from app.engine.protocol import Pixels
from app.errors import TimedOut
from app.store.manifest import ImageInput
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.job import ReadSource
from app.tasks.sources.image_files import RawImage, read_image, read_raw
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader, SourceKind

_PIXELS = Column("pixels", "uint8", (ANY, ANY, 3))


class ImageSource(SourceKind[bytes | RawImage]):
    """An image: the bytes of a file, or pixels. The pool decodes a few files at a time, which bounds their memory."""

    kind = "image"
    options_in_query = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `SourceKind.columns`: files, or pixels of any height and width."""
        return Column("image", "file"), _PIXELS

    def from_column(self, column: Column, values: Sequence[Any], shape: Sequence[int]) -> Sequence[bytes | RawImage]:
        """See `SourceKind.from_column`."""
        if column != _PIXELS:
            return values
        height, width, _ = shape
        return [RawImage(width, height, bytes(value)) for value in values]

    def check(self, inputs: Sequence[bytes | RawImage], limits: SourceLimits) -> None:
        """Nothing: an image is checked when it is decoded."""

    async def read(
        self,
        inputs: Sequence[bytes | RawImage],
        entries: Sequence[Entry],
        reader: Reader,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`. No further file is decoded after `deadline`, or after a failure."""

        def pixels(item: bytes | RawImage, index: int, image: ImageInput) -> bytes:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut("the deadline passed before the images were decoded; send fewer, or allow more time")
            if isinstance(item, RawImage):
                return read_raw(item, index, image, reader.limits)
            return read_image(item, index, image, reader.limits)

        loop = asyncio.get_running_loop()
        images = [_image_of(entry) for entry in entries]
        decoding = [
            loop.run_in_executor(reader.pool, pixels, item, index, image)
            for index, (item, image) in enumerate(zip(inputs, images, strict=True))
        ]
        try:
            decoded = await asyncio.gather(*decoding)
        except BaseException:
            for work in decoding:
                work.cancel()
            raise
        return [ReadSource(Pixels(image.size, data)) for image, data in zip(images, decoded, strict=True)]


def _image_of(entry: Entry) -> ImageInput:
    assert entry.manifest.image is not None  # of every model that reads images, see `Manifest`
    return entry.manifest.image
