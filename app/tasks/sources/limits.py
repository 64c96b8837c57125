"""Limits of sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLimits:
    """The longest text in characters, the largest image file in bytes, the most pixels of an image, the most steps of a
    series, and the most windows that the series of a request are cut into."""

    text_chars: int
    image_bytes: int
    image_pixels: int
    series_steps: int = 0
    windows: int = 0
