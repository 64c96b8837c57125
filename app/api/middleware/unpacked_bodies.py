"""The memory of unpacked bodies: a few compressed bytes can become many, so these are bounded over all requests."""

from app.errors import Overloaded
from app.metrics import Metrics

_RETRY = 1  # seconds


class UnpackedBodies:
    """The bytes of the unpacked bodies whose requests are unanswered, at most `most`."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count a piece of a body. Raises Overloaded, and does not count it, if the limit is exceeded."""
        if self._bytes + size > self._most:
            self._metrics.refused("overloaded")
            raise Overloaded(
                f"Too many bytes of unpacked bodies (limit {self._most}); retry in {_RETRY} s, or send the body "
                "uncompressed",
                retry_after_seconds=_RETRY,
            )
        self._bytes += size

    def remove(self, size: int) -> None:
        """The request of a body with `size` counted bytes has ended."""
        self._bytes -= size
