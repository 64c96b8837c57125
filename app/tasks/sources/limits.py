"""Limits of sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLimits:
    """The longest text in characters, the largest image file in bytes, and the most pixels of an image."""

    text_chars: int
    image_bytes: int
    image_pixels: int
