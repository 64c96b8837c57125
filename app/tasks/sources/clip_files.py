"""Files that move to frames: an animated GIF, WebP or PNG as RGB images of a fixed size, sampled evenly in time.

Runs in a decoder, see `app.tasks.sources.image_decoders`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from PIL import (
    GifImagePlugin,  # noqa: F401 - it registers its format
    Image,
)

from app.errors import InputTooLong, InputTooShort, counted
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_files import FORMATS, Target, opened, pictures_in, pixels
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import Place
from app.tasks.sources.request_pixels import too_many_pixels

CLIP_FORMATS = ("GIF", *FORMATS)
_USUAL = 100.0  # milliseconds of a picture without a duration, as browsers show it


def read_clip(job: Job) -> bytes:
    """The RGB bytes of `job.frames` frames of a file, one after the other; None takes every picture. A frame
    lasts as long as the shortest picture, at most a tenth of a second; a still image is a clip of one. Raises as
    `read_image` does, and InputTooShort."""
    place, target, limits = job.place, job.target, job.limits
    assert isinstance(job.image, bytes)
    with opened(job.image, place, target, limits, CLIP_FORMATS) as image:
        pictures = pictures_in(image)
        if pictures > limits.frames:
            raise too_many_frames(place, pictures, limits)
        if job.frames is not None:
            chosen = _chosen(image, pictures, place, job.frames)
        else:
            chosen = list(range(pictures))
            if pictures * target.size**2 > limits.request_pixels:
                raise too_many_pixels(job, pictures * target.size**2, limits.request_pixels)
        shown = {number: _shown(image, number, target) for number in sorted(set(chosen))}
        return b"".join([shown[number] for number in chosen])


def _chosen(image: Image.Image, pictures: int, place: Place, count: int) -> list[int]:
    """The picture of each of `count` frames."""
    durations = _durations(image, pictures)
    frame = min(_USUAL, *durations)  # equal neighbours may be one picture that is shown longer
    check_frames(place, round(sum(durations) / frame), count)
    return sampled(durations, count)


def _durations(image: Image.Image, pictures: int) -> list[float]:
    """The milliseconds of each picture. All are decoded, and none is kept."""
    if pictures == 1:
        return [_USUAL]  # not decoded: a JPEG is then decoded at a fraction of its size
    milliseconds: list[float] = []
    for number in range(pictures):
        image.seek(number)
        image.load()  # some plugins know the duration only now
        milliseconds.append(image.info.get("duration") or _USUAL)
    return milliseconds


def _shown(image: Image.Image, number: int, target: Target) -> bytes:
    image.seek(number)
    return pixels(image, target)


def sampled(durations: Sequence[float], count: int) -> list[int]:
    """The pictures that are shown in the middle of each of `count` equal spans of the whole time."""
    ends = list(accumulate(durations))
    span = ends[-1] / count
    last = len(ends) - 1
    return [min(last, bisect_right(ends, (number + 0.5) * span)) for number in range(count)]


def check_frames(place: Place, frames: int, count: int) -> None:
    """Raises InputTooShort for a clip of fewer `frames` than the model reads."""
    if frames < count:
        raise InputTooShort(
            f"{place} has {counted(frames, 'frame')}, but the model reads {count}: send at least {count} images, or an "
            "animated file of as many",
            input=place.input,
            limit=count,
        )


def too_many_frames(place: Place, frames: int, limits: SourceLimits) -> InputTooLong:
    """The error of a clip with too many images."""
    return InputTooLong(
        f"{place} has {frames} frames; the limit is {limits.frames}: send fewer, evenly spaced",
        input=place.input,
        limit=limits.frames,
    )
