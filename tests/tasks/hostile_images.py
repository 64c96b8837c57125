"""Small files that cost much to decode, and small sound files of every accepted format."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import ExifTags, Image

from app.tasks.sources.image_parts import MAX_SCANS

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, colour: int, *chunks: bytes) -> bytes:
    """A black PNG of 8 bits a sample, with `chunks` before its pixels."""
    packer = zlib.compressobj(9)
    pixels = packer.compress(bytes((width + 1) * height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_of_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: about `count` scans in all."""
    content = saved(Image.new("L", (side, side), 90), "JPEG", progressive=True, quality=30)
    last, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    return content[:end] + content[last:end] * (count - content.count(b"\xff\xda")) + content[end:]


@cache
def slow_jpeg() -> bytes:
    """49,000,000 pixels in as many scans as are allowed: five seconds of decoding and more."""
    return jpeg_of_scans(MAX_SCANS, 7000)


def jpeg_of_comments(count: int) -> bytes:
    """A JPEG with empty comments."""
    content = saved(Image.new("RGB", (16, 16)), "JPEG")
    return content[:2] + b"\xff\xfe\x00\x02" * count + content[2:]


def sound_images() -> dict[str, bytes]:
    """Files of 24 x 20 pixels by name: all accepted formats, in their usual and unusual forms."""
    noise = np.random.default_rng(5).integers(0, 256, (20, 24, 4)).astype(np.uint8)
    colours, layered = Image.fromarray(noise[:, :, :3]), Image.fromarray(noise, "RGBA")
    palette = colours.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    deep = Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257)
    return {
        "baseline JPEG": saved(colours, "JPEG"),
        "progressive JPEG": saved(colours, "JPEG", progressive=True),
        "grey JPEG with EXIF": saved(colours.convert("L"), "JPEG", exif=exif),
        "CMYK JPEG": saved(colours.convert("CMYK"), "JPEG", dpi=(72, 72), comment=b"four inks"),
        "MPO": saved(colours, "MPO", save_all=True, append_images=[layered.convert("RGB")]),
        "PNG": saved(colours, "PNG", exif=exif),
        "palette PNG": saved(palette, "PNG", transparency=5),
        "16-bit PNG": saved(deep, "PNG"),
        "PNG with transparency": saved(layered, "PNG", icc_profile=b"profile" * 40),
        "interlaced PNG": _interlaced(),
        "one-bit PNG": saved(colours.convert("1"), "PNG"),
        "WebP": saved(colours, "WEBP", exif=exif),
        "lossless WebP": saved(colours, "WEBP", lossless=True),
        "WebP with transparency": saved(layered, "WEBP"),
    }


def _interlaced() -> bytes:
    """One grey pixel, which is in the first of the seven passes."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x50")) + chunk(b"IEND", b"")
