"""Images of a request are decoded side by side, and none in vain."""

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zmq
from PIL import Image

from app.engine.client import EngineClient
from app.errors import TimedOut, UnsupportedMedia
from app.store.model_store import read_store
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.captioning import Captioning
from app.tasks.catalog import Catalog
from app.tasks.sources.image_files import ImageLimits

FILES = 30


class Counting(ThreadPoolExecutor):
    """One thread, and the number of calls that it began."""

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


def captioning(store: Path, context: "zmq.Context[zmq.Socket[bytes]]", pool: ThreadPoolExecutor) -> Captioning:
    limits = ImageLimits(bytes=10_000_000, pixels=1_000_000)
    return Captioning(Catalog(read_store(store)), EngineClient((), context), limits, pool)


def test_decoding_stops_when_an_image_fails(tiny_store: Path) -> None:
    with Counting() as pool, zmq.Context() as context:
        files = [noise(), b"no picture", *[noise()] * FILES]
        preparing = captioning(tiny_store, context, pool).prepare(files, DecodingOptions(), model=None, version=None)
        with pytest.raises(UnsupportedMedia):
            asyncio.run(preparing)
    assert pool.begun < FILES / 2


def test_nothing_is_decoded_when_the_time_is_over(tiny_store: Path) -> None:
    """The second file is no picture, which nobody finds out."""
    with Counting() as pool, zmq.Context() as context:
        files, deadline = [noise(), b"no picture"], time.monotonic() + 0.2
        pool.submit(time.sleep, 0.4)
        preparing = captioning(tiny_store, context, pool).prepare(
            files, DecodingOptions(), model=None, version=None, deadline=deadline
        )
        with pytest.raises(TimedOut):
            asyncio.run(preparing)
