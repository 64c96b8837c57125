"""An administrator who loads and unloads a version, and probes that look at health, metrics and models."""

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.questions import Question, get, post
from benchmarks.soak.readings import json_object, metrics
from benchmarks.soak.store import SECOND

_LOADED_SECONDS = 3.0
_PROBE_SECONDS = 1.0
_TRIES = 5


async def administrator(run: Run, model: str) -> None:
    """Unload and load the second version of a model, by turns over both interfaces."""
    sender = Sender(run, "administrator")
    key = {"Authorization": f"Bearer {run.admin_key}"}
    of_unroll = [
        post(f"/v1/models/{model}/{what}", {"version": SECOND}, json_object, route=f"POST /v1/models/.../{what}")
        for what in ("unload", "load")
    ]
    of_triton = [
        post(
            f"/v2/repository/models/{model}/{what}",
            {"parameters": {"version": SECOND}},
            lambda body: json_object(b"{}"),
        )
        for what in ("unload", "load")
    ]
    while run.goes_on:
        for pair in (of_unroll, of_triton):
            for question in pair:
                await _change(sender, question, key)
                await run.pause(_LOADED_SECONDS)


async def _change(sender: Sender, question: Question, key: dict[str, str]) -> None:
    """Unload or load. An engine that ends while it loads fails the load: try again."""
    for _ in range(_TRIES):
        end = await sender.ask_again_if_killed(question, headers=key)
        if end.detail != "load-failed":
            return


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
