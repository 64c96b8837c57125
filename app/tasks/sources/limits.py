"""Limits of sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLimits:
    """The longest text in characters, the largest image file in bytes, the most pixels of an image, the most images of
    a clip, the most steps of a series, and the most windows that the series of a request are cut into, and numbers in
    them."""

    text_chars: int
    image_bytes: int
    image_pixels: int
    frames: int = 256
    series_steps: int = 100_000
    windows: int = 4096
    window_numbers: int = 4_000_000
