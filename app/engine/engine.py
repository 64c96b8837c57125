"""The engine's loop: hear what arrived, plan, run, tell. One per device."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
import zmq

from app.desired_state import read_wanted
from app.engine.config import EngineConfig
from app.engine.loading import Loading, reason_of
from app.engine.protocol import (
    Cancel,
    Event,
    Events,
    Failed,
    Hello,
    Load,
    Loaded,
    Message,
    NotLoaded,
    Progress,
    RequestKey,
    Started,
    Status,
    Submit,
    Times,
    Unload,
    Unloaded,
    decode_to_engine,
    encode,
)
from app.engine.runner import Item, Portion, Runner, Told
from app.engine.scheduler import Plan, Scheduler, Work
from app.engine.statistics import Journal
from app.errors import EngineFailed, ModelUnavailable
from app.store.model_store import open_version, version_folders

log = logging.getLogger("unroll.engine")
IDLE_MS = 200  # how long an idle engine sleeps before it looks whether it should stop
_CHANGING_MS = 10  # the same while versions are loaded or unloaded
LOOK_SECONDS = 1.0  # between two looks for front ends that are gone
_EXPIRED = "its deadline passed before it could be run; send it when less is waiting, or give it more time"


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@dataclass(slots=True)
class _Leaving:
    """A version that is to be unloaded: until when requests for it are taken, on the clock of `time.monotonic`, who is
    to be told that it is gone, and who wants it again then."""

    until: float
    clients: list[bytes] = field(default_factory=list)
    loads: list[tuple[bytes, Load]] = field(default_factory=list)


class Engine:
    """Weights, states and schedule behind one ROUTER socket. `context` is shared for inproc endpoints; `beat` is called
    whenever the loop comes round, so that somebody can notice when it does not; `restarts` is how often this engine was
    started before."""

    def __init__(
        self,
        config: EngineConfig,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        beat: Callable[[], None] | None = None,
        restarts: int = 0,
    ) -> None:
        self._config = config
        self._beat = beat
        self._instance = uuid.uuid4().hex
        self._scheduler = Scheduler(budget=config.budget, slots=config.slots, unit=config.unit)
        self._runner = Runner(pick_device(config.device), slots=config.slots, precision=config.precision)
        self._loading = Loading(self._runner)
        self._loaders: dict[str, list[bytes]] = {}  # who waits for a version to be loaded
        self._leaving: dict[str, _Leaving] = {}
        self._items: dict[RequestKey, Item] = {}
        self._broken: dict[str, str] = {}
        self._journal = Journal(config.slots)
        self._totals = dict.fromkeys(("requests", "cancelled", "failed", "expired", "loads", "load_failures"), 0)
        self._totals["restarts"] = restarts
        self._next_look = 0.0
        self._stop = threading.Event()
        self._socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self._socket.router_mandatory = True
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.linger = 1000
        self._socket.bind(config.endpoint)

    def load(self) -> None:
        """Load and warm every version that is wanted; note the broken ones."""
        wanted = read_wanted(Path(self._config.wanted)).versions if self._config.wanted else None
        if wanted is None:
            wanted = {key: str(folder) for key, folder in version_folders(Path(self._config.store)).items()}
        for key, folder in wanted.items():
            started = time.monotonic()
            reason = reason_of(key, partial(self._load_from, Path(folder)))
            self._note(key, reason, time.monotonic() - started)

    def _load_from(self, folder: Path) -> None:
        self._runner.load(open_version(folder))

    def _note(self, key: str, reason: str | None, seconds: float) -> None:
        """A version was loaded, or could not be, so many seconds after it was asked for."""
        self._totals["loads" if reason is None else "load_failures"] += 1
        if reason is None:
            self._journal.loaded(key, seconds)
            model = self._runner.models[key]
            self._scheduler.register(key, divisible=model.is_divisible, padded=self._runner.padded_steps(key))
            self._broken.pop(key, None)
        else:
            self._broken[key] = reason

    def run(self) -> None:
        """Step until `stop` is called, then close the socket."""
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self._loading.stop()
            self._socket.close()

    def stop(self) -> None:
        """End `run` after the current step. May be called from any thread."""
        self._stop.set()

    def step(self) -> None:
        """Hear, plan, run, tell."""
        if self._beat is not None:
            self._beat()
        self._receive()
        self._look_for_the_gone()
        self._change_versions()
        started = ended = time.monotonic()
        told = [answer for work in self._scheduler.expire(started) for answer in self._expire(work)]
        plan = self._scheduler.plan()
        if plan.model is not None:
            told += self._run(plan.model, plan)
            ended = time.monotonic()
            self._scheduler.charge(plan.model, ended - started)
            self._journal.ran(plan, started, ended)
        times: dict[RequestKey, Times] = {}
        for key, event in told:
            if not isinstance(event, Progress | Started):
                self._scheduler.remove(key)
                self._totals["failed"] += isinstance(event, Failed)
                times[key] = self._journal.ended(key, event, ended)
                del self._items[key]
        self._send(told, times)

    def _receive(self) -> None:
        busy = self._scheduler.waiting or self._scheduler.running
        changing = self._loading or self._leaving
        self._socket.poll(0 if busy else _CHANGING_MS if changing else IDLE_MS)
        while True:
            try:
                client, frame = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            message = decode_to_engine(frame)
            if isinstance(message, Submit):
                self._submit(client, message)
            elif isinstance(message, Cancel):
                for request in message.ids:
                    self._cancel((client, request))
            elif isinstance(message, Hello):
                self._tell(client, self.status())
            elif isinstance(message, Load):
                self._load(client, message)
            elif isinstance(message, Unload):
                self._unload(client, message)

    def _load(self, client: bytes, load: Load) -> None:
        key = load.model
        if key in self._leaving:
            self._leaving[key].loads.append((client, load))
        elif key in self._runner.models:
            self._tell(client, Loaded(key))
        else:
            self._loaders.setdefault(key, []).append(client)
            self._loading.begin(key, load.folder)

    def _unload(self, client: bytes, unload: Unload) -> None:
        key = unload.model
        self._broken.pop(key, None)
        self._loading.forget(key)
        for loader in self._loaders.pop(key, []):
            self._tell(loader, NotLoaded(key, "it was unloaded while it was being loaded"))
        if key not in self._runner.models:
            self._tell(client, Unloaded(key))
            return
        self._leaving.setdefault(key, _Leaving(time.monotonic() + unload.linger)).clients.append(client)

    def _change_versions(self) -> None:
        """Take what has been loaded meanwhile, and let go of what nobody uses any more."""
        if self._loading:
            for key, reason, seconds in self._loading.finished():
                self._note(key, reason, seconds)
                answer = Loaded(key) if reason is None else NotLoaded(key, reason)
                for client in self._loaders.pop(key, []):
                    self._tell(client, answer)
        if self._leaving:
            now = time.monotonic()
            for key, leaving in list(self._leaving.items()):
                if now >= leaving.until and self._scheduler.is_idle(key):
                    del self._leaving[key]
                    self._scheduler.unregister(key)
                    self._runner.unload(key)
                    self._journal.unloaded(key)
                    for client in leaving.clients:
                        self._tell(client, Unloaded(key))
                    for client, load in leaving.loads:
                        self._load(client, load)

    def _look_for_the_gone(self) -> None:
        """Tell every front end that waits for something how the engine fares: one that is gone cannot be reached, and
        its requests are cancelled."""
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            for client in {client for client, _ in self._items}:
                self._tell(client, self.status())

    def _submit(self, client: bytes, submit: Submit) -> None:
        key = (client, submit.id)
        if key in self._items:
            return  # sent again after a lost connection; it is already here
        self._totals["requests"] += 1
        try:
            self._check_leaving(submit.model)
            cost = self._runner.check(submit.model, submit.source, submit.emit)
        except (EngineFailed, ModelUnavailable) as error:
            self._totals["failed"] += 1
            self._tell(client, Events([Failed(submit.id, error.detail, gone=isinstance(error, ModelUnavailable))]))
            return
        self._items[key] = Item(key, submit.source, submit.emit, submit.explain)
        self._journal.arrived(key, submit.model, submit.source, time.monotonic())
        self._scheduler.add(
            Work(key, submit.model, cost.consume, cost.rows, cost.emit, submit.terms, alone=submit.alone)
        )

    def _check_leaving(self, model: str) -> None:
        leaving = self._leaving.get(model)
        if leaving is not None and time.monotonic() >= leaving.until:
            raise ModelUnavailable(f"{model} is being unloaded; choose another version")

    def _cancel(self, key: RequestKey) -> None:
        work = self._scheduler.remove(key)
        if work is not None:
            self._totals["cancelled"] += 1
            self._runner.release(work.model, key)
            self._journal.cancelled(key)
            del self._items[key]

    def _expire(self, work: Work) -> list[Told]:
        """What is told of a request whose deadline passed: as much as there is of a sentence, else that it failed."""
        self._totals["expired"] += 1
        answer = self._runner.expire(work.model, work.key)
        return [(work.key, answer or Failed(work.key[1], _EXPIRED, expired=True))]

    def _run(self, model: str, plan: Plan) -> list[Told]:
        """What one plan leads to. What cannot be run on a CPU fails alone; a fault of another device ends the process,
        since only a new one can use the device again, and the front ends send the requests once more."""
        if not plan.consume:
            return self._runner.emit(model, self._config.unit)
        alone = [part.work.key for part in plan.consume if part.work.alone and part.start == 0]
        self._send([(key, Started(key[1])) for key in alone], {})  # before it is run: it may be the last that is told
        portions = [Portion(self._items[part.work.key], part.start, part.steps) for part in plan.consume]
        return self._runner.consume(model, portions)

    def _send(self, told: Iterable[Told], times: Mapping[RequestKey, Times]) -> None:
        """One message for each front end that something happened for."""
        by_client: dict[bytes, list[Event]] = {}
        for (client, _), event in told:
            by_client.setdefault(client, []).append(event)
        times_by_client: dict[bytes, list[Times]] = {}
        for (client, _), of_request in times.items():
            times_by_client.setdefault(client, []).append(of_request)
        for client, events in by_client.items():
            self._tell(client, Events(events, times_by_client.get(client, [])))

    def _tell(self, client: bytes, message: Message) -> None:
        try:
            self._socket.send_multipart([client, encode(message)])
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            for key in [key for key in self._items if key[0] == client]:  # that front end is gone
                self._cancel(key)

    def status(self) -> Status:
        """What the front ends show and count."""
        scheduler = self._scheduler
        gauges = {
            "waiting": float(scheduler.waiting),
            "running": float(scheduler.running),
            "pending_steps": float(scheduler.pending_steps),
        }
        counters = asdict(self._runner.counters) | self._totals
        precisions = {key: model.precision for key, model in sorted(self._runner.models.items())}
        figures = self._journal.figures({key: model.slots.count for key, model in self._runner.models.items()})
        load_seconds = self._journal.load_seconds
        return Status(
            self._instance, sorted(precisions), self._broken, counters, gauges, precisions, figures, load_seconds
        )
