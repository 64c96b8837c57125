"""The engine's loop: hear what arrived, plan, run, tell. One per device."""

import logging
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path

import torch
import zmq

from app.engine.config import EngineConfig
from app.engine.messages import (
    Cancel,
    Emitted,
    Event,
    Events,
    Failed,
    Hello,
    Message,
    RequestKey,
    Scored,
    Status,
    Submit,
    decode_to_engine,
    encode,
)
from app.engine.runner import Item, Runner
from app.engine.scheduler import Plan, Scheduler, Work
from app.errors import EngineFailed, StoreError
from app.store.model_store import read_store

log = logging.getLogger("unroll.engine")
IDLE_MS = 200  # how long an idle engine sleeps before it looks whether it should stop
LOOK_SECONDS = 1.0  # between two looks for front ends that are gone


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


class Engine:
    """Weights, states and schedule behind one ROUTER socket. `context` is shared for inproc endpoints."""

    def __init__(self, config: EngineConfig, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._config = config
        self._instance = uuid.uuid4().hex
        self._scheduler = Scheduler(budget=config.budget, slots=config.slots)
        self._runner = Runner(pick_device(config.device), slots=config.slots)
        self._items: dict[RequestKey, Item] = {}
        self._broken: dict[str, str] = {}
        self._totals = {"requests": 0, "cancelled": 0, "failed": 0}
        self._next_look = 0.0
        self._stop = threading.Event()
        self._socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self._socket.router_mandatory = True
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.linger = 1000
        self._socket.bind(config.endpoint)

    def load(self) -> None:
        """Load and warm every version of the store; note the broken ones."""
        contents = read_store(Path(self._config.store))
        self._broken = {version.key: version.reason for version in contents.broken}
        for version in contents.versions:
            try:
                self._runner.load(version)
            except StoreError as error:
                self._broken[version.manifest.key] = error.detail
            except Exception as error:
                log.exception("loading %s failed", version.manifest.key)
                self._broken[version.manifest.key] = f"loading failed: {error}"
                self._runner.models.pop(version.manifest.key, None)

    def run(self) -> None:
        """Step until `stop` is called, then close the socket."""
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `run` after the current step. May be called from any thread."""
        self._stop.set()

    def step(self) -> None:
        """Hear, plan, run, tell."""
        self._receive()
        self._look_for_the_gone()
        plan = self._scheduler.plan()
        answers = self._run(plan)
        for key in answers:
            self._scheduler.remove(key)
            del self._items[key]
        self._send(answers)

    def _receive(self) -> None:
        busy = self._scheduler.waiting or self._scheduler.running
        self._socket.poll(0 if busy else IDLE_MS)
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
            cost = self._runner.check(submit.model, submit.source)
        except EngineFailed as error:
            self._totals["failed"] += 1
            self._tell(client, Events([Failed(submit.id, error.detail)]))
            return
        self._items[key] = Item(key, submit.source, submit.max_tokens)
        self._scheduler.add(Work(key, submit.model, cost, emits=submit.max_tokens > 0))

    def _cancel(self, key: RequestKey) -> None:
        work = self._scheduler.remove(key)
        if work is not None:
            self._totals["cancelled"] += 1
            self._runner.release(work.model, key)
            del self._items[key]

    def _run(self, plan: Plan) -> dict[RequestKey, Event]:
        """Answers of one plan. What cannot be run on a CPU fails alone; a fault of another device ends the process,
        since only a new one can use the device again, and the front ends send the requests once more."""
        answers: dict[RequestKey, Event] = {}
        if plan.consume:
            answers |= self._consume(plan.consume)
        if plan.emit is not None:
            answers |= self._emit(plan.emit)
        return answers

    def _consume(self, piece: tuple[Work, ...]) -> dict[RequestKey, Event]:
        items = [self._items[work.key] for work in piece]
        try:
            labels = self._runner.consume(piece[0].model, items)
        except RuntimeError as error:
            return self._failed(error, [work.key for work in piece])
        return {label.key: Scored(label.key[1], label.scores) for label in labels}

    def _emit(self, model: str) -> dict[RequestKey, Event]:
        try:
            sentences = self._runner.emit(model, self._config.unit)
        except RuntimeError as error:
            return self._failed(error, self._runner.release_all(model))
        return {item.key: Emitted(item.key[1], item.tokens, item.log_probs, item.finish_reason) for item in sentences}

    def _failed(self, error: RuntimeError, keys: list[RequestKey]) -> dict[RequestKey, Event]:
        if self._runner.device.type != "cpu":
            raise error
        log.error("%d requests failed", len(keys), exc_info=error)
        self._totals["failed"] += len(keys)
        reason = f"the engine could not run it: {type(error).__name__}"
        return {key: Failed(key[1], reason) for key in keys}

    def _send(self, answers: dict[RequestKey, Event]) -> None:
        """One message for each front end that something happened for."""
        by_client: dict[bytes, list[Event]] = {}
        for (client, _), event in answers.items():
            by_client.setdefault(client, []).append(event)
        for client, events in by_client.items():
            self._tell(client, Events(events))

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
        gauges = {"waiting": float(self._scheduler.waiting), "running": float(self._scheduler.running)}
        counters = asdict(self._runner.counters) | self._totals
        return Status(self._instance, sorted(self._runner.models), self._broken, counters, gauges)
