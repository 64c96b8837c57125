"""An image decoder: a process that turns image files into pixels, started by `app.tasks.sources.image_decoders`.

Run as `python -m app.tasks.sources.image_decoder SECONDS MEMORY PARENT`. Its standard input is a socket to the front
end. Files are untrusted, and native code cannot be interrupted: the system ends this process when one image takes more
than SECONDS of processor time. An image that needs more than MEMORY bytes is refused.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
import warnings
from contextlib import suppress

from PIL import Image

from app.errors import InputError, InvalidImage
from app.tasks.sources.clip_files import read_clip
from app.tasks.sources.image_decoder_messages import LENGTH_BYTES, Decoded, Job, Refusal, framed, job_of
from app.tasks.sources.image_files import RawImage, read_image, read_raw

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_NICE = 2  # behind the front end, before the engines


def main(seconds: float, memory: int, parent: int) -> None:
    """Answer jobs until the front end closes the socket or is gone."""
    _confine(memory)
    if os.getppid() != parent:  # the parent ended before this process was bound to it
        return
    Image.preinit()  # the plugins of common formats
    warnings.simplefilter("ignore")  # of Pillow, about damaged files
    with socket.socket(fileno=0) as front_end:
        while content := _receive(front_end):
            signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF ends the process
            reply = _reply(job_of(content))
            signal.setitimer(signal.ITIMER_PROF, 0)
            front_end.sendall(reply)


def _confine(memory: int) -> None:
    """Signals to the whole service, such as Ctrl-C, are for the front end, which drains first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICE)
    with suppress(OSError, AttributeError):  # Linux only; elsewhere the closed socket ends this process
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def _reply(job: Job) -> bytes:
    """The message that answers a job."""
    try:
        return framed(_answer(job))
    except MemoryError:
        detail = f"{job.place} needs too much memory to decode; send a smaller image, or fewer frames"
    return framed(Refusal(InvalidImage.__name__, detail, {"input": job.place.input}))


def _answer(job: Job) -> Decoded | Refusal:
    try:
        return Decoded(_pixels(job))
    except InputError as error:
        facts = {name: value for name, value in error.facts.items() if isinstance(value, int)}
        return Refusal(type(error).__name__, error.detail, facts)


def _pixels(job: Job) -> bytes:
    if isinstance(job.image, RawImage):
        return read_raw(job.image, job.place, job.target, job.limits)
    if job.is_clip:
        return read_clip(job)
    return read_image(job.image, job.place, job.target, job.limits)


def _receive(front_end: socket.socket) -> bytes:
    """The next message; empty when the socket is closed."""
    size = int.from_bytes(_exactly(front_end, LENGTH_BYTES), "big")
    return _exactly(front_end, size)


def _exactly(front_end: socket.socket, size: int) -> bytes:
    content = bytearray(size)
    view, filled = memoryview(content), 0
    while filled < size:
        count = front_end.recv_into(view[filled:])
        if not count:
            return b""
        filled += count
    return bytes(content)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
