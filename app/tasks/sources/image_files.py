"""Image files to pixels: what a camera, a browser or a scanner may send, as RGB of a fixed size.

Runs in a decoder, see `app.tasks.sources.image_decoders`.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from PIL import (
    ExifTags,
    Image,
    JpegImagePlugin,  # noqa: F401 - these four register their formats
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from app.errors import EmptyInput, InputError, InputTooLong, InvalidImage, UnsupportedMedia
from app.tasks.sources.image_parts import check_parts
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import Place

Image.MAX_IMAGE_PIXELS = None  # `check_pixels` has our own limit
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_SIDE = 32_768  # pixels; the tables of resampling grow with the longer side, and panoramas of phones have 20,000
_STILL = {"MPO"}  # a JPEG of a camera, with further pictures or a gain map after the main picture
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation, how to undo it


class Target(msgspec.Struct, frozen=True):
    """The pixels that a model reads; members as in `ImageInput`."""

    size: int
    shorter_side: int | None = None
    resample: str = "bilinear"
    reading: str = "careful"


@dataclass(frozen=True)
class RawImage:
    """RGB bytes, row by row from the top left."""

    width: int
    height: int
    data: bytes


def read_raw(raw: RawImage, place: Place, target: Target, limits: SourceLimits) -> bytes:
    """`size` x `size` RGB bytes of raw pixels. Raises EmptyInput or InputTooLong."""
    if not raw.data:
        raise EmptyInput(f"{place} has no pixels; send at least one", input=place.input)
    check_pixels(raw.width, raw.height, place, target, limits)
    return _sized(Image.frombytes("RGB", (raw.width, raw.height), raw.data), target).tobytes()


def read_image(content: bytes, place: Place, target: Target, limits: SourceLimits) -> bytes:
    """`size` x `size` RGB bytes of an image file, scaled as `target` says.

    Unless `target.reading` is `plain`, the image is turned upright, transparency is laid over white, and 16-bit samples
    are scaled to 8 bits. Raises EmptyInput, InputTooLong, UnsupportedMedia or InvalidImage, with the `place` of the
    file in the request.
    """
    if content.startswith((b"GIF87a", b"GIF89a")):
        raise UnsupportedMedia(f"{place} is a GIF file; send {_in_words(FORMATS)}", input=place.input)
    with opened(content, place, target, limits, FORMATS) as image:
        if pictures_in(image) > 1:
            raise UnsupportedMedia(f"{place} is animated; send one still picture", input=place.input)
        return pixels(image, target)


@contextmanager
def opened(
    content: bytes, place: Place, target: Target, limits: SourceLimits, formats: Sequence[str]
) -> Iterator[Image.Image]:
    """The image of a file, checked against the limits but not decoded. Raises as `read_image` does, also for errors of
    the block that decodes it."""
    if not content:
        raise EmptyInput(f"{place} is an empty file; send {_in_words(formats)}", input=place.input)
    if len(content) > limits.image_bytes:
        raise InputTooLong(
            f"{place} has {len(content)} bytes; the limit is {limits.image_bytes}: send a smaller file",
            input=place.input,
            limit=limits.image_bytes,
        )
    check_parts(content, place)
    kind = "an image"
    try:
        with Image.open(io.BytesIO(content), formats=tuple(formats)) as image:
            kind = f"a {image.format} file"
            check_pixels(image.width, image.height, place, target, limits)
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise UnsupportedMedia(
            f"{place} is not an image in a supported format; send {_in_words(formats)}", input=place.input
        ) from error
    except MemoryError as error:
        raise InvalidImage(
            f"{place} needs too much memory to decode; send a smaller image", input=place.input
        ) from error
    except Exception as error:  # damaged files make Pillow raise errors of any class, even AssertionError
        raise InvalidImage(
            f"{place} is {kind} that is damaged or cut short; send it whole", input=place.input
        ) from error


def pictures_in(image: Image.Image) -> int:
    """The number of pictures that a file shows, one after the other: 1 unless it is animated."""
    return 1 if image.format in _STILL else getattr(image, "n_frames", 1)


def pixels(image: Image.Image, target: Target) -> bytes:
    """`size` x `size` RGB bytes of an opened image, or of the current picture of an animated one."""
    if target.reading == "plain":
        return _sized(image.convert("RGB"), target).tobytes()
    image.draft("RGB", (2 * target.size, 2 * target.size))  # a large JPEG is decoded at a fraction of its size
    small = _resized(image, target)
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    return (small.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else small).tobytes()


def check_pixels(width: int, height: int, place: Place, target: Target, limits: SourceLimits) -> None:
    """Check the sides and pixels of the image, and the pixels of its scaled form before it is cropped. Raises
    InputTooLong."""
    if max(width, height) > MAX_SIDE:
        raise InputTooLong(
            f"{place} has {width} x {height} pixels; the limit of a side is {MAX_SIDE}: crop the longer "
            "side, or send a smaller image",
            input=place.input,
            limit=MAX_SIDE,
        )
    if width * height > limits.image_pixels:
        raise InputTooLong(
            f"{place} has {width} x {height} pixels; the limit is {limits.image_pixels}: send a smaller image",
            input=place.input,
            limit=limits.image_pixels,
        )
    if target.shorter_side is not None and target.shorter_side**2 * max(width, height) > limits.image_pixels * min(
        width, height
    ):
        raise InputTooLong(
            f"{place} has {width} x {height} pixels; with the shorter side scaled to {target.shorter_side} it "
            f"exceeds the limit of {limits.image_pixels}: crop the longer side",
            input=place.input,
            limit=limits.image_pixels,
        )


def _resized(image: Image.Image, target: Target) -> Image.Image:
    """RGB of the target size. Scales first, since each full-size copy of a large image takes hundreds of megabytes."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        samples = _sized(image.convert("I"), target)
        return samples.point(lambda sample: sample * (1 / 257) + 0.5).convert("L").convert("RGB")  # cuts off decimals
    if image.has_transparency_data:
        layered = _sized(image if image.mode == "RGBA" else image.convert("RGBA"), target)
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return _sized(image if image.mode == "RGB" else image.convert("RGB"), target)


def _sized(image: Image.Image, target: Target) -> Image.Image:
    if target.shorter_side is None:
        return image.resize((target.size, target.size), _RESAMPLING[target.resample])
    by = target.shorter_side / min(image.size)
    width, height = (target.shorter_side if side == min(image.size) else int(side * by) for side in image.size)
    left, top = (round((side - target.size) / 2) for side in (width, height))
    small = image.resize((width, height), _RESAMPLING[target.resample])
    return small.crop((left, top, left + target.size, top + target.size))


def _in_words(formats: Sequence[str]) -> str:
    return ", ".join(formats[:-1]) + " or " + formats[-1]
