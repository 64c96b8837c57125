"""Limits of sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLimits:
    """The longest text in characters, the largest image file in bytes, the most pixels of an image, the most images of
    a clip, the most pixels of all images and frames of a request as its models read them, the most steps of a series,
    and the most windows that the series of a request are cut into, and numbers in them; the most steps of a text or a
    series that a model reads as a whole."""

    text_chars: int
    image_bytes: int
    image_pixels: int
    frames: int = 256
    request_pixels: int = 32_000_000
    series_steps: int = 100_000
    windows: int = 4096
    window_numbers: int = 4_000_000
    whole_steps: int = 10_000
