"""Decoder processes: bounded in time and memory, replaced when they end, and never left behind."""

import asyncio
import dataclasses
import io
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil
import pytest
from PIL import Image

from app.errors import InvalidImage, UnsupportedMedia
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.image_files import RawImage, Target, read_image
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_clip, place_of_image
from tests.api.clips import pictures
from tests.tasks.hostile_images import png, saved, slow_jpeg

LIMITS = SourceLimits(text_chars=0, image_bytes=12 * 2**20, image_pixels=50_000_000)
TARGET = Target(32)
SMALL = saved(Image.effect_noise((400, 300), 50).convert("RGB"), "PNG")
Result = TypeVar("Result")
_OTHERS: list[psutil.Process] = []  # decoders of servers in this process


def job(content: bytes | RawImage, index: int = 0, limits: SourceLimits = LIMITS) -> Job:
    return Job(content, place_of_image(index), TARGET, limits)


def run(
    test: Callable[[ImageDecoders], Awaitable[Result]], *, count: int = 1, seconds: float = 5, pixels: int = 50_000_000
) -> Result:
    """Run a test with decoders, and check that none is left behind."""

    async def main() -> Result:
        decoders = ImageDecoders(count, seconds=seconds, pixels=pixels)
        try:
            return await test(decoders)
        finally:
            await decoders.close()

    _OTHERS[:] = children()
    result = asyncio.run(main())
    assert processes() == []
    return result


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "app.tasks.sources.image_decoder" in child.cmdline()]


def processes() -> list[psutil.Process]:
    """The decoders of the test."""
    return [child for child in children() if child not in _OTHERS]


def test_pixels_are_those_of_the_file() -> None:
    raw = RawImage(5, 4, bytes(range(60)))

    async def test(decoders: ImageDecoders) -> list[bytes]:
        return await asyncio.gather(*(decoders.decode(job(item)) for item in (SMALL, raw, SMALL)))

    first, small, again = run(test, count=2)
    assert first == again == read_image(SMALL, place_of_image(0), TARGET, LIMITS)
    assert len(small) == 3 * 32 * 32


def test_a_refusal_is_the_error_of_the_file() -> None:
    async def test(decoders: ImageDecoders) -> None:
        with pytest.raises(UnsupportedMedia, match=r"images\[3\]") as caught:
            await decoders.decode(job(b"no picture", 3))
        assert caught.value.facts == {"input": 3}
        assert await decoders.decode(job(SMALL))

    run(test)


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_decoded() -> None:
    async def test(decoders: ImageDecoders) -> None:
        await decoders.decode(job(SMALL))
        (before,) = processes()
        with pytest.raises(InvalidImage, match=r"takes longer than 0\.5 s to decode") as caught:
            await decoders.decode(job(slow_jpeg(), 2))
        assert caught.value.facts == {"input": 2}
        assert await decoders.decode(job(SMALL)) == read_image(SMALL, place_of_image(0), TARGET, LIMITS)
        assert processes() != [before]

    run(test, seconds=0.5)


def test_a_file_that_needs_too_much_memory_is_refused() -> None:
    limits = SourceLimits(text_chars=0, image_bytes=12 * 2**20, image_pixels=200_000_000)

    async def test(decoders: ImageDecoders) -> None:
        with pytest.raises(InvalidImage, match="too much memory"):
            await decoders.decode(job(png(12_000, 12_000, 6), limits=limits))
        assert await decoders.decode(job(SMALL))

    run(test, pixels=1)


def test_a_clip_that_needs_too_much_memory_is_refused() -> None:
    """The file is small, and the message with its frames is larger than the process may be."""
    file = io.BytesIO()
    first, second = pictures(2)
    first.save(file, "WEBP", save_all=True, append_images=[second], duration=[10, 1000])
    limits = dataclasses.replace(LIMITS, request_pixels=10**9)
    large = Job(file.getvalue(), place_of_clip(2), Target(3000), limits, is_clip=True, frames=7)

    async def test(decoders: ImageDecoders) -> None:
        await decoders.decode(job(SMALL))
        before = processes()
        with pytest.raises(InvalidImage, match="too much memory to decode; send a smaller image") as caught:
            await decoders.decode(large)
        assert caught.value.facts == {"input": 2}
        assert await decoders.decode(job(SMALL))
        assert processes() == before, "the decoder goes on"

    run(test, pixels=1)


def test_closing_ends_a_decoder_at_work() -> None:
    async def test(decoders: ImageDecoders) -> None:
        decoders.start()
        slow = asyncio.create_task(decoders.decode(job(slow_jpeg())))
        await asyncio.sleep(0.5)
        await decoders.close()
        with pytest.raises(asyncio.CancelledError):
            await slow

    run(test, seconds=60)


def test_a_decoder_that_is_killed_is_replaced() -> None:
    async def test(decoders: ImageDecoders) -> None:
        await decoders.decode(job(SMALL))
        (process,) = processes()
        used = process.cpu_times().user
        slow = asyncio.create_task(decoders.decode(job(slow_jpeg())))
        while process.cpu_times().user < used + 0.1:  # noqa: ASYNC110 - it has not begun to decode
            await asyncio.sleep(0.01)
        process.kill()
        with pytest.raises(InvalidImage, match="cannot be decoded"):
            await slow
        assert await decoders.decode(job(SMALL))

    run(test)


def test_a_decoder_killed_while_idle_costs_no_request() -> None:
    async def test(decoders: ImageDecoders) -> None:
        await decoders.decode(job(SMALL))
        (process,) = processes()
        process.kill()
        process.wait(60)
        assert await decoders.decode(job(SMALL))

    run(test)


def test_a_cancelled_request_frees_its_decoder() -> None:
    async def test(decoders: ImageDecoders) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(decoders.decode(job(slow_jpeg())), 0.4)
        assert await asyncio.wait_for(decoders.decode(job(SMALL)), 60)

    run(test, seconds=0.5)


def test_decoders_ignore_signals_to_the_whole_service_and_inherit_no_socket() -> None:
    async def test(decoders: ImageDecoders) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            os.set_inheritable(listener.fileno(), True)  # as that of a worker is
            await decoders.decode(job(SMALL))
            (process,) = processes()
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)
            assert await decoders.decode(job(SMALL))
            assert processes() == [process]
            assert process.net_connections("inet") == []

    run(test)
