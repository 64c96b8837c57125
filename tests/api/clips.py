"""Clips of a moving square for tests of routes."""

import base64
import io

from PIL import Image


def pictures(count: int) -> list[Image.Image]:
    """Each one different."""
    images = []
    for number in range(count):
        image = Image.new("RGB", (48, 48), "black")
        image.paste((255, 30 * number % 255, 90), (number, 10, number + 12, 30))
        images.append(image)
    return images


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def animation(images: list[Image.Image], kind: str = "WEBP") -> bytes:
    """One file of all pictures, without loss."""
    file = io.BytesIO()
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    images[0].save(file, kind, save_all=True, append_images=images[1:], duration=80, **options)
    return file.getvalue()


def text(content: bytes) -> str:
    """A file in base64."""
    return base64.b64encode(content).decode()
