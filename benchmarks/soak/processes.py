"""The processes of a service by role, and samples of their memory, open files and threads."""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from benchmarks.service import TEMPLATE

SAMPLE_SECONDS = 1.0


class Role(StrEnum):
    """The service's own process is the front end when there is one worker; else it supervises the workers."""

    FRONT_END = "front end"
    ENGINE = "engine"
    TEMPLATE = "engine template"
    SUPERVISOR = "supervisor"
    IMAGE_DECODER = "image decoder"
    OTHER = "other"


_MODULES = {
    TEMPLATE: Role.TEMPLATE,
    "app.workers": Role.FRONT_END,
    "app.tasks.sources.image_decoder": Role.IMAGE_DECODER,
}


@dataclass(frozen=True)
class Sample:
    """One process at one time: sizes in bytes, `at` in seconds from the start of the soak, `age` of the process.
    `anonymous` memory belongs to no file. The unique set also has pages of files, such as libraries, while no other
    process maps them, so it changes when another process ends or starts."""

    at: float
    role: Role
    pid: int
    age: float
    anonymous: int
    uss: int
    pss: int
    rss: int
    files: int
    threads: int


@dataclass
class Processes:
    """The living processes of a service."""

    service: int
    workers: int

    def of(self, role: Role) -> list[psutil.Process]:
        """Processes of a role, the oldest first."""
        found = [process for process, its in self.all() if its is role]
        return sorted(found, key=lambda process: (process.create_time(), process.pid))

    def all(self) -> list[tuple[psutil.Process, Role]]:
        """Processes that run a program of their own, and engines, which are forks of their template. Another child has
        the command of its parent until it executes one, and none when it ends."""
        own = psutil.Process(self.service)
        found = [(own, Role.FRONT_END if self.workers == 1 else Role.SUPERVISOR)]
        for child in own.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                command = child.cmdline()
                is_fork = command == psutil.Process(child.ppid()).cmdline()
                if command and (not is_fork or TEMPLATE in command):
                    found.append((child, Role.ENGINE if is_fork else _role(command)))
        return found

    def samples(self, began: float) -> list[Sample]:
        """A sample of each process; one that ends in the meantime is left out."""
        taken, now = [], time.monotonic() - began
        if not psutil.pid_exists(self.service):
            return []
        for process, role in self.all():
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                age = time.time() - process.create_time()
                sizes = anonymous(process.pid), memory.uss, memory.pss, memory.rss
                taken.append(Sample(now, role, process.pid, age, *sizes, process.num_fds(), process.num_threads()))
        return taken


def _role(command: Sequence[str]) -> Role:
    return next((_MODULES[word] for word in command if word in _MODULES), Role.OTHER)


def anonymous(pid: int) -> int:
    """Anonymous resident memory of a process in bytes, swapped pages included. Raises NoSuchProcess, also for a process
    that ends and has no memory any more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    sizes = re.findall(r"^(?:RssAnon|VmSwap):\s+(\d+) kB$", status, re.MULTILINE)
    if not sizes:
        raise psutil.NoSuchProcess(pid)
    return 1024 * sum(map(int, sizes))


@dataclass
class Sampling:
    """Samples of a whole soak, taken in a thread, so that clients do not wait."""

    processes: Processes
    began: float
    samples: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            self.samples += await asyncio.to_thread(self.processes.samples, self.began)
            await asyncio.sleep(SAMPLE_SECONDS)
