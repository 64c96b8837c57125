"""Limits of sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLimits:
    """The longest text in characters, the largest image file in bytes, the most pixels of an image, and the most images
    of a clip."""

    text_chars: int
    image_bytes: int
    image_pixels: int
    frames: int = 256
