"""The model store and the engines of a service, as its settings ask for them."""

import logging
from pathlib import Path

from app.desired_state import DesiredState
from app.engine.config import EngineConfig
from app.engine.process import EngineProcesses, engine_devices
from app.errors import StoreUnreachable
from app.machine import available_cores, available_memory
from app.settings import Settings
from app.store.model_store import version_folders
from app.store.remote import RemoteStore, is_url
from app.store.stores import FolderStore, Store, read_defaults

_MOST_ENGINES = 4
_ENGINE_BYTES = 200 * 2**20  # without a model
_FRONT_END_BYTES = 256 * 2**20

log = logging.getLogger("unroll")


def open_store(settings: Settings) -> Store:
    """The model store. `bring_up_to_date` copies one at a URL. Raises StoreUnreachable."""
    if is_url(settings.store):
        return RemoteStore(settings.store, Path(settings.store_cache))
    return FolderStore(Path(settings.store))


def bring_up_to_date(source: Store) -> None:
    """Update the local copy of a store. If the store cannot be reached, the service starts with the copy; each version
    is checked as it is loaded. Raises StoreUnreachable without a copy."""
    try:
        source.update()
    except StoreUnreachable as error:
        kept = sorted(version_folders(source.root))
        if not kept:
            raise
        log.warning("%s. Serving the copy in %s: %s", error.detail, source.root, ", ".join(kept))


def desired_state_of(source: Store) -> DesiredState:
    """The desired state of a service that starts: every version of the store."""
    folders = version_folders(source.root)
    return DesiredState({key: str(folder) for key, folder in folders.items()}, read_defaults(source.root))


def start_engines(settings: Settings, source: Store) -> EngineProcesses:
    """Engine processes over all versions of a store."""
    config = EngineConfig(
        endpoint="",
        store=str(source.root),
        threads=settings.threads,
        unit=settings.unit,
        slots=settings.slots,
        budget=settings.budget,
        precision=settings.precision,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
    desired, memory = settings.engines or min(available_cores(), _MOST_ENGINES), available_memory()
    room = engines_that_fit(memory, source, settings.workers)
    devices = engine_devices(settings.devices, settings.engines or max(1, min(desired, room)))
    if room < desired and "cpu" in devices:
        log.warning("%d MB of memory have room for %d engines, not for %d", memory // 10**6, room, desired)
    log.info("starting %d engines on %s, threads of each: %d", len(devices), ", ".join(devices), settings.threads)
    return EngineProcesses(
        config, devices, heartbeat_seconds=settings.heartbeat_seconds, desired_state=desired_state_of(source)
    )


def engines_that_fit(memory: int, source: Store, front_ends: int) -> int:
    """The number of engines on the CPU that `memory` (bytes) has room for beside `front_ends`.

    The needs of an engine were measured (docs/deploy.md): torch, each model as stored and as served, and batches.
    """
    stored = sum(file.stat().st_size for file in source.root.glob("*/*/*.safetensors"))
    return max(0, (memory - front_ends * _FRONT_END_BYTES) // (_ENGINE_BYTES + 3 * stored))
