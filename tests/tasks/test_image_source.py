"""The source kinds image and frames: images of a request are decoded concurrently, none in vain, and not too many."""

import asyncio
import dataclasses
import gc
import io
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.errors import InputTooLong, TimedOut, UnsupportedMedia
from app.tasks.catalog import open_catalog
from app.tasks.options import TaskOptions
from app.tasks.registry import CHECKS
from app.tasks.sources.frames import Clip, FramesSource
from app.tasks.sources.image import ImageSource
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader
from tests.tiny_numbers import FRAME_SIZE
from tests.tiny_store import IMAGE_SIZE

FILES = 30


class Counting(ImageDecoders):
    """One decoder, which counts the images that it began."""

    def __init__(self) -> None:
        super().__init__(1, seconds=5, pixels=1_000_000)
        self.begun: list[int] = []

    async def decode(self, job: Job) -> bytes:
        self.begun.append(job.place.input)
        return await super().decode(job)


def noise() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((400, 400), 80).convert("RGB").save(file, "PNG")
    return file.getvalue()


async def read(
    store: Path, files: Sequence[bytes], decoders: ImageDecoders, *, seconds: float = 60, request_pixels: int = 10**6
) -> None:
    """Read images for the captioning model of a store, with a deadline in `seconds`."""
    entry = open_catalog(store, CHECKS).entries["caption-en", 1]
    limits = SourceLimits(text_chars=0, image_bytes=10_000_000, image_pixels=1_000_000, request_pixels=request_pixels)
    reader = Reader(limits, decoders)
    deadline = time.monotonic() + seconds  # when the store is open, which takes some time
    await ImageSource().read(files, [entry] * len(files), reader, TaskOptions(), pieces=False, deadline=deadline)


def run(test: Callable[[Counting], Awaitable[None]]) -> Counting:
    """Run a test with a decoder."""

    async def main() -> Counting:
        decoders = Counting()
        try:
            await test(decoders)
        finally:
            await decoders.close()
        return decoders

    return asyncio.run(main())


def test_decoding_stops_when_an_image_fails(tiny_store: Path) -> None:
    async def test(decoders: Counting) -> None:
        with pytest.raises(UnsupportedMedia):
            await read(tiny_store, [noise(), b"no picture", *[noise()] * FILES], decoders)

    assert run(test).begun == [0, 1]


def test_images_that_fail_together_are_one_error(tiny_store: Path) -> None:
    """The second of two decoders refuses its image when its caller is cancelled already."""
    heard: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        decoders = ImageDecoders(2, seconds=5, pixels=1_000_000)
        try:
            for _ in range(10):
                with pytest.raises(UnsupportedMedia):
                    await read(tiny_store, [b"no picture", b"no picture"], decoders)
                await read(tiny_store, [noise(), noise()], decoders)  # the decoders are free again
            gc.collect()  # an exception that was not retrieved is reported when its task is freed
        finally:
            await decoders.close()

    asyncio.run(main())
    assert not heard


def test_no_image_is_decoded_after_the_deadline(tiny_store: Path) -> None:
    """The second file is no image, but the deadline passes before it is decoded."""

    async def test(decoders: Counting) -> None:
        with pytest.raises(TimedOut):
            await read(tiny_store, [noise(), b"no picture"], decoders, seconds=0.05)

    assert run(test).begun == [0]


def test_requests_take_turns(tiny_store: Path) -> None:
    """A request with one image is answered before a request with many that came earlier."""

    async def test(decoders: Counting) -> None:
        many = asyncio.create_task(read(tiny_store, [noise()] * FILES, decoders))
        await asyncio.sleep(0)
        await read(tiny_store, [noise()], decoders)
        assert len(decoders.begun) < FILES / 2
        await many

    assert len(run(test).begun) == FILES + 1


def frames_of_a_clip(count: int) -> bytes:
    first, *others = [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(count)]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=80)
    return file.getvalue()


@pytest.mark.parametrize(
    ("frames", "clips", "begun"),
    [
        pytest.param(6, [frames_of_a_clip(7)] * 3, [], id="a model with a number of frames"),
        pytest.param(None, [[noise()] * 6] * 3, [], id="lists of images"),
        pytest.param(None, [frames_of_a_clip(6)] * 5, [0, 1, 2], id="files that say their number of frames"),
    ],
)
def test_clips_that_are_too_many_pixels_are_not_decoded(
    number_store: Path, frames: int | None, clips: list[Any], begun: list[int]
) -> None:
    """The limit of a request is two clips of six frames."""
    entry = open_catalog(number_store, CHECKS).entries["classify-frames", 1]
    entry = dataclasses.replace(entry, manifest=entry.manifest.model_copy(update={"frames": frames}))
    limits = SourceLimits(0, 1_000_000, 1_000_000, request_pixels=2 * 6 * FRAME_SIZE**2)
    inputs = [Clip(clip if isinstance(clip, list) else [clip]) for clip in clips]

    async def test(decoders: Counting) -> None:
        reader, source = Reader(limits, decoders), FramesSource()
        two = await source.read(inputs[:2], [entry] * 2, reader, TaskOptions(), pieces=False, deadline=None)
        assert [read.steps for read in two] == [6, 6]
        decoders.begun.clear()
        with pytest.raises(InputTooLong, match="pixels, each image 32 x 32 as the model reads it") as caught:
            await source.read(inputs, [entry] * len(inputs), reader, TaskOptions(), pieces=False, deadline=None)
        assert caught.value.facts == {"input": 2, "limit": limits.request_pixels}

    assert run(test).begun == begun


def test_images_that_are_too_many_pixels_are_not_decoded(tiny_store: Path) -> None:
    async def test(decoders: Counting) -> None:
        with pytest.raises(InputTooLong, match="the limit of a request is 16383") as caught:
            await read(tiny_store, [noise()] * 4, decoders, request_pixels=4 * IMAGE_SIZE**2 - 1)
        assert caught.value.facts == {"input": 3, "limit": 4 * IMAGE_SIZE**2 - 1}

    assert run(test).begun == []
