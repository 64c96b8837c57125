"""The engine's loop: receive, plan, execute, send. One engine per device."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import assert_never, cast

import msgspec
import torch
import zmq

from app.desired_state import read_desired_state
from app.engine.carrying import check_carry
from app.engine.check import check
from app.engine.config import EngineConfig
from app.engine.cost import cost_of
from app.engine.decode import answer_at_deadline, decode, release
from app.engine.encode import encode
from app.engine.faults import reason_of, refused
from app.engine.forecast import forecast
from app.engine.front_ends import FrontEnds
from app.engine.models import Models
from app.engine.pieces import run_piece
from app.engine.policy import Policy, policy_of, select
from app.engine.protocol import (
    Answer,
    Cancel,
    Event,
    Events,
    Failed,
    Hello,
    Load,
    Message,
    Part,
    RequestKey,
    Started,
    Status,
    Submit,
    Submits,
    Times,
    Unload,
)
from app.engine.request import Chunk, Output, Request
from app.engine.scheduler import Plan, Scheduler
from app.engine.statistics import Statistics
from app.engine.versions import Reply, Versions
from app.errors import ModelUnavailable, UnrollError
from app.machine import available_memory
from app.store.hashes import FOLDER, Hashes
from app.store.listing import list_store

log = logging.getLogger("unroll.engine")
_IDLE_MS = 200  # longest sleep of an idle engine, after which it checks whether it should stop
_CHANGING_MS = 10  # the same while versions are loaded or unloaded
_PROBE_SECONDS = 1.0  # between two checks for front ends that are gone
_REPORT_SECONDS = 0.002  # in which the socket's thread sends a report
_EXPIRED = "the deadline passed before the request could run; retry later, or set a longer timeout"


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU, or the CPU without one."""
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _memory_of(device: torch.device) -> int:
    """Bytes of a device that this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return available_memory()


def _no_beat() -> None:
    pass


class Engine:
    """Weights, states and schedule behind one socket. `context` is shared for inproc endpoints. The loop calls `beat`
    in every turn, so that a supervisor notices when it hangs. `restarts` is how often this engine was restarted.
    `policy` is by default that of the device."""

    def __init__(
        self,
        config: EngineConfig,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        beat: Callable[[], None] = _no_beat,
        restarts: int = 0,
        policy: Policy | None = None,
    ) -> None:
        self._config = config
        self._beat = beat
        self._instance = uuid.uuid4().hex
        self._device = pick_device(config.device)
        policy = policy or policy_of(self._device)
        self._slots = config.slots or policy.slots
        self._scheduler = Scheduler(budget=config.budget or policy.budget, slots=self._slots, unit=config.unit)
        self._statistics = Statistics(self._slots, restarts=restarts)
        folder = Path(config.desired_state).parent / FOLDER if config.desired_state else None
        self._models = Models(
            self._device,
            slots=self._slots,
            precision=config.precision,
            unit=config.unit,
            policy=policy,
            memory=config.models_memory or _memory_of(self._device) // 2,
            hash_of=Hashes(folder).of,
        )
        self._versions = Versions(self._models, self._scheduler, self._statistics, self._announce)
        self._next_probe = 0.0
        self._now = 0.0  # when the requests of this turn ended
        self._stop = threading.Event()
        self._front_ends = FrontEnds(config.endpoint, context, config.key_file)

    def load(self) -> None:
        """Serve the versions of the desired state, or else of the store, and load the default versions; broken ones are
        in the status."""
        select(self._device)
        if self._config.desired_state:
            desired = read_desired_state(Path(self._config.desired_state))
            self._versions.begin(desired.versions, desired.defaults)
        else:
            listing = list_store(Path(self._config.store))
            self._versions.begin({key: str(folder) for key, folder in listing.folders.items()}, listing.defaults)

    def run(self) -> None:
        """Step until `stop` is called, then close the socket."""
        select(self._device)
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self._versions.stop()
            self._front_ends.close()

    def stop(self) -> None:
        """End `run` after the current step. Any thread may call this."""
        self._stop.set()

    def step(self) -> None:
        """One turn of the loop."""
        self._beat()
        self._receive()
        self._probe_front_ends()
        replies, outputs = self._versions.advance()
        self._reply(replies)
        self._now = time.monotonic()
        self._send(outputs)
        outputs = self._expire(self._now)
        plan = self._scheduler.plan()
        outputs += self._execute(plan)
        self._send(outputs)

    def _receive(self) -> None:
        wait_ms = 0 if self._scheduler.can_run else _CHANGING_MS if self._versions.are_changing else _IDLE_MS
        for client, message in self._front_ends.receive(wait_ms=wait_ms):
            match message:
                case Submits():
                    for submit in message.submits:
                        self._submit(client, submit)
                case Cancel():
                    for number in message.ids:
                        self._cancel((client, number))
                case Hello():
                    self._send_to(client, self.status())
                case Load():
                    self._reply(self._versions.load(client, message))
                case Unload():
                    self._reply(self._versions.unload(client, message))
                case _:
                    assert_never(message)

    def _submit(self, client: bytes, submit: Submit) -> None:
        key = (client, submit.id)
        if key in self._scheduler:
            return  # sent again after a lost connection; it is already here
        self._statistics.counters["requests"] += 1
        try:
            self._scheduler.add(self._accepted(key, submit))
        except UnrollError as error:
            gone, options = isinstance(error, ModelUnavailable), cast(list[str], error.facts.get("options", []))
            self._refuse(client, Failed(submit.id, error.detail, gone=gone, options=options))
        except Exception as error:
            self._refuse(client, refused(submit.id, submit.model, error))

    def _accepted(self, key: RequestKey, submit: Submit) -> Request:
        """The request of a message. Raises EngineFailed, ModelUnavailable, ContradictoryOptions."""
        manifest = self._versions.manifest(submit.model, was_accepted=submit.again)
        check(manifest, submit.source, submit.answer, slots=self._slots)
        cost = cost_of(submit.source, submit.answer, manifest.architecture)
        request = Request(
            key, submit.model, submit.source, submit.answer, cost, submit.terms, submit.again, submit.trial
        )
        if submit.carry is not None:
            check_carry(manifest, submit.carry, submit.answer, cost.encode)
            request.carry = submit.carry
        self._statistics.arrived(request, time.monotonic())
        self._versions.use(submit.model)
        return request

    def _refuse(self, client: bytes, failed: Failed) -> None:
        self._statistics.counters["failed"] += 1
        self._send_to(client, Events([failed]))

    def _cancel(self, key: RequestKey) -> None:
        request = self._scheduler.remove(key)
        if request is not None:
            self._statistics.cancelled(request)
            if request.model in self._models:
                release(self._models[request.model], request)

    def _probe_front_ends(self) -> None:
        """Send a status to every front end with requests here: one that is gone cannot be reached, and its requests are
        cancelled."""
        if time.monotonic() > self._next_probe:
            self._next_probe = time.monotonic() + _PROBE_SECONDS
            for client in {request.key[0] for request in self._scheduler.requests}:
                self._send_to(client, self.status())

    def _expire(self, now: float) -> list[Output]:
        """Answer requests whose deadline passed with what they have; without any tokens or numbers they fail."""
        return [self._answer_at_deadline(request) for request in self._scheduler.expire(now)]

    def _answer_at_deadline(self, request: Request) -> Output:
        self._statistics.counters["expired"] += 1
        if request.model not in self._models:
            reason = self._versions.why_not_loaded(request.model)
            return request, Failed(request.key[1], reason, not_loaded=True)
        answer = answer_at_deadline(self._models[request.model], request)
        return request, answer or Failed(request.key[1], _EXPIRED, expired=True)

    def _execute(self, plan: Plan) -> list[Output]:
        """Run a plan. A fault of a GPU ends the process: only a new process can use the device again, and the front
        ends send the requests once more."""
        if plan.model is None:
            return []
        started = time.monotonic()
        model, is_piece = self._models[plan.model], False
        if plan.chunks:
            outputs = encode(model, self._announced(plan.chunks))
            self._scheduler.read_again(plan.chunks)
        elif is_piece := model.takes_piece():
            outputs = run_piece(model)
        elif len(model.forecasts):
            outputs = forecast(model, self._config.unit)
        else:
            outputs = decode(model, self._config.unit)
        self._now = time.monotonic()
        self._scheduler.charge(plan.model, self._now - started)
        self._statistics.executed(plan, started, self._now, is_piece=is_piece)
        return outputs

    def _announced(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks whose front end is still there."""
        self._announce([chunk.request for chunk in chunks if not chunk.request.started])
        return [chunk for chunk in chunks if chunk.request.key in self._scheduler]

    def _announce(self, requests: Sequence[Request]) -> None:
        """Report the requests that an engine ended with, before they or the load of their version start: this engine
        may end with them, too."""
        again = [request for request in requests if request.again]
        if again:
            self._send([(request, Started(request.key[1])) for request in again])
            time.sleep(_REPORT_SECONDS)

    def _send(self, outputs: list[Output]) -> None:
        """Send the events of a step, one message per front end, and forget the requests that ended."""
        events: dict[bytes, list[Event]] = {}
        times: dict[bytes, list[Times]] = {}
        for request, event in outputs:
            client = request.key[0]
            if request.carried is not None and isinstance(event, Answer):
                event = msgspec.structs.replace(event, carried=request.carried)
            events.setdefault(client, []).append(event)
            if not isinstance(event, Part | Started):
                self._scheduler.remove(request.key)
                times.setdefault(client, []).append(self._statistics.ended(request, event, self._now))
        for client, of_client in events.items():
            self._send_events(client, of_client, times.get(client, []))

    def _send_events(self, client: bytes, events: list[Event], times: list[Times]) -> None:
        """Send events. One that cannot become a message is the failure of its request."""
        try:
            self._send_to(client, Events(events, times))
        except Exception as error:
            log.exception("%d events were not sent", len(events))
            if len(events) == 1:
                self._send_to(client, Events([Failed(events[0].id, reason_of(error))], times))
                return
            for event in events:
                self._send_events(client, [event], [one for one in times if one.id == event.id])

    def _reply(self, replies: list[Reply]) -> None:
        for client, change in replies:
            self._send_to(client, change)

    def _send_to(self, client: bytes, message: Message) -> None:
        if not self._front_ends.send(client, message):
            for request in self._scheduler.requests:
                if request.key[0] == client:
                    self._cancel(request.key)

    def status(self) -> Status:
        """State and figures for the front ends."""
        scheduler, statistics = self._scheduler, self._statistics
        precisions = {key: model.precision for key, model in sorted(self._models.items())}
        return Status(
            self._instance,
            self._versions.served,
            self._versions.broken,
            counters=asdict(self._models.counters) | statistics.counters | {"evictions": self._versions.evictions},
            gauges={
                "waiting": float(scheduler.waiting),
                "running": float(scheduler.running),
                "pending_steps": float(scheduler.pending_steps),
            },
            precisions=precisions,
            figures=statistics.figures({key: model.rows for key, model in self._models.items()}),
            load_seconds=statistics.load_seconds,
            loading=self._versions.loading,
            models_bytes=self._models.bytes,
            models_memory=self._models.memory,
            now=time.monotonic(),
        )
