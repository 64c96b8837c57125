"""Opens the model store and starts the engines of a service, from its settings."""

import logging
from collections.abc import Sequence
from pathlib import Path

from app.desired_state import DesiredState
from app.engine.config import EngineConfig
from app.engine.forking import EngineTemplate
from app.engine.process import EngineProcesses, engine_devices
from app.engine.sizes import FIXED_BYTES, needed_bytes
from app.errors import StoreUnreachable
from app.machine import available_cores, available_memory
from app.settings import Settings
from app.store.listing import version_folders
from app.store.model_store import Version, inspect_version, read_store
from app.store.names import is_url
from app.store.one_model import OneModelStore, versions_of_one_model
from app.store.remote import RemoteStore
from app.store.stores import FolderStore, Store

_MOST_ENGINES = 4  # by default
_ENGINE_BYTES = 200 * 2**20  # without a model
_SERVED_BYTES = 3  # for each weight: most are packed in 16 bits, some stay in float32
_FRONT_END_BYTES = 256 * 2**20

log = logging.getLogger("unroll")


def open_store(settings: Settings) -> Store:
    """The model store. `bring_up_to_date` makes a local copy of one at a URL, and of one that holds a single model.
    Raises StoreUnreachable."""
    folder, cache = Path(settings.store), Path(settings.store_cache)
    if is_url(settings.store):
        return RemoteStore(settings.store, cache)
    if versions_of_one_model(folder):
        return OneModelStore(folder, cache, settings.model_name)
    return FolderStore(folder)


def bring_up_to_date(store: Store) -> None:
    """Update the local copy of a store. If the store is unreachable, the service starts with the old copy, whose
    versions are checked as they load. Raises StoreUnreachable without a copy."""
    try:
        store.update()
    except StoreUnreachable as error:
        kept = sorted(version_folders(store.root))
        if not kept:
            raise
        log.warning("%s. Serving the copy in %s: %s", error.detail, store.root, ", ".join(kept))


def desired_state_of(store: Store) -> DesiredState:
    """The desired state at the start of a service: every version of the store."""
    listing = store.listing()
    folders = {key: str(folder) for key, folder in listing.folders.items()}
    return DesiredState(folders, listing.defaults, refused=listing.refused)


def start_engines(settings: Settings, store: Store, template: EngineTemplate | None) -> EngineProcesses:
    """Engine processes that serve all versions of a store. Those on a CPU are forks of `template`."""
    count, memory = settings.engines or min(available_cores(), _MOST_ENGINES), available_memory()
    versions = read_store(store.root, inspect_version).versions
    room = engines_that_fit(memory, versions, settings.workers, settings.models_memory)
    devices = engine_devices(settings.devices, settings.engines or max(1, min(count, room)))
    if room < count and "cpu" in devices:
        log.warning("memory of %d MB fits %d engines, not %d", memory // 10**6, room, count)
    log.info("starting %d engines on %s, threads per engine: %d", len(devices), ", ".join(devices), settings.threads)
    return EngineProcesses(
        _engine_config(settings, store),
        devices,
        heartbeat_seconds=settings.heartbeat_seconds,
        cpu_models_memory=models_share(memory, versions, settings.workers, max(1, devices.count("cpu"))),
        desired_state=desired_state_of(store),
        template=template,
    )


def start_engine(
    settings: Settings, store: Store, desired: DesiredState, *, device: str, endpoint: str, key: bytes
) -> EngineProcesses:
    """One engine process that serves the `desired` versions to front ends of other machines that know the public key to
    `key`, at a tcp `endpoint`. On a CPU it takes its share of the memory, as if this machine had as many engines as its
    cores can run."""
    memory, versions = available_memory(), read_store(store.root, inspect_version).versions
    engines = max(1, available_cores() // settings.threads)
    log.info("starting an engine on %s at %s, threads: %d", device, endpoint, settings.threads)
    return EngineProcesses(
        _engine_config(settings, store),
        [device],
        heartbeat_seconds=settings.heartbeat_seconds,
        cpu_models_memory=models_share(memory, versions, 1, engines),
        desired_state=desired,
        endpoints=[endpoint],
        key=key,
    )


def _engine_config(settings: Settings, store: Store) -> EngineConfig:
    return EngineConfig(
        endpoint="",
        store=str(store.root),
        threads=settings.threads,
        unit=settings.unit,
        slots=settings.slots,
        budget=settings.budget,
        models_memory=settings.models_memory,
        precision=settings.precision,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )


def engines_that_fit(memory: int, versions: Sequence[Version], front_ends: int, models_memory: int = 0) -> int:
    """The number of CPU engines that fit into `memory` (bytes) beside `front_ends`, as measured (docs/deploy.md).

    An engine needs its own memory, that of the newest version of each name as served, at most `models_memory` unless it
    is 0, and what the largest version needs while it is loaded.
    """
    newest = {version.manifest.name: version for version in versions}  # they are sorted
    served = sum(FIXED_BYTES + _SERVED_BYTES * version.weights for version in newest.values())
    largest = max(map(needed_bytes, versions), default=0)
    engine = _ENGINE_BYTES + min(served, models_memory or served) + largest
    return max(0, (memory - front_ends * _FRONT_END_BYTES) // engine)


def models_share(memory: int, versions: Sequence[Version], front_ends: int, engines: int) -> int:
    """Memory for the models of each CPU engine: half of what its process can have beside the front ends and itself, and
    enough for the largest version."""
    process = (memory - front_ends * _FRONT_END_BYTES) // engines
    return max((process - _ENGINE_BYTES) // 2, *map(needed_bytes, versions), FIXED_BYTES)
