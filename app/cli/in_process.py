"""Answers of versions without a service: an engine in a thread, and the front end's own way from an input to a result.

The last step of an import uses it, so that what it shows is what a service would answer.
"""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.desired_state import DesiredState, create_desired_state
from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.protocol import Terms
from app.errors import StoreError
from app.settings import Settings
from app.tasks.answers.limits import AnswerLimits
from app.tasks.catalog import Catalog, Entry
from app.tasks.registry import BY_NAME, CHECKS
from app.tasks.run import answer_all, prepare
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader
from app.temporary_folder import check_temporary_folder

_SECONDS = 300.0  # to load a version, and then to answer all inputs
_STOP_SECONDS = 30.0  # for the engine to end its step; it ends with the process otherwise


def answers(folders: Sequence[Path], inputs: Sequence[Any]) -> list[list[dict[str, Any]]]:
    """The results of each version in a folder, one for each input. Raises UnrollError: StoreError if a version cannot
    be served, InputError for an input that it does not read, TimedOut if the engine does not answer."""
    check_temporary_folder()
    with tempfile.TemporaryDirectory(prefix="unroll-try-") as name:
        folder = Path(name)
        versions = {f"{path.parent.name}/{path.name}": str(path) for path in folders}
        state = create_desired_state(folder, DesiredState(versions=versions))
        endpoint = f"ipc://{folder}/engine"
        engine = Engine(EngineConfig(endpoint=endpoint, store=name, desired_state=str(state), device="cpu"))
        engine.load()
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        try:
            return asyncio.run(_answers(endpoint, folders, inputs))
        finally:
            engine.stop()
            thread.join(_STOP_SECONDS)


async def _answers(endpoint: str, folders: Sequence[Path], inputs: Sequence[Any]) -> list[list[dict[str, Any]]]:
    settings = Settings.model_construct()
    catalog = Catalog(CHECKS)
    opened = [catalog.open(folder) for folder in folders]
    for entry in opened:
        if not isinstance(entry, Entry):
            raise StoreError(f"{entry.name}/{entry.version} cannot be served: {entry.reason}")
    entries = [entry for entry in opened if isinstance(entry, Entry)]
    keys = {entry.manifest.key for entry in entries}
    catalog.change(opened, served=keys, failed={}, defaults={}, unloaded=())
    decoders = ImageDecoders(1, seconds=settings.image_seconds, pixels=settings.max_image_pixels)
    limits = SourceLimits(settings.max_text_chars, settings.max_image_bytes, settings.max_image_pixels)
    try:
        async with EngineClient([endpoint]) as client:
            await client.wait_ready(_SECONDS)
            return [await _of(entry, inputs, catalog, client, Reader(limits, decoders)) for entry in entries]
    finally:
        await decoders.close()


async def _of(
    entry: Entry, inputs: Sequence[Any], catalog: Catalog, client: EngineClient, reader: Reader
) -> list[dict[str, Any]]:
    manifest = entry.manifest
    task = BY_NAME[manifest.task]
    jobs = await prepare(
        task,
        inputs,
        task.options(),
        model=manifest.name,
        version=manifest.version,
        catalog=catalog,
        engines=client.view,
        reader=reader,
        limits=AnswerLimits(),
        deadline=None,
    )
    outputs = await answer_all(task, client, jobs, Terms(deadline=time.monotonic() + _SECONDS))
    body = json.loads(b"".join(await task.answer.form.of(jobs, outputs).encoded()))
    results: list[dict[str, Any]] = body["results"]
    return results
