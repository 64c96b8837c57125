"""Rollout: loads, switches and unloads versions while requests run, without failing any of them.

Any front end can lead a change. It loads a version into one engine after another, and then writes the new desired
state, which the other front ends read and apply. See docs/adr/0018-versions-side-by-side.md.
"""

import asyncio
import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from app.desired_state import DesiredState, SharedDesiredState
from app.engine.client import EngineClient, LoadInterrupted
from app.errors import LoadFailed, ModelNotFound, NotReady, StoreNotWritable
from app.store.listing import version_folders
from app.store.manifest import Manifest
from app.store.model_store import BrokenVersion, is_version
from app.store.names import MANIFEST, version_number
from app.store.stores import Store
from app.store.uploads import append, finish
from app.tasks.catalog import Catalog, Entry

log = logging.getLogger("unroll.rollout")
LINGER_SECONDS = 0.5  # between the choice of a version and the arrival of its request at an engine, at most
_POLL_SECONDS = 0.05  # between two reads of the desired state
_RETRY_SECONDS = 1.0  # after which versions are opened again whose files could not be read
Value = TypeVar("Value")
Stamp = frozenset[tuple[str, int, int]]  # names, sizes and modification times of a version's files


class Rollout:
    """Keeps the catalog of one front end, and changes what all of them serve."""

    def __init__(self, catalog: Catalog, client: EngineClient, store: Store, state: SharedDesiredState) -> None:
        self._catalog = catalog
        self._client = client
        self._store = store
        self._state = state
        self._applying = asyncio.Lock()
        self._applied = -1
        self._broken: dict[Path, tuple[Stamp, BrokenVersion]] = {}  # with the stamp at which it was opened
        self._next_try = math.inf

    async def begin(self) -> None:
        """Apply the desired state at the start."""
        await self._apply(self._state.read())

    async def follow(self) -> None:
        """Apply every change of the desired state, by any front end, until cancelled. It is applied again if files of
        its versions could not be read."""
        while True:
            try:
                desired = self._state.read_if_changed()
                if desired is None and self._is_due:
                    desired = self._state.read()
                if desired is not None:
                    await self._apply(desired)
            except Exception:
                log.exception("the desired state could not be applied")
            await asyncio.sleep(_POLL_SECONDS)

    @property
    def _is_due(self) -> bool:
        return time.monotonic() >= self._next_try

    async def load(self, name: str, version: int | None) -> Manifest:
        """Load a version, or the newest of a name, into every engine and serve it beside the others. It becomes the
        default version of its name if it is the newest and no other is set. Raises ModelNotFound, LoadFailed, NotReady.
        """
        async with self._state.turn():
            await asyncio.to_thread(self._store.update, name)
            folder = await asyncio.to_thread(_folder_of, self._store.root, name, version)
            manifest, changed = await self._load(folder)
        await self._state.wait_for_all(changed.revision)
        return manifest

    async def upload(self, name: str, version: int, file: str, offset: int, content: bytes, *, most: int) -> int:
        """Append a piece to a file of a version that is being uploaded; the manifest, which comes last, makes the
        version. Returns the bytes of the file so far. Raises ContradictoryOptions, StoreNotWritable."""
        if not self._store.takes_uploads or not most:
            reason = "max_version_bytes is 0" if self._store.takes_uploads else "the model store is at a URL"
            raise StoreNotWritable(f"{reason}: write the version into the model store, then load it")
        root = self._store.root
        held = await asyncio.to_thread(append, root, name, version, file, offset, content, most=most)
        if file == MANIFEST:
            await asyncio.to_thread(finish, root, name, version)
        return held

    async def unload(self, name: str, version: int | None) -> list[int]:
        """Stop serving a version, or all versions of a name. Returns the versions after their last requests have ended;
        they stay in the store. Raises ModelNotFound."""
        async with self._state.turn():
            desired = self._state.read()
            served = _versions_of(desired, name)
            if not served or version not in (None, *served):
                raise _not_served(name, version, served)
            versions = served if version is None else [version]
            keys = {f"{name}/{number}" for number in versions}
            changed = await self._forget(desired, keys, unloaded=sorted({*desired.unloaded, *keys}))
        await self._release(keys, changed)
        return versions

    async def set_default(self, name: str, version: int | None) -> int:
        """Set the default version of a name, here and in the store; None stands for the newest. Returns the default
        version. Raises ModelNotFound, StoreNotWritable."""
        async with self._state.turn():
            served = sorted(entry.manifest.version for entry in self._catalog.of_name(name, self._client.view))
            if not served or version not in (None, *served):
                raise _not_served(name, version, served)
            await asyncio.to_thread(self._store.write_default, name, version)
            desired = self._state.read()
            defaults = _without(desired.defaults, {name}) | ({} if version is None else {name: version})
            changed = await self._write(msgspec.structs.replace(desired, defaults=defaults))
        await self._state.wait_for_all(changed.revision)
        return self._catalog.of_name(name, self._client.view)[0].manifest.version

    def default_of(self, name: str) -> int | None:
        """The default version of a name."""
        return next((entry.manifest.version for entry in self._catalog.of_name(name, self._client.view)), None)

    async def follow_store(self, seen: dict[str, Stamp]) -> dict[str, Stamp]:
        """Load versions that are new in the store and unload versions that are gone from it.

        `seen` is the result of the call before: a broken version is tried again only after its files have changed.
        Raises NotReady, StoreUnreachable.
        """
        async with self._state.turn():
            await asyncio.to_thread(self._store.update)
            listing = await asyncio.to_thread(self._store.listing)
            stamps = await asyncio.to_thread(_stamps, listing.folders)
            broken = self._catalog.broken(self._client.view)
            desired = self._state.read()
            for key, stamp in stamps.items():
                is_new = key not in desired.versions and key not in desired.unloaded and key not in broken
                if is_new or (key in broken and seen.get(key, stamp) != stamp):
                    with suppress(LoadFailed):  # the log and /readyz report it
                        await self._load(listing.folders[key])
            desired = self._state.read()
            changed = desired
            if (listing.defaults, listing.refused) != (desired.defaults, desired.refused):
                changed = await self._write(
                    msgspec.structs.replace(desired, defaults=listing.defaults, refused=listing.refused)
                )
            gone = (desired.versions.keys() | desired.failed.keys()) - listing.folders.keys()
            if not listing.folders:  # an empty store is one that is not mounted
                gone = set()
            if gone:
                changed = await self._forget(changed, gone, unloaded=desired.unloaded)
        await self._release(gone, changed)
        return stamps

    async def _load(self, folder: Path) -> tuple[Manifest, DesiredState]:
        key = f"{folder.parent.name}/{folder.name}"
        desired = self._state.read()
        self._broken.pop(folder, None)
        entry = await self._open(folder)
        try:
            if isinstance(entry, BrokenVersion) and entry.may_pass:
                raise LoadInterrupted(entry.reason)
            if isinstance(entry, BrokenVersion):
                raise LoadFailed(f"{key} cannot be loaded: {entry.reason}", model=key)
            await self._client.load(key, str(folder))
        except LoadFailed as error:
            await self._report(desired, key, error.detail.removeprefix(f"{key} cannot be loaded: "))
            raise
        except LoadInterrupted as error:
            await self._report(desired, key, str(error))
            raise NotReady(
                f"{key} is not loaded: {error}; read the log, free memory if it was lacking, and retry"
            ) from error
        changed = await self._write(
            msgspec.structs.replace(
                desired,
                versions=desired.versions | {key: str(folder)},
                failed=_without(desired.failed, {key}),
                unloaded=[other for other in desired.unloaded if other != key],
            )
        )
        log.info("%s is loaded", key)
        return entry.manifest, changed

    async def _report(self, desired: DesiredState, key: str, reason: str) -> None:
        """Note that a version is not loaded. The watch of the store does not try again: it might end more engines."""
        log.warning("%s cannot be loaded: %s", key, reason)
        if key not in desired.versions:
            await self._client.unload(key, linger=0)
            await self._write(msgspec.structs.replace(desired, failed=desired.failed | {key: reason}))

    async def _open(self, folder: Path) -> Entry | BrokenVersion:
        """The version in a folder. One that is broken is opened again only after its files have changed, and one whose
        files could not be read is soon opened again."""
        stamp = await asyncio.to_thread(_stamp, folder)
        stamp_before, broken = self._broken.pop(folder, (None, None))
        if broken is None or stamp_before != stamp:
            opened = await asyncio.to_thread(self._catalog.open, folder)
            if not isinstance(opened, BrokenVersion):
                return opened
            if opened.may_pass:
                self._next_try = time.monotonic() + _RETRY_SECONDS
                return opened
            broken = opened
        self._broken[folder] = stamp, broken
        return broken

    async def _forget(self, desired: DesiredState, keys: set[str], *, unloaded: list[str]) -> DesiredState:
        return await self._write(
            msgspec.structs.replace(
                desired,
                versions=_without(desired.versions, keys),
                failed=_without(desired.failed, keys),
                unloaded=unloaded,
            )
        )

    async def _release(self, keys: set[str], changed: DesiredState) -> None:
        """Unload versions from the engines once no front end chooses them."""
        await self._state.wait_for_all(changed.revision)
        for key in sorted(keys):
            await self._client.unload(key, linger=LINGER_SECONDS)
            log.info("%s is unloaded", key)

    async def _write(self, desired: DesiredState) -> DesiredState:
        """Write the desired state, and apply it here at once."""
        changed = await self._state.write(desired)
        await self._apply(changed)
        return changed

    async def _apply(self, desired: DesiredState) -> None:
        async with self._applying:
            if desired.revision < self._applied or (desired.revision == self._applied and not self._is_due):
                return
            self._next_try = math.inf
            known = self._catalog.keys
            fresh = [Path(folder) for key, folder in desired.versions.items() if key not in known]
            opened = [await self._open(folder) for folder in fresh]
            self._catalog.change(
                opened,
                served=desired.versions,
                failed=desired.refused | desired.failed,
                defaults=desired.defaults,
                unloaded=desired.unloaded,
            )
            self._client.set_desired(desired.versions)
            self._applied = desired.revision
            self._state.acknowledge(desired.revision)


