"""The messages between a front end and its decoder processes: msgpack over a socket, after its length in 8 bytes.

Free of pydantic and of everything else that a decoder does not need: it starts in a fraction of a second.
"""

import msgspec

from app import errors
from app.tasks.sources.image_files import RawImage, Target
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import Place

LENGTH_BYTES = 8
_REFUSALS: dict[str, type[errors.InputError]] = {
    kind.__name__: kind
    for kind in (
        errors.EmptyInput,
        errors.InputTooLong,
        errors.InputTooShort,
        errors.InvalidImage,
        errors.UnsupportedMedia,
    )
}


class Job(msgspec.Struct, array_like=True, frozen=True):
    """An image to decode, or with `is_clip` the file of a clip, of which `frames` images are wanted; None: all."""

    image: bytes | RawImage
    place: Place
    target: Target
    limits: SourceLimits
    is_clip: bool = False
    frames: int | None = None

    @property
    def images(self) -> int | None:
        """The images that it becomes; None if the file says how many."""
        return self.frames if self.is_clip else 1


class Refusal(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Why an image was refused: the class of the error and its parts."""

    kind: str
    detail: str
    facts: dict[str, int]

    def error(self) -> errors.InputError:
        """The error to raise in the front end."""
        return _REFUSALS[self.kind](self.detail, **self.facts)


class Decoded(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """RGB bytes of the target's size, of one image or of several, one after the other."""

    pixels: bytes


def framed(message: msgspec.Struct) -> bytes:
    """A message with its length before it."""
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


job_of = msgspec.msgpack.Decoder(Job).decode
reply_of = msgspec.msgpack.Decoder(Decoded | Refusal).decode
