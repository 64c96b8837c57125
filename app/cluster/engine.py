"""An engine as a member of the cluster: one engine process on this machine, which front ends reach by TCP."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack

import msgspec

from app.cluster.directory import Directory
from app.cluster.keys import EngineKeys
from app.cluster.membership import Coordinate, Membership
from app.desired_state import FILE
from app.engine.client import EngineClient
from app.engines import bring_up_to_date, desired_state_of, open_store, start_engine
from app.settings import Settings
from app.store.publishing import write_whole

_POLL_SECONDS = 0.1
_START_SECONDS = 600.0  # with all models of a large store
_QUIET_SECONDS = 1.0  # without a request, before a leaving engine ends: a front end may not know yet

log = logging.getLogger("unroll.cluster")


class EngineMember:
    """Runs an engine on `device` at `endpoint`, and its membership, from `start` to `stop`."""

    def __init__(
        self, settings: Settings, coordinate: Coordinate, keys: EngineKeys, *, device: str, endpoint: str
    ) -> None:
        self._settings = settings
        self._coordinate = coordinate
        self._keys = keys
        self._device = device
        self._endpoint = endpoint
        self._stack, self._following = AsyncExitStack(), AsyncExitStack()
        self._membership: Membership
        self._client = EngineClient([], key=keys.public)
        self._last_ready = time.monotonic()

    async def start(self) -> None:
        """Return when the engine is ready, and the front ends know of it. Raises RuntimeError after ten minutes."""
        store = open_store(self._settings)
        await asyncio.to_thread(bring_up_to_date, store)
        self._membership = Membership(self._coordinate, desired_state_of(store), store.update)
        await self._membership.join()
        desired = self._membership.directory.desired
        processes = await asyncio.to_thread(
            start_engine,
            self._settings,
            store,
            desired,
            device=self._device,
            endpoint=self._endpoint,
            key=self._keys.secret,
        )
        self._stack.push_async_callback(asyncio.to_thread, processes.stop)

        def follow(directory: Directory) -> None:
            write_whole(processes.folder / FILE, msgspec.json.encode(directory.desired))

        self._membership.on_change = follow
        await self._stack.enter_async_context(self._client)
        await self._following.enter_async_context(self._membership.following())
        self._client.set_endpoints([self._endpoint])
        end = time.monotonic() + _START_SECONDS
        while not self._client.view.is_ready:
            if time.monotonic() > end:
                await self.stop()
                raise RuntimeError(f"the engine at {self._endpoint} is not ready after {_START_SECONDS:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)
        self._membership.change(endpoint=self._endpoint)
        log.info("the engine at %s is ready", self._endpoint)

    async def stop(self) -> None:
        """Answer what is here, for at most `drain_seconds`, and end."""
        await self._following.aclose()  # front ends learn that it leaves
        end, quiet = time.monotonic() + self._settings.drain_seconds, time.monotonic()
        received = self._received
        while time.monotonic() < min(end, quiet + _QUIET_SECONDS):
            if self._is_busy or self._received != received:
                quiet, received = time.monotonic(), self._received
            await asyncio.sleep(_POLL_SECONDS)
        await self._stack.aclose()

    @property
    def pending_steps(self) -> float:
        """Cell steps of the requests that the engine has, by estimate."""
        return sum(status.gauges["pending_steps"] for status in self._client.view.ready)

    def silent_seconds(self) -> float:
        """Seconds for which the engine has not been ready; it may be restarting. Called every few seconds."""
        now = time.monotonic()
        if self._client.view.ready:
            self._last_ready = now
        return now - self._last_ready

    @property
    def _received(self) -> float:
        return sum(status.counters["requests"] for status in self._client.view.ready)

    @property
    def _is_busy(self) -> bool:
        return any(status.gauges["waiting"] + status.gauges["running"] for status in self._client.view.ready)
