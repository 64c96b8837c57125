"""Images of a request are decoded side by side, and none in vain."""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zmq
from PIL import Image

from app.engine.client import EngineClient
from app.errors import UnsupportedMedia
from app.store.model_store import read_store
from app.tasks.captioning import Captioning
from app.tasks.catalog import Catalog
from app.tasks.decoding import DecodingOptions
from app.tasks.images import ImageLimits

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


def test_decoding_stops_when_an_image_fails(tiny_store: Path) -> None:
    with Counting() as pool, zmq.Context() as context:
        limits = ImageLimits(bytes=10_000_000, pixels=1_000_000)
        captioning = Captioning(Catalog(read_store(tiny_store)), EngineClient((), context), limits, pool)
        files = [noise(), b"no picture", *[noise()] * FILES]
        with pytest.raises(UnsupportedMedia):
            asyncio.run(captioning.prepare(files, DecodingOptions(), model=None, version=None))
    assert pool.begun < FILES / 2
