"""The coordinator: which engines there are, and which versions all of them should serve. No request passes it.

It keeps nothing on disk. When it restarts on another machine, the members report again: the newest desired state among
them holds, and front ends keep their engines meanwhile. Free of Ray: `app.cluster.deployments` makes it an actor.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from app.cluster.directory import Directory, Report
from app.desired_state import DesiredState

_POLL_SECONDS = 5.0  # longest wait of a member for news
_LEASE_SECONDS = 10.0  # of a member that is silent
_SETTLE_SECONDS = 5.0  # after a start, in which members report again
_TURN_SECONDS = 0.2  # longest wait for a turn in one call
_APPLY_SECONDS = 5.0  # longest wait for front ends that follow
_UPDATE_SECONDS = 600.0  # longest wait for copies of the store


@dataclass(slots=True)
class _Member:
    """`polls` of it wait for news; it was last heard at `heard`."""

    report: Report
    heard: float
    polls: int = 0


class Coordinator:
    """See the module."""

    def __init__(self) -> None:
        self._instance = uuid.uuid4().hex
        self._started = time.monotonic()
        self._members: dict[str, _Member] = {}
        self._desired: DesiredState | None = None
        self._number = 0
        self._updates = 0
        self._turn = ""  # the member that changes the desired state
        self._changed = asyncio.Condition()

    async def report(self, report: Report) -> Directory:
        """Hear of a member, or what is new of it."""
        member = self._members.get(report.member)
        if member is None or member.report.endpoint != report.endpoint:
            self._number += 1
        self._members[report.member] = _Member(report, time.monotonic(), member.polls if member else 0)
        self._updates = max(self._updates, report.updates)
        if self._desired is None or report.desired.revision > self._desired.revision:
            self._desired = report.desired
            self._number += 1
        await self._notify()
        return self._directory()

    async def leave(self, member: str) -> None:
        """Forget a member that ends."""
        if self._members.pop(member, None):
            self._number += 1
            await self._notify()

    async def watch(self, member: str, coordinator: str, number: int) -> Directory | None:
        """The directory, as soon as it is not the one of `coordinator` with this `number`, or after some seconds. None
        for a member that must report first."""
        if (watcher := self._members.get(member)) is None:
            return None
        watcher.polls += 1
        try:
            news = (coordinator, number)
            await self._wait(lambda: (self._instance, self._number) != news, _POLL_SECONDS)
        finally:
            if (watcher := self._members.get(member)) is not None:
                watcher.polls -= 1
                watcher.heard = time.monotonic()
        self._forget_silent()
        return self._directory()

    async def take_turn(self, member: str) -> Directory | None:
        """Let a member change the desired state until `end_turn`, or until it is gone. None while another one does."""
        await self._wait(lambda: not self._is_held_from(member), _TURN_SECONDS)
        if self._is_held_from(member) or member not in self._members:
            return None
        self._turn = member
        return self._directory()

    async def end_turn(self, member: str) -> None:
        if self._turn == member:
            self._turn = ""
            await self._notify()

    async def write(self, member: str, state: DesiredState) -> DesiredState | None:
        """The next revision of the desired state. None for a member that does not hold the turn, or whose `state` does
        not follow from the latest one: this coordinator is a new one."""
        if self._turn != member or self._desired is None or state.revision != self._desired.revision:
            return None
        self._desired = msgspec.structs.replace(state, revision=self._desired.revision + 1)
        self._number += 1
        await self._notify()
        return self._desired

    async def wait_for_all(self, revision: int) -> None:
        """Return when every live front end serves a revision, or after some seconds."""
        await self._wait(
            lambda: all(one.applied is None or one.applied >= revision for one in self._reports()), _APPLY_SECONDS
        )

    async def update_stores(self) -> None:
        """Return when every member has tried to bring its copy of the store up to date."""
        self._updates += 1
        self._number += 1
        updates = self._updates
        await self._notify()
        await self._wait(lambda: all(one.updates >= updates for one in self._reports()), _UPDATE_SECONDS)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        async with self._changed:
            while not condition() and (left := end - time.monotonic()) > 0:
                with suppress(TimeoutError):  # members may have become silent meanwhile
                    async with asyncio.timeout(min(left, 1.0)):
                        await self._changed.wait()
                self._forget_silent()

    def _is_held_from(self, member: str) -> bool:
        return self._turn in self._members and self._turn != member

    def _reports(self) -> list[Report]:
        return [member.report for member in self._members.values()]

    def _forget_silent(self) -> None:
        oldest = time.monotonic() - _LEASE_SECONDS
        silent = [key for key, member in self._members.items() if not member.polls and member.heard < oldest]
        for key in silent:
            del self._members[key]
            self._number += 1

    def _directory(self) -> Directory:
        assert self._desired is not None
        return Directory(
            coordinator=self._instance,
            number=self._number,
            endpoints=tuple(sorted(one.endpoint for one in self._reports() if one.endpoint)),
            is_complete=time.monotonic() > self._started + _SETTLE_SECONDS,
            desired=self._desired,
            updates=self._updates,
        )
