"""An administrator who loads and unloads a version, and probes that look at health, metrics and models."""

import asyncio

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.questions import Question, get, post
from benchmarks.soak.readings import anything, json_object, metrics
from benchmarks.soak.store import SECOND

_PAUSES = {"unload": 0.5, "load": 8.0}  # seconds: the version is loaded most of the time, so it is in medians of memory
_PROBE_SECONDS = 1.0
_TRIES, _RETRY_SECONDS = 10, 2.0


async def administrator(run: Run, model: str) -> None:
    """Unload and load the second version of a model, by turns over both interfaces."""
    sender = Sender(run, "administrator")
    key = {"Authorization": f"Bearer {run.admin_key}"}
    changes = [(_native(model, what), _triton(model, what)) for what in _PAUSES]
    while run.goes_on:
        for interface in range(2):
            for change, pause in zip(changes, _PAUSES.values(), strict=True):
                await _change(sender, change[interface], key)
                await run.pause(pause)


def _native(model: str, what: str) -> Question:
    return post(f"/v1/models/{model}/{what}", {"version": SECOND}, json_object, route=f"POST /v1/models/.../{what}")


def _triton(model: str, what: str) -> Question:
    path = f"/v2/repository/models/{model}/{what}"
    return post(path, {"parameters": {"version": SECOND}}, anything, route=f"POST /v2/repository/models/.../{what}")


async def _change(sender: Sender, question: Question, key: dict[str, str]) -> None:
    """Unload or load. A load is refused if an engine ends during it: try again."""
    for _ in range(_TRIES):
        end = await sender.ask_again_if_killed(question, headers=key)
        if end.detail != "not-ready":
            return
        await asyncio.sleep(_RETRY_SECONDS)


async def probes(run: Run) -> None:
    """Ask for health, metrics and models, as monitoring does."""
    sender = Sender(run, "probes")
    asked = [
        *(get(path, json_object) for path in ("/healthz", "/v1/models", "/v2", "/v2/models/stats")),
        get("/metrics", metrics),
        get("/v2/health/ready", json_object),
    ]
    while run.goes_on:
        for question in asked:
            await sender.ask(question)
        await run.pause(_PROBE_SECONDS)
