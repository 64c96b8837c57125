"""Faults that a soak causes: processes that die, stop or hang, and a reader of the log that stops."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.log_reader import LogReader
from benchmarks.soak.processes import Processes, Role
from benchmarks.soak.questions import get
from benchmarks.soak.readings import json_object

KINDS = (
    "engine killed",
    "engine stopped",
    "engine hung",
    "worker killed",
    "worker stopped",
    "worker hung",
    "log reader stopped",
)
_STOP_SECONDS = 3.0
_RECOVERY_SECONDS = 120.0
_LOOK_SECONDS = 0.2


@dataclass
class Faults:
    """`marks` are the faults so far: seconds from the start of the soak, and what happened."""

    run: Run
    processes: Processes
    engines: int
    log: LogReader
    heartbeat_seconds: float
    began: float
    marks: list[tuple[float, str]] = field(default_factory=list)
    slowest_recovery: float = 0.0
    problems: list[str] = field(default_factory=list)

    async def cause(self, kinds: Sequence[str], gap: float, until: float) -> None:
        """One fault after another in random order, at least `gap` seconds apart, `until` this time of the soak. The
        oldest process of each role is stopped, but not killed, so that its memory can be compared over the whole
        time."""
        source = self.run.random("faults")
        order: list[str] = []
        await self.run.pause(gap)
        while kinds and self.time() + gap < until:
            order = order or source.sample(kinds, len(kinds))
            await asyncio.gather(self.run.pause(gap), self._try(order.pop()))

    async def _try(self, kind: str, *, oldest: bool = False) -> None:
        try:
            await self._cause(kind, oldest=oldest)
        except (psutil.NoSuchProcess, IndexError) as error:
            self.problems.append(f"{kind}: a process had ended before ({error})")

    async def _cause(self, kind: str, *, oldest: bool) -> None:
        victim, what = kind.rsplit(" ", 1)
        if victim == "log reader":
            await self._stop_log_reader()
            return
        processes = self.processes.of(Role.ENGINE if victim == "engine" else Role.FRONT_END)
        if what == "stopped":
            await self._stop(processes, kind)
        else:
            await self._kill(processes[0 if oldest else -1], kind, hangs=what == "hung")

    def time(self) -> float:
        return time.monotonic() - self.began

    def counted(self) -> Counter[str]:
        return Counter(what for _, what in self.marks)

    async def kill_oldest(self) -> None:
        """At the end, the oldest processes die, too."""
        await self._try("engine killed", oldest=True)
        if self.processes.workers > 1:
            await self._try("worker killed", oldest=True)

    async def _stop_log_reader(self) -> None:
        """Longer than the limit of heartbeats: a process that waits for its log would be killed."""
        self._mark("log reader stopped")
        self.log.stop()
        await self.run.pause(1.5 * self.heartbeat_seconds)
        self.log.go_on()

    async def _stop(self, processes: list[psutil.Process], what: str) -> None:
        """Stop a process for less than the limit of heartbeats, then let it continue."""
        victim = self.run.random(f"{what} {len(self.marks)}").choice(processes)
        self._mark(what)
        victim.send_signal(signal.SIGSTOP)
        await asyncio.sleep(min(_STOP_SECONDS, self.heartbeat_seconds / 3))
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGCONT)

    async def _kill(self, victim: psutil.Process, what: str, *, hangs: bool) -> None:
        """Stop a process, note its clients, and kill it; or if it `hangs`, wait until its supervisor does."""
        role = Role.ENGINE if what.startswith("engine") else Role.FRONT_END
        before = len(self.processes.of(role))
        self._mark(what)
        victim.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(_wait_until_stopped, victim)
        ports = set[int]()
        if role is Role.FRONT_END:
            ports = await asyncio.to_thread(client_ports, victim.pid, self.run.port)
        self.run.kills.note(role, ports, within=2 * self.heartbeat_seconds if hangs else 0)
        if not hangs:
            victim.kill()
        await self._recovered(role, victim, before, what)

    async def _recovered(self, role: Role, victim: psutil.Process, before: int, what: str) -> None:
        """Wait until another process serves in place of the victim."""
        sender, since = Sender(self.run, "readiness"), time.monotonic()
        limit = _RECOVERY_SECONDS + self.heartbeat_seconds
        while time.monotonic() - since < limit:
            await asyncio.sleep(_LOOK_SECONDS)
            others = [process for process in self.processes.of(role) if process.pid != victim.pid]
            if len(others) == before and await self._serves(others[-1], role, sender):
                self.slowest_recovery = max(self.slowest_recovery, time.monotonic() - since)
                return
        self.problems.append(f"{what}: not replaced within {limit:.0f} s")

    async def _serves(self, newest: psutil.Process, role: Role, sender: Sender) -> bool:
        """Whether every engine is ready and, for a front end, whether it accepted this new connection: until then, a
        process that hangs counts as one that starts."""
        _, answer = await sender.ask(get("/readyz", json_object))
        port = sender.port
        try:
            if answer is None or answer.status != 200 or not _all_ready(answer.body):
                return False
            if role is Role.ENGINE:
                return True
            return port in await asyncio.to_thread(client_ports, newest.pid, self.run.port)
        except OSError:  # the process ended
            return False
        finally:
            sender.hang_up()

    def _mark(self, what: str) -> None:
        self.marks.append((self.time(), what))


def _wait_until_stopped(process: psutil.Process) -> None:
    while process.status() != psutil.STATUS_STOPPED:
        time.sleep(0.001)


def _all_ready(body: bytes) -> bool:
    state = json.loads(body)
    return bool(state["engines_ready"] == state["engines"])


def client_ports(pid: int, port: int) -> set[int]:
    """The ports of clients that are connected to a process which listens on `port`."""
    descriptors = f"/proc/{pid}/fd"
    mine = set()
    for name in os.listdir(descriptors):
        with suppress(OSError):
            target = os.readlink(f"{descriptors}/{name}")
            if target.startswith("socket:["):
                mine.add(target[8:-1])
    ports = set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port and fields[9] in mine:
                ports.add(int(fields[2].split(":")[1], 16))
    return ports - {0}
