"""The source kind image: images of a request are decoded concurrently, and none in vain."""

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.errors import TimedOut, UnsupportedMedia
from app.tasks.catalog import open_catalog
from app.tasks.registry import CHECKS
from app.tasks.sources.image import ImageSource
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader

FILES = 30


class Counting(ThreadPoolExecutor):
    """One thread, which counts the calls that it began."""

    def __init__(self) -> None:
        super().__init__(1)
        self.begun = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        def counted() -> Any:
            self.begun += 1
            return call(*args, **options)

        return super().submit(counted)


def noise() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((400, 400), 80).convert("RGB").save(file, "PNG")
    return file.getvalue()


def read(store: Path, files: Sequence[bytes], pool: ThreadPoolExecutor, *, deadline: float | None = None) -> None:
    """Read images for the captioning model of a store."""
    entry = open_catalog(store, CHECKS).entries["caption-en", 1]
    reader = Reader(SourceLimits(text_chars=0, image_bytes=10_000_000, image_pixels=1_000_000), pool)
    asyncio.run(ImageSource().read(files, [entry] * len(files), reader, pieces=False, deadline=deadline))


def test_decoding_stops_when_an_image_fails(tiny_store: Path) -> None:
    with Counting() as pool, pytest.raises(UnsupportedMedia):
        read(tiny_store, [noise(), b"no picture", *[noise()] * FILES], pool)
    assert pool.begun < FILES / 2


def test_no_image_is_decoded_after_the_deadline(tiny_store: Path) -> None:
    """The second file is no image, but the deadline passes before it is decoded."""
    with Counting() as pool:
        deadline = time.monotonic() + 0.2
        pool.submit(time.sleep, 0.4)
        with pytest.raises(TimedOut):
            read(tiny_store, [noise(), b"no picture"], pool, deadline=deadline)
