"""Files that move to frames: an animated GIF, WebP or PNG as RGB images of a fixed size, sampled evenly in time.

Runs in a decoder, see `app.tasks.sources.image_decoders`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from PIL import GifImagePlugin  # noqa: F401 - it registers its format

from app.errors import InputTooLong, InputTooShort, counted
from app.tasks.sources.image_files import FORMATS, Target, opened, pictures_in, pixels
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import Place

CLIP_FORMATS = ("GIF", *FORMATS)
_USUAL = 100.0  # milliseconds of a picture without a duration, as browsers show it


def read_clip(content: bytes, place: Place, target: Target, limits: SourceLimits, count: int | None) -> bytes:
    """The RGB bytes of `count` frames of a file, one after the other; None takes every picture. A frame lasts as long
    as the shortest picture, at most a tenth of a second; a still image is a clip of one. Raises as `read_image` does,
    and InputTooShort."""
    shown: list[bytes] = []
    milliseconds: list[float] = []
    with opened(content, place, target, limits, CLIP_FORMATS) as image:
        pictures = pictures_in(image)
        if pictures > limits.frames:
            raise too_many_frames(place, pictures, limits)
        for number in range(pictures):
            image.seek(number)
            shown.append(pixels(image, target))
            milliseconds.append(image.info.get("duration") or _USUAL)  # some plugins know it after decoding
    if count is None:
        return b"".join(shown)
    frame = min(_USUAL, *milliseconds)  # equal neighbours may be one picture that is shown longer
    check_frames(place, round(sum(milliseconds) / frame), count)
    return b"".join([shown[number] for number in sampled(milliseconds, count)])


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
