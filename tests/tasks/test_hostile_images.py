"""Image files made to harm: small files that cost much, and mutated files of every accepted format."""

import os
import re
import struct
import time
import zlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from app.errors import EmptyInput, InputTooLong, InvalidImage, UnrollError, UnsupportedMedia
from app.tasks.sources.image_files import MAX_SIDE, RawImage, Target, read_image, read_raw
from app.tasks.sources.image_parts import MAX_PARTS, MAX_SCANS
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_image
from tests.tasks.hostile_images import SIGNATURE, chunk, jpeg_of_comments, jpeg_of_scans, png, saved, sound_images

LIMITS = SourceLimits(text_chars=0, image_bytes=12 * 2**20, image_pixels=50_000_000)
TARGET = Target(32)
TEXT = chunk(b"tEXt", b"a\0b")


@pytest.mark.parametrize(
    ("content", "limit", "advice"),
    [
        (jpeg_of_scans(2000, 64), MAX_SCANS, "scans"),
        (png(MAX_SIDE + 1, 1, 0), MAX_SIDE, "crop"),
        (png(1, MAX_SIDE + 1, 0), MAX_SIDE, "crop"),
        (saved(Image.new("L", (MAX_SIDE + 1, 1)), "JPEG"), MAX_SIDE, "crop"),
        (jpeg_of_comments(2_700_000), MAX_PARTS, "without metadata"),
        (png(4, 4, 0, *[TEXT] * 200_000), MAX_PARTS, "without metadata"),
        (png(4, 4, 0, *[chunk(b"IDAT", b"")] * 200_000), MAX_PARTS, "without metadata"),
    ],
    ids=["scans", "wide", "high", "wide JPEG", "comments", "texts", "data in empty chunks"],
)
def test_a_costly_file_is_refused_before_it_is_decoded(content: bytes, limit: int, advice: str) -> None:
    with pytest.raises(InputTooLong, match=advice) as caught:
        read_image(content, place_of_image(2), TARGET, LIMITS)
    assert caught.value.facts == {"input": 2, "limit": limit}


@pytest.mark.parametrize(
    "content",
    [
        jpeg_of_scans(MAX_SCANS, 64),
        png(MAX_SIDE, 1, 0),
        png(1, MAX_SIDE, 0),
        saved(Image.new("L", (MAX_SIDE, 1)), "JPEG"),
        jpeg_of_comments(MAX_PARTS - 20),
        png(4, 4, 0, *[TEXT] * (MAX_PARTS - 20)),
    ],
    ids=["scans", "wide", "high", "wide JPEG", "comments", "texts"],
)
@pytest.mark.timeout(30)
def test_a_file_at_a_limit_is_decoded(content: bytes) -> None:
    assert len(read_image(content, place_of_image(0), TARGET, LIMITS)) == 3 * 32 * 32


def test_restarts_and_thumbnails_are_no_scans() -> None:
    """A JPEG with a restart after each row of blocks, and with another JPEG in its metadata."""
    picture = Image.effect_noise((800, 2000), 50)
    inner = saved(Image.effect_noise((160, 120), 50), "JPEG", progressive=True)
    content = saved(picture, "JPEG", restart_marker_rows=1, exif=b"Exif\0\0" + inner)
    assert content.count(b"\xff\xd0") > 20
    assert len(read_image(content, place_of_image(0), TARGET, LIMITS)) == 3 * 32 * 32


def test_a_palette_file_without_palette_is_damaged() -> None:
    with pytest.raises(InvalidImage, match="PNG file that is damaged"):
        read_image(png(4, 4, 3), place_of_image(0), TARGET, LIMITS)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (RawImage(MAX_SIDE + 1, 1, bytes(3 * (MAX_SIDE + 1))), InputTooLong),
        (RawImage(1, MAX_SIDE + 1, bytes(3 * (MAX_SIDE + 1))), InputTooLong),
        (RawImage(0, 5, b""), EmptyInput),
    ],
    ids=["wide", "high", "empty"],
)
def test_raw_pixels_have_the_limits_of_files(raw: RawImage, error: type[UnrollError]) -> None:
    with pytest.raises(error) as caught:
        read_raw(raw, place_of_image(1), TARGET, LIMITS)
    assert caught.value.facts["input"] == 1


_SEGMENTS = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, cut, repeat or move bytes and parts of a file. A PNG gets right checksums, or only its header would be
    tested."""
    if rng.random() < 0.4:
        parts = parts_of(content)
        place, other = rng.integers(0, len(parts), 2)
        match rng.integers(0, 3):
            case 0:
                del parts[place]
            case 1:
                parts.insert(other, parts[place])
            case _:
                parts[place], parts[other] = parts[other], parts[place]
        content = b"".join(parts)
        if rng.random() < 0.5:
            return content
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, min(len(changed), 200) if rng.random() < 0.6 else len(changed)))
        match rng.integers(0, 6):
            case 0 | 1:
                changed[place] = rng.integers(0, 256)
            case 2:
                changed[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 3:
                del changed[place : place + int(rng.integers(1, 40))]
            case 4:
                changed[place:place] = changed[place : place + int(rng.integers(1, 200))]
            case _:
                changed[place : place + 4] = struct.pack(">I", int(rng.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1])))
        if not changed:
            return b"\0"
    return with_checksums(bytes(changed)) if rng.random() < 0.8 else bytes(changed)


def parts_of(content: bytes) -> list[bytes]:
    """The file cut before each segment of a JPEG, or each chunk of a PNG or WebP."""
    cuts = [found.start() for found in _SEGMENTS.finditer(content)]
    if content.startswith((SIGNATURE, b"RIFF")):
        is_png = content.startswith(SIGNATURE)
        place, cuts = 8 if is_png else 12, []
        while place < len(content):
            cuts.append(place)
            if is_png:
                place += 12 + int.from_bytes(content[place : place + 4], "big")
            else:
                length = int.from_bytes(content[place + 4 : place + 8], "little")
                place += 8 + length + length % 2
    edges = [0, *cuts, len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have right checksums, as far as their lengths lead; any other file as it is."""
    if not content.startswith(SIGNATURE):
        return content
    parts, place = [SIGNATURE], len(SIGNATURE)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if place + 12 + length > len(content):
            break
        body = content[place + 4 : place + 8 + length]
        parts += [content[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + length
    return b"".join(parts) + content[place:]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reading", ["careful", pytest.param("plain", marks=pytest.mark.slow)])
def test_every_error_of_the_decoder_is_the_callers(seed: int, reading: str) -> None:
    """Any other error fails the test. The slow seed runs for `UNROLL_FUZZ_SECONDS`, by default for 12."""
    files = sound_images()
    for content in files.values():
        assert len(read_image(content, place_of_image(0), TARGET, LIMITS)) == 3 * 32 * 32
    rng, seen = np.random.default_rng(seed), Counter[str]()
    seconds = float(os.environ.get("UNROLL_FUZZ_SECONDS", 12)) if seed == 2 else 4.0
    end, limits, target = time.monotonic() + seconds, SourceLimits(0, 100_000, 1_000_000), Target(32, reading=reading)
    while time.monotonic() < end:
        for content in files.values():
            try:
                read_image(mutated(content, rng), place_of_image(0), target, limits)
            except (EmptyInput, InputTooLong, InvalidImage, UnsupportedMedia) as error:
                seen[type(error).__name__] += 1
            else:
                seen["decoded"] += 1
    print(f"{seen.total()} mutated files, reading {reading}: {dict(seen)}")
    assert {"decoded", "InvalidImage", "UnsupportedMedia"} <= seen.keys()
