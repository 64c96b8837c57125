"""The source kind `frames`: clips, each a list of images or an animated file, to the images that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.protocol import Frames
from app.errors import EmptyInput, UnsupportedMedia
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.clip_files import check_frames, sampled, too_many_frames
from app.tasks.sources.image import decode_all, image_of, target_of
from app.tasks.sources.image_decoder_messages import Job
from app.tasks.sources.image_files import RawImage
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.moving_files import may_move
from app.tasks.sources.place import place_of_clip, place_of_frame
from app.tasks.sources.source_kind import Reader, SourceKind

_CLIP = Column("clip", "file")
_PIXELS = Column("frames", "uint8", (ANY, ANY, ANY, 3), ("frames", "height", "width"))


@dataclass(frozen=True)
class Clip:
    """Images in their order. A file that is alone may be animated."""

    images: Sequence[bytes | RawImage]


class FramesSource(SourceKind[Clip]):
    """A clip. A model with a number of frames reads as many, evenly spaced in time."""

    kinds = ("frames",)
    items = (Clip,)
    options_in_query = True

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`: files, or the pixels of frames of any height and width."""
        return _CLIP, _PIXELS

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[Clip]:
        """See `SourceKind.from_column`."""
        if column == _CLIP:
            return [Clip([value]) for value in values]
        frames, height, width, _ = shape
        size = height * width * 3
        return [
            Clip(
                [RawImage(width, height, bytes(value[number * size : (number + 1) * size])) for number in range(frames)]
            )
            for value in values
        ]

    def check(self, inputs: Sequence[Clip], limits: SourceLimits, options: TaskOptions) -> None:
        """See `SourceKind.check`: the number of images. An animated file is checked when it is decoded."""
        for index, clip in enumerate(inputs):
            place, count = place_of_clip(index), len(clip.images)
            if not count:
                raise EmptyInput(f"{place} has no frames; send at least one image", input=index)
            if count > limits.frames:
                raise too_many_frames(place, count, limits)

    async def read(
        self,
        inputs: Sequence[Clip],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`. No further file is decoded after `deadline`, or after a failure."""
        jobs = [
            _jobs(clip, entry, index, reader.limits)
            for index, (clip, entry) in enumerate(zip(inputs, entries, strict=True))
        ]
        decoded = iter(await decode_all(reader, [job for of_clip in jobs for job in of_clip], deadline))
        return [
            _source(entry, b"".join([next(decoded) for _ in of_clip]))
            for entry, of_clip in zip(entries, jobs, strict=True)
        ]


def _jobs(clip: Clip, entry: Entry, index: int, limits: SourceLimits) -> list[Job]:
    """The files of a clip that are decoded for a model."""
    manifest, target, images = entry.manifest, target_of(image_of(entry)), clip.images
    if len(images) == 1 and isinstance(images[0], bytes):
        return [Job(images[0], place_of_clip(index), target, limits, is_clip=True, frames=manifest.frames)]
    _check_still(images, index)
    numbers: Sequence[int] = range(len(images))
    if manifest.frames is not None:
        check_frames(place_of_clip(index), len(images), manifest.frames)
        numbers = sampled([1.0] * len(images), manifest.frames)
    return [Job(images[number], place_of_frame(index, number), target, limits) for number in numbers]


def _check_still(images: Sequence[bytes | RawImage], index: int) -> None:
    """Check that the images of a clip are one picture each. Two animated files are two clips."""
    for number, image in enumerate(images):
        if isinstance(image, bytes) and may_move(image):
            raise UnsupportedMedia(
                f"{place_of_frame(index, number)} is animated, or a GIF: a clip is one such file, or several still "
                "images; send several clips in JSON, as a list of objects with 'frames'",
                input=index,
            )


def _source(entry: Entry, pixels: bytes) -> ReadSource:
    size = image_of(entry).size
    return ReadSource(Frames(size, len(pixels) // (3 * size**2), pixels))
