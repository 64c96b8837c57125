"""Image files to pixels: what a camera, a browser or a scanner may send, as RGB of a fixed size."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from app.errors import EmptyInput, InputTooLong, InvalidImage, UnsupportedMedia

FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class ImageLimits:
    """The largest file in bytes, and the most pixels it may decode to."""

    bytes: int
    pixels: int


def read_image(content: bytes, index: int, size: int, limits: ImageLimits) -> bytes:
    """`size` x `size` RGB bytes of an image file, turned upright and squashed to a square.

    Transparency is laid over white, 16-bit samples are scaled to 8. Raises EmptyInput, InputTooLong,
    UnsupportedMedia or InvalidImage with the place `index` of the file in the request.
    """
    if not content:
        raise EmptyInput(f"images[{index}] is an empty file", input=index)
    if len(content) > limits.bytes:
        raise InputTooLong(
            f"images[{index}] has {len(content)} bytes; at most {limits.bytes} are taken",
            input=index,
            limit=limits.bytes,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            image = Image.open(io.BytesIO(content), formats=(*FORMATS, "GIF"))
    except Image.DecompressionBombError as error:
        raise _too_large(index, limits) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UnsupportedMedia(
            f"images[{index}] is not an image that can be read; send {_formats()}", input=index
        ) from error
    with image:
        return _pixels(image, index, size, limits)


def _pixels(image: Image.Image, index: int, size: int, limits: ImageLimits) -> bytes:
    if image.format not in FORMATS:
        raise UnsupportedMedia(f"images[{index}] is a {image.format} file; send {_formats()}", input=index)
    if image.width * image.height > limits.pixels:
        raise _too_large(index, limits, image.size)
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedMedia(f"images[{index}] is animated; send one still picture", input=index)
    try:
        image.draft("RGB", (2 * size, 2 * size))  # a large JPEG is decoded at a fraction of its size
        upright = ImageOps.exif_transpose(image)
        small = _to_rgb(upright).resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, EOFError, ZeroDivisionError) as error:
        raise InvalidImage(
            f"images[{index}] is a {image.format} file that is damaged or cut short: it cannot be decoded", input=index
        ) from error
    return small.tobytes()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        samples = np.asarray(image, dtype=np.float64)
        return Image.fromarray((samples / 257).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _too_large(index: int, limits: ImageLimits, size: tuple[int, int] | None = None) -> InputTooLong:
    has = f"{size[0]} x {size[1]} pixels" if size else "far more pixels than that"
    return InputTooLong(
        f"images[{index}] has {has}; at most {limits.pixels} are taken", input=index, limit=limits.pixels
    )


def _formats() -> str:
    return ", ".join(FORMATS[:-1]) + " or " + FORMATS[-1]
