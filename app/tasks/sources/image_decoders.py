"""The decoder processes of a front end: they decode image files, and any of them can be ended at any time."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from app.errors import InvalidImage
from app.tasks.sources.image_decoder_messages import LENGTH_BYTES, Decoded, Job, Refusal, framed, reply_of

_BYTES_PER_PIXEL = 24  # a WebP with transparency holds six copies of four bytes while it is decoded
_BYTES_PER_MADE_PIXEL = 12  # frames, all together, the message, and it with its length: four copies of three bytes
_OTHER_BYTES = 512 * 2**20  # address space of an idle decoder, and of the file


class ImageDecoders:
    """`count` processes, each with one image at a time. They start with the first image.

    A process that takes more than `seconds` of processor time for an image is ended and replaced, and the image is
    refused. So is an image whose decoding needs more memory than one of `pixels` should, which becomes `made` pixels.
    """

    def __init__(self, count: int, *, seconds: float, pixels: int, made: int = 0) -> None:
        self.count = count
        self._seconds = seconds
        self._memory = _OTHER_BYTES + _BYTES_PER_PIXEL * pixels + _BYTES_PER_MADE_PIXEL * made
        self._free: asyncio.Queue[_ImageDecoder] = asyncio.Queue()
        self._decoders: list[_ImageDecoder] = []
        self._working: set[asyncio.Task[Decoded | Refusal]] = set()

    def start(self) -> None:
        """Start the processes, before the first image comes."""
        while len(self._decoders) < self.count:
            decoder = _ImageDecoder(self._seconds, self._memory)
            self._decoders.append(decoder)
            self._free.put_nowait(decoder)

    async def decode(self, job: Job) -> bytes:
        """The pixels of an image, or of all frames of a clip. Raises EmptyInput, InputTooLong, InputTooShort,
        InvalidImage or UnsupportedMedia.

        When the caller is cancelled, its image is still decoded: a new process would cost more than most images.
        """
        self.start()
        decoder = await self._free.get()
        work = asyncio.create_task(self._run(decoder, job))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        reply = await asyncio.shield(work)
        if isinstance(reply, Refusal):  # not raised in the task, whose error would be lost after a cancellation
            raise reply.error()
        return reply.pixels

    async def _run(self, decoder: "_ImageDecoder", job: Job) -> Decoded | Refusal:
        try:
            return await decoder.exchange(job)
        finally:
            self._free.put_nowait(decoder)

    async def close(self) -> None:
        """End the processes at once, whatever they decode."""
        for work in self._working:
            work.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        for decoder in self._decoders:
            decoder.kill()


class _ImageDecoder:
    """A process and the socket to it."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory
        self._start()

    def _start(self) -> None:
        self._socket, inner = socket.socketpair()
        self._socket.setblocking(False)
        with inner:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # a folder `app` in the current folder is another program
                    "-m",
                    "app.tasks.sources.image_decoder",
                    str(self._seconds),
                    str(self._memory),
                    str(os.getpid()),
                ],
                stdin=inner.fileno(),
                stdout=subprocess.DEVNULL,
            )

    async def exchange(self, job: Job) -> Decoded | Refusal:
        """The reply to a job. Replaces the process if it ends."""
        loop = asyncio.get_running_loop()
        if self._process.poll() is not None:  # it was killed while it was idle
            self._socket.close()
            self._start()
        try:
            await loop.sock_sendall(self._socket, framed(job))
            size = int.from_bytes(await self._receive(LENGTH_BYTES), "big")
            reply: Decoded | Refusal = reply_of(await self._receive(size))
            return reply
        except (ConnectionError, EOFError):
            self._socket.close()
            status = await asyncio.to_thread(self._process.wait)
            self._start()
        if status > 0:  # an error of ours; the process wrote it to the log
            raise RuntimeError(f"a decoder ended with status {status}")
        cause = f"takes longer than {self._seconds:g} s to decode" if status == -signal.SIGPROF else "cannot be decoded"
        detail = f"{job.place} {cause}; send a smaller file, or save it anew as a baseline JPEG"
        return Refusal(InvalidImage.__name__, detail, {"input": job.place.input})

    async def _receive(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        content, filled = memoryview(bytearray(size)), 0
        while filled < size:
            count = await loop.sock_recv_into(self._socket, content[filled:])
            if not count:
                raise EOFError
            filled += count
        return bytes(content)

    def kill(self) -> None:
        """End the process and wait until it is gone."""
        with suppress(OSError):
            self._socket.close()
        self._process.kill()
        self._process.wait()
