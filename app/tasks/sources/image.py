"""The source kind `image`: image files, or their pixels, to the pixels that a model reads."""

import time
from collections.abc import Sequence
from typing import Any

from app.engine.protocol import Pixels
from app.errors import TimedOut
from app.store.manifest import ImageInput
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.concurrently import concurrently
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_files import RawImage, Target
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader, SourceKind

_PIXELS = Column("pixels", "uint8", (ANY, ANY, 3))


class ImageSource(SourceKind[bytes | RawImage]):
    """An image: the bytes of a file, or pixels. Decoders are few, which bounds their memory; requests take turns."""

    kinds = ("image",)
    items = (bytes, RawImage)
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

    def check(self, inputs: Sequence[bytes | RawImage], limits: SourceLimits, options: TaskOptions) -> None:
        """Nothing: an image is checked when it is decoded."""

    async def read(
        self,
        inputs: Sequence[bytes | RawImage],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`. No further file is decoded after `deadline`, or after a failure."""

        images = [_image_of(entry) for entry in entries]
        decoded = [b""] * len(inputs)
        undecoded = enumerate(zip(inputs, images, strict=True))

        async def decode() -> None:
            for index, (item, image) in undecoded:
                if deadline is not None and time.monotonic() > deadline:
                    raise TimedOut("the deadline passed before the images were decoded; send fewer, or allow more time")
                decoded[index] = await reader.decoders.decode(Job(item, index, target_of(image), reader.limits))

        await concurrently([decode() for _ in range(min(len(inputs), reader.decoders.count))])
        return [ReadSource(Pixels(image.size, data)) for image, data in zip(images, decoded, strict=True)]


def target_of(image: ImageInput) -> Target:
    """The target of decoders for a model."""
    return Target(image.size, image.shorter_side, image.resample, image.reading)


def _image_of(entry: Entry) -> ImageInput:
    assert entry.manifest.image is not None  # of every model that reads images, see `Manifest`
    return entry.manifest.image
