"""The pixels that the images of a request become: counted before an image is decoded, if their number is known."""

from collections.abc import Sequence

from app.errors import InputTooLong
from app.tasks.sources.image_decoder_messages import Job


class RequestPixels:
    """The pixels of all images and frames of a request so far, in the size that its models read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def expect(self, jobs: Sequence[Job]) -> None:
        """Count the jobs whose number of images is known before they are decoded. Raises InputTooLong."""
        for job in jobs:
            if job.images is not None:
                self._add(job, job.images)

    def decoded(self, job: Job, pixels: bytes) -> None:
        """Count a job whose number of images is known now. Raises InputTooLong."""
        if job.images is None:
            self._add(job, len(pixels) // (3 * job.target.size**2))

    def _add(self, job: Job, images: int) -> None:
        self._count += images * job.target.size**2
        if self._count > self._limit:
            raise too_many_pixels(job, self._count, self._limit)


def too_many_pixels(job: Job, count: int, limit: int) -> InputTooLong:
    """The error of a request whose images become too many pixels with this job."""
    size = job.target.size
    return InputTooLong(
        f"with {job.place} the images of the request have {count} pixels, each image {size} x {size} as the model "
        f"reads it; the limit of a request is {limit}: send fewer images or frames",
        input=job.place.input,
        limit=limit,
    )
