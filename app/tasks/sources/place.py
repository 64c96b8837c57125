"""Where an image is in a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The input that an image belongs to, and the name of the image in errors."""

    input: int
    name: str

    def __str__(self) -> str:
        return self.name


def place_of_image(index: int) -> Place:
    """The place of an image that is an input."""
    return Place(index, f"images[{index}]")


def place_of_clip(index: int) -> Place:
    """The place of a file that is a clip."""
    return Place(index, f"inputs[{index}]")


def place_of_frame(index: int, number: int) -> Place:
    """The place of an image of a clip."""
    return Place(index, f"frame {number} of inputs[{index}]")
