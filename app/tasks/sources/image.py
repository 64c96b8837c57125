"""The source kind `image`: image files, or their pixels, to the pixels that a model reads."""

import time
from collections.abc import Sequence
from typing import Any

from app.engine.protocol import Pixels
from app.errors import TimedOut
from app.store.image_input import ImageInput
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.concurrently import concurrently
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_files import RawImage, Target
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_image
from app.tasks.sources.request_pixels import RequestPixels
from app.tasks.sources.source_kind import Reader, SourceKind

_PIXELS = Column("pixels", "uint8", (ANY, ANY, 3), ("height", "width"))


class ImageSource(SourceKind[bytes | RawImage]):
    """An image: the bytes of a file, or pixels. Decoders are few, which bounds their memory; requests take turns."""

    kinds = ("image",)
    items = (bytes, RawImage)
    options_in_query = True

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`: files, or pixels of any height and width."""
        return Column("image", "file"), _PIXELS

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[bytes | RawImage]:
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
        images = [image_of(entry) for entry in entries]
        jobs = [
            Job(item, place_of_image(index), target_of(image), reader.limits)
            for index, (item, image) in enumerate(zip(inputs, images, strict=True))
        ]
        decoded = await decode_all(reader, jobs, deadline)
        return [ReadSource(Pixels(image.size, data)) for image, data in zip(images, decoded, strict=True)]


async def decode_all(reader: Reader, jobs: Sequence[Job], deadline: float | None) -> list[bytes]:
    """The pixels of each file, in order. Raises as `ImageDecoders.decode` does, TimedOut, and InputTooLong as soon as
    all of them are too many pixels."""
    count = RequestPixels(reader.limits.request_pixels)
    count.expect(jobs)
    decoded = [b""] * len(jobs)
    undecoded = enumerate(jobs)

    async def decode() -> None:
        for number, job in undecoded:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut("the deadline passed before the images were decoded; send fewer, or allow more time")
            decoded[number] = await reader.decoders.decode(job)
            count.decoded(job, decoded[number])

    await concurrently([decode() for _ in range(min(len(jobs), reader.decoders.count))])
    return decoded


def target_of(image: ImageInput) -> Target:
    """The target of decoders for a model."""
    return Target(image.size, image.shorter_side, image.resample, image.reading)


def image_of(entry: Entry) -> ImageInput:
    """How images become the input of a model that reads them."""
    assert entry.manifest.image is not None  # of every model that reads images, see `Manifest`
    return entry.manifest.image