async def watch(rollout: Rollout, seconds: float) -> None:
    """Follow the store, checking it every `seconds`, until cancelled."""
    seen: dict[str, Stamp] = {}
    while True:
        await asyncio.sleep(seconds)
        try:
            seen = await rollout.follow_store(seen)
        except Exception as error:
            log.warning("the model store could not be followed: %s", error)


def _folder_of(root: Path, name: str, version: int | None) -> Path:
    """The folder of a version, or of the newest version of a name. Raises ModelNotFound."""
    folders = {
        int(folder.name): folder
        for folder in version_folders(root).values()
        if folder.parent.name == name and is_version(folder)
    }
    if not folders:
        raise ModelNotFound(f"the model store has no model {name}")
    if version is not None and version not in folders:
        versions = ", ".join(map(str, sorted(folders)))
        raise ModelNotFound(f"the model store has no version {version} of {name}; it has {versions}")
    return folders[max(folders) if version is None else version]


def _stamps(folders: Mapping[str, Path]) -> dict[str, Stamp]:
    """The stamp of every version that has a manifest."""
    return {key: _stamp(folder) for key, folder in folders.items() if is_version(folder)}


def _stamp(folder: Path) -> Stamp:
    """Names, sizes and times of a version's files. Those of a link are of the file it leads to, if there is one."""
    stats = []
    with suppress(OSError):  # the version was removed meanwhile
        for entry in os.scandir(folder):
            try:
                stat = entry.stat()
            except OSError:
                stat = entry.stat(follow_symlinks=False)
            stats.append((entry.name, stat.st_size, stat.st_mtime_ns))
    return frozenset(stats)


def _versions_of(desired: DesiredState, name: str) -> list[int]:
    keys = [key.rpartition("/") for key in desired.versions]
    return sorted(int(version) for other, _, version in keys if other == name and version_number(version))


def _not_served(name: str, version: int | None, served: list[int]) -> ModelNotFound:
    which = name if version is None else f"version {version} of {name}"
    return ModelNotFound(f"{which} is not served; served versions of {name}: {', '.join(map(str, served)) or 'none'}")


def _without(mapping: dict[str, Value], keys: set[str]) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key not in keys}
