"""Image files to pixels, compared with references that are computed in another way."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from app.errors import EmptyInput, InputTooLong, InvalidImage, UnrollError, UnsupportedMedia
from app.store.image_input import ImageInput
from app.tasks.sources.image import target_of
from app.tasks.sources.image_files import RawImage, Target, read_image, read_raw
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_image

LIMITS = SourceLimits(text_chars=0, image_bytes=1_000_000, image_pixels=1_000_000)
SIZE = 32
Pixels = NDArray[Any]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def wanted(size: int = SIZE, **how: Any) -> Target:
    return target_of(ImageInput(size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), **how))


def read(content: bytes, size: int = SIZE, limits: SourceLimits = LIMITS) -> Pixels:
    pixels = read_image(content, place_of_image(0), wanted(size), limits)
    assert len(pixels) == size * size * 3
    return np.frombuffer(pixels, np.uint8).reshape(size, size, 3).astype(np.float64)


def blocks(pixels: Pixels, size: int = SIZE) -> Pixels:
    """An image of `size` x `size`, with each pixel of a `side` x `side` image as a block."""
    return pixels.repeat(size // len(pixels), axis=0).repeat(size // len(pixels), axis=1)


def centres(pixels: Pixels, side: int) -> Pixels:
    """The middle pixel of each of `side` x `side` blocks, which no neighbour affects."""
    step = len(pixels) // side
    return pixels[step // 2 :: step, step // 2 :: step]


RNG = np.random.default_rng(7)
COLOURS = RNG.integers(0, 256, (4, 4, 3)).astype(np.float64)
PICTURE = Image.fromarray(blocks(COLOURS, 128).astype(np.uint8))
GREY = Image.fromarray(blocks(COLOURS, 128)[:, :, 0].astype(np.uint8))


def grey_of(samples: Pixels) -> Pixels:
    return samples[:, :, None].repeat(3, axis=2)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_colours_arrive_exactly(kind: str) -> None:
    content = saved(PICTURE, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(centres(read(content), 4), COLOURS)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_lossy_colours_arrive_nearly(kind: str, options: dict[str, object]) -> None:
    smooth = Image.linear_gradient("L").resize((200, 200))
    picture = Image.merge("RGB", (smooth, smooth.rotate(90), smooth.rotate(180)))
    reference = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)
    assert np.abs(read(saved(picture, kind, **options)) - reference).mean() < 4


def exif_turn(picture: Pixels, orientation: int) -> Pixels:
    """How a camera stores an upright picture, from the meaning of the tag in the EXIF standard (4.6.4):
    the visible places of row 0 and column 0 of the stored image."""
    turns = {
        1: picture,  # top, left
        2: picture[:, ::-1],  # top, right
        3: picture[::-1, ::-1],  # bottom, right
        4: picture[::-1],  # bottom, left
        5: picture.swapaxes(0, 1),  # left, top
        6: picture[:, ::-1].swapaxes(0, 1),  # right, top
        7: picture[::-1, ::-1].swapaxes(0, 1),  # right, bottom
        8: picture[::-1].swapaxes(0, 1),  # left, bottom
    }
    return turns[orientation]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_comes_out_upright(kind: str, orientation: int) -> None:
    upright = np.zeros((96, 64, 3))
    upright[:48, :32] = (250, 10, 10)  # red at the top left, green beside it, blue below, grey in the last corner
    upright[:48, 32:] = (10, 250, 10)
    upright[48:, :32] = (10, 10, 250)
    upright[48:, 32:] = 128
    stored = Image.fromarray(np.ascontiguousarray(exif_turn(upright, orientation)).astype(np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    corners = centres(read(saved(stored, kind, exif=exif)), 2)
    assert np.abs(corners - centres(upright[::3, ::2], 2)).max() < 40


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation_changes_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert np.array_equal(read(saved(PICTURE, "PNG", exif=exif)), read(saved(PICTURE, "PNG")))


@pytest.mark.parametrize("kind", [1, 2, 7, 11])
def test_exif_that_cannot_be_written_again_is_no_matter(kind: int) -> None:
    """A width that is a text or a fraction: only the orientation beside it is read."""
    width = struct.pack(">HHI4s", ExifTags.Base.ImageWidth, kind, 1, b"7\0\0\0")
    turned = struct.pack(">HHIHH", ExifTags.Base.Orientation, 3, 1, 3, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + width + turned + b"\0\0\0\0"
    assert np.array_equal(centres(read(saved(PICTURE, "PNG", exif=exif)), 4), COLOURS[::-1, ::-1])


def _with_right_sums(png: bytes) -> bytes:
    parts, place = [png[:8]], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        content = png[place + 4 : place + 8 + length]
        parts.append(png[place : place + 4] + content + struct.pack(">I", zlib.crc32(content)))
        place += 12 + length
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey(kind: str) -> None:
    assert np.abs(centres(read(saved(GREY, kind)), 4) - grey_of(COLOURS[:, :, 0])).max() <= (0 if kind == "PNG" else 6)


def test_one_bit() -> None:
    chosen = COLOURS[:, :, 0] > 127
    content = saved(Image.fromarray(blocks(chosen, 128)), "PNG")
    assert Image.open(io.BytesIO(content)).mode == "1"
    assert np.array_equal(centres(read(content), 4), grey_of(chosen * 255.0))


def test_sixteen_bit_grey() -> None:
    samples = RNG.integers(0, 65536, (4, 4))
    content = saved(Image.fromarray(blocks(samples, 128).astype(np.uint16)), "PNG")
    assert Image.open(io.BytesIO(content)).mode == "I;16"
    assert np.abs(centres(read(content), 4) - grey_of(samples / 65535 * 255)).max() <= 0.5 + 1e-9


def test_palette() -> None:
    flat = PICTURE.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    content = saved(flat, "PNG")
    assert Image.open(io.BytesIO(content)).mode == "P"
    assert np.abs(centres(read(content), 4) - COLOURS).max() <= 1


def test_palette_with_a_transparent_colour_lies_over_white() -> None:
    indices = np.arange(16, dtype=np.uint8).reshape(4, 4)
    picture = Image.fromarray(blocks(indices, 128)).convert("L")
    flat = Image.frombytes("P", picture.size, picture.tobytes())
    flat.putpalette(COLOURS.astype(np.uint8).reshape(-1).tolist())
    expected = COLOURS.copy()
    expected.reshape(16, 3)[5] = 255
    assert np.array_equal(centres(read(saved(flat, "PNG", transparency=5)), 4), expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_over_white(kind: str) -> None:
    alpha = RNG.integers(0, 256, (4, 4))
    alpha[0] = (0, 255, 0, 128)
    layered = np.dstack([COLOURS, alpha])
    picture = Image.fromarray(blocks(layered, 128).astype(np.uint8), "RGBA")
    content = saved(picture, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    share = alpha[:, :, None] / 255
    expected = COLOURS * share + 255 * (1 - share)
    assert np.abs(centres(read(content), 4) - expected).max() <= 2


def test_hidden_colours_do_not_bleed_out() -> None:
    """A fully transparent pixel has a colour in the file, which must not show, even at edges."""
    layered = np.zeros((128, 128, 4), np.uint8)
    layered[:, ::2] = (255, 255, 255, 255)
    layered[:, 1::2] = (255, 0, 0, 0)
    assert read(saved(Image.fromarray(layered, "RGBA"), "PNG")).min() >= 254


def test_grey_with_transparency_lies_over_white() -> None:
    alpha = np.where(COLOURS[:, :, 1] > 127, 255.0, 51.0)
    layered = np.dstack([COLOURS[:, :, 0], alpha])
    content = saved(Image.fromarray(blocks(layered, 128).astype(np.uint8), "LA"), "PNG")
    expected = COLOURS[:, :, 0] * alpha / 255 + 255 - alpha
    assert np.abs(centres(read(content), 4) - grey_of(expected)).max() <= 2


def test_cmyk() -> None:
    inks = np.zeros((4, 4, 4))
    inks[0] = ((255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 0))
    inks[1] = ((0, 0, 0, 255), (255, 255, 0, 0), (0, 255, 255, 0), (255, 0, 255, 0))
    content = saved(Image.fromarray(blocks(inks, 128).astype(np.uint8), "CMYK"), "JPEG", quality=95)
    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    expected = (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:]) / 255
    assert np.abs(centres(read(content), 4) - expected).max() < 12


def test_first_picture_of_a_camera_file_is_read() -> None:
    """MPO: a JPEG with another one after it, as phones save portraits and panoramas."""
    content = saved(PICTURE, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64), "black")])
    assert Image.open(io.BytesIO(content)).format == "MPO"
    assert np.array_equal(read(content), read(saved(PICTURE, "JPEG")))


@pytest.mark.parametrize("size", [32, 64, 224])
def test_large_jpeg_is_close_to_its_full_decode(size: int) -> None:
    """Fine stripes too: a JPEG decoded at a fraction of its size keeps all details of the small image."""
    across, down = np.arange(1200)[None], np.arange(900)[:, None]
    waves = np.sin(down / 40) + np.cos(across / 55) + np.sin(across * size / 700) * np.cos(down * size / 500)
    picture = Image.fromarray((128 + 40 * waves[:, :, None].repeat(3, axis=2)).clip(0, 255).astype(np.uint8))
    content = saved(picture, "JPEG", quality=90)
    full = Image.open(io.BytesIO(content)).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    limits = SourceLimits(text_chars=0, image_bytes=10_000_000, image_pixels=2_000_000)
    difference = np.abs(read(content, size, limits) - np.asarray(full, np.float64))
    assert difference.mean() < 2
    assert difference.max() < 12


def test_small_picture_is_made_larger() -> None:
    assert np.array_equal(
        read(saved(Image.new("RGB", (1, 1), (9, 80, 200)), "PNG")), np.full((32, 32, 3), (9, 80, 200))
    )


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (3, 777)])
def test_any_shape_becomes_a_square(shape: tuple[int, int]) -> None:
    read(saved(Image.new("RGB", shape, "teal"), "JPEG"))


def _noise(kind: str) -> bytes:
    return saved(Image.effect_noise((120, 120), 60).convert("RGB"), kind)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyInput),
        (b"not a picture", UnsupportedMedia),
        (b"\x89PNG\r\n\x1a\n", UnsupportedMedia),
        (b"\xff\xd8\xff\xe0", UnsupportedMedia),
        (saved(PICTURE, "BMP"), UnsupportedMedia),
        (saved(PICTURE, "TIFF"), UnsupportedMedia),
        (saved(PICTURE, "GIF"), UnsupportedMedia),
        (saved(PICTURE, "GIF", save_all=True, append_images=[GREY]), UnsupportedMedia),
        (saved(PICTURE, "WEBP", save_all=True, append_images=[GREY.convert("RGB")]), UnsupportedMedia),
        (saved(PICTURE, "PNG", save_all=True, append_images=[GREY.convert("RGB")]), UnsupportedMedia),
        (_noise("JPEG")[:3000], InvalidImage),
        (_noise("PNG")[:3000], InvalidImage),
        (saved(Image.new("RGB", (1001, 1000)), "PNG"), InputTooLong),
        (saved(Image.new("1", (20_000, 20_000)), "PNG"), InputTooLong),
        (bytes(1_000_001), InputTooLong),
    ],
)
def test_a_refused_file_is_named_by_its_place(content: bytes, error: type[UnrollError]) -> None:
    with pytest.raises(error) as caught:
        read_image(content, place_of_image(3), wanted(), LIMITS)
    assert caught.value.facts["input"] == 3
    assert "images[3]" in caught.value.detail


def test_limits_are_inclusive() -> None:
    read(saved(Image.new("RGB", (1000, 1000)), "PNG"))
    content = saved(PICTURE, "PNG")
    read(content, SIZE, SourceLimits(text_chars=0, image_bytes=len(content), image_pixels=128 * 128))
    for tight in (SourceLimits(0, len(content) - 1, 128 * 128), SourceLimits(0, len(content), 128 * 128 - 1)):
        with pytest.raises(InputTooLong):
            read_image(content, place_of_image(0), wanted(), tight)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("seed", range(4))
def test_damage_is_always_the_callers_error(seed: int) -> None:
    """Bytes changed at random, mostly in the headers: the result is an image or an error of ours."""
    rng = np.random.default_rng(seed)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    small = PICTURE.resize((24, 20))
    wholes = [saved(small, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP")]
    refused = 0
    for turn in range(150):
        content = bytearray(wholes[turn % 3])
        for place in rng.integers(0, min(len(content), 200 if turn % 4 else len(content)), 1 + turn % 5):
            content[place] = rng.integers(0, 256)
        sound = (
            _with_right_sums(bytes(content)) if turn % 3 == 1 and content[8:12] == wholes[1][8:12] else bytes(content)
        )
        try:
            read(sound)
        except (InvalidImage, UnsupportedMedia, InputTooLong):
            refused += 1
    assert 0 < refused < 150


@pytest.mark.parametrize("how", [{}, {"resize": "crop", "shorter_side": 40}], ids=["squashed", "cropped"])
def test_raw_pixels_are_read_as_a_file_that_holds_them(how: dict[str, Any]) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (50, 31, 3)).astype(np.uint8))
    raw = RawImage(31, 50, image.tobytes())
    assert read_raw(raw, place_of_image(0), wanted(**how), LIMITS) == read_image(
        saved(image, "PNG"), place_of_image(0), wanted(**how), LIMITS
    )


def test_too_many_raw_pixels_are_refused() -> None:
    raw = RawImage(1001, 1000, bytes(3 * 1001 * 1000))
    with pytest.raises(InputTooLong, match=r"images\[4\] has 1001 x 1000 pixels") as error:
        read_raw(raw, place_of_image(4), wanted(), LIMITS)
    assert error.value.facts == {"input": 4, "limit": 1_000_000}


def test_a_strip_is_not_enlarged_without_bounds() -> None:
    """The shorter side is scaled before the crop: 2 x 2000 pixels would become 40 x 40,000."""
    strip, how = saved(Image.new("RGB", (2, 2000)), "PNG"), wanted(resize="crop", shorter_side=40)
    with pytest.raises(InputTooLong, match="crop the longer side"):
        read_image(strip, place_of_image(0), how, LIMITS)
    assert read_image(saved(Image.new("RGB", (2, 1000)), "PNG"), place_of_image(0), how, LIMITS)
