"""Animated files to frames, compared with the same pictures read one by one."""

import dataclasses
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.errors import InputTooLong, InputTooShort, InvalidImage, UnsupportedMedia
from app.tasks.sources.clip_files import read_clip, sampled
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_files import Target, read_image
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_clip, place_of_image

LIMITS = SourceLimits(text_chars=0, image_bytes=1_000_000, image_pixels=1_000_000, frames=40)
SIZE = 16
TARGET = Target(SIZE)
Pixels = NDArray[np.uint8]


def picture(number: int, mode: str = "RGB") -> Image.Image:
    """A square that moves to the right, in a colour of its number."""
    image = Image.new(mode, (64, 64), (0, 0, 0, 255)[: len(mode)])
    image.paste((40 + 6 * number, 200 - 5 * number, 90, 255)[: len(mode)], (number, 10, number + 20, 40))
    return image


def animated(count: int, kind: str, *, durations: int | list[int] = 80, mode: str = "RGB") -> bytes:
    first, *others = [picture(number, mode) for number in range(count)]
    file = io.BytesIO()
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    first.save(file, kind, save_all=True, append_images=others, duration=durations, loop=0, **options)
    return file.getvalue()


def frames_of(content: bytes, count: int | None, limits: SourceLimits = LIMITS) -> Pixels:
    pixels = read_clip(Job(content, place_of_clip(2), TARGET, limits, is_clip=True, frames=count))
    frames: Pixels = np.frombuffer(pixels, np.uint8).reshape(-1, SIZE, SIZE, 3)
    return frames


def still(number: int) -> Pixels:
    file = io.BytesIO()
    picture(number).save(file, "PNG")
    frame: Pixels = frames_of(file.getvalue(), None)[0]
    return frame


@pytest.mark.parametrize(("kind", "error"), [("WEBP", 0), ("PNG", 0), ("GIF", 12)])  # a GIF has 256 colours
@pytest.mark.parametrize("count", [None, 7, 1])
def test_frames_are_the_pictures_of_the_file(kind: str, error: int, count: int | None) -> None:
    frames = frames_of(animated(7, kind), count)
    chosen = range(7) if count is None else sampled([1.0] * 7, count)
    assert len(frames) == len(chosen)
    for frame, number in zip(frames, chosen, strict=True):
        assert np.abs(frame.astype(int) - still(number).astype(int)).max() <= error


def shown_at(durations: list[float], time: float) -> int:
    """The picture that a player shows at a time."""
    for number, duration in enumerate(durations):
        if time < duration:
            return number
        time -= duration
    return len(durations) - 1


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 30])
def test_samples_are_even_in_time(count: int) -> None:
    rng = np.random.default_rng(count)
    for pictures in (1, 2, 6, 17):
        durations = [float(value) for value in rng.integers(1, 9, pictures)]
        middles = [(number + 0.5) * sum(durations) / count for number in range(count)]
        assert sampled(durations, count) == [shown_at(durations, time) for time in middles]
    assert sampled([1.0] * count, count) == list(range(count))


def test_a_picture_that_is_shown_longer_is_sampled_more_often() -> None:
    """Encoders store equal pictures once, with a longer duration."""
    frames = frames_of(animated(4, "WEBP", durations=[80, 240, 80, 80]), 6)
    for frame, number in zip(frames, [0, 1, 1, 1, 2, 3], strict=True):
        assert np.array_equal(frame, still(number))


def test_transparency_is_laid_over_white() -> None:
    file = io.BytesIO()
    clear, red = Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    clear.save(file, "WEBP", save_all=True, append_images=[red], duration=50, lossless=True)
    frames = frames_of(file.getvalue(), None)
    assert (frames[0] == 255).all()
    assert (frames[1] == [255, 0, 0]).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_still_image_is_a_clip_of_one(kind: str) -> None:
    file = io.BytesIO()
    picture(3).save(file, kind)
    frames = frames_of(file.getvalue(), 1)
    assert frames.tobytes() == read_image(file.getvalue(), place_of_image(0), TARGET, LIMITS)


def test_equal_pictures_that_are_stored_once_count_by_their_time() -> None:
    file = io.BytesIO()
    six = [picture(0)] * 6
    six[0].save(file, "GIF", save_all=True, append_images=[*six[1:], *[picture(3)] * 6], duration=100)
    with Image.open(io.BytesIO(file.getvalue())) as stored:
        assert getattr(stored, "n_frames", 1) == 2
    frames = frames_of(file.getvalue(), 6)
    assert all(np.array_equal(frame, frames[0]) for frame in frames[:3])
    assert not np.array_equal(frames[2], frames[3])


def test_too_few_frames_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(InputTooShort, match=r"inputs\[2\] has 5 frames, but the model reads 6") as caught:
        frames_of(animated(5, "GIF"), 6)
    assert caught.value.facts == {"input": 2, "limit": 6}


def test_too_many_frames_are_refused_before_they_are_decoded() -> None:
    few = SourceLimits(text_chars=0, image_bytes=1_000_000, image_pixels=1_000_000, frames=6)
    with pytest.raises(InputTooLong, match="has 7 frames; the limit is 6") as caught:
        frames_of(animated(7, "WEBP"), 6, few)
    assert caught.value.facts == {"input": 2, "limit": 6}


def test_all_pictures_of_a_file_may_be_too_many_pixels() -> None:
    """A model without a number of frames reads them all; one with a number keeps no more than that."""
    few = dataclasses.replace(LIMITS, request_pixels=6 * SIZE**2)
    content = animated(7, "GIF")
    assert len(frames_of(content, 6, few)) == 6
    with pytest.raises(InputTooLong, match=r"have 1792 pixels.*the limit of a request is 1536: send fewer") as caught:
        frames_of(content, None, few)
    assert caught.value.facts == {"input": 2, "limit": 1536}
    assert len(frames_of(animated(6, "GIF"), None, few)) == 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_a_file_that_is_cut_short_is_refused_or_has_fewer_frames(kind: str) -> None:
    content = animated(12, kind)
    outcomes, refusals = set(), []
    for length in range(10, len(content), max(1, len(content) // 40)):
        try:
            outcomes.add(len(frames_of(content[:length], None)))
        except (InvalidImage, UnsupportedMedia) as error:
            refusals.append(error.detail)
    assert refusals
    assert all("inputs[2]" in detail for detail in refusals)
    assert outcomes <= set(range(1, 13))


def test_what_is_no_image_is_refused_with_the_formats() -> None:
    with pytest.raises(UnsupportedMedia, match="send GIF, JPEG, PNG or WEBP"):
        frames_of(b"no picture", None)
