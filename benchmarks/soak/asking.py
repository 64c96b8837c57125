"""Requests of well-behaved and other clients, each with its entry in the ledger."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.soak.expectations import EXPECTED, RECOVERY_SECONDS, Killed, judged
from benchmarks.soak.kills import Kills
from benchmarks.soak.ledger import End, Entry, Ledger, Outcome
from benchmarks.soak.processes import Role
from benchmarks.soak.questions import Question
from benchmarks.soak.readings import native
from benchmarks.soak.wire import Answer, Closed, Connection, NotListening, Pace

PATIENCE = 120.0  # seconds until a request without an end is lost; the service allows slightly less


@dataclass
class Run:
    """What all actors of a soak share. After `stopped` no actor sends another request. `draining`: SIGTERM is sent, so
    the service refuses connections."""

    port: int
    questions: Sequence[Question]
    admin_key: str
    seed: int
    ledger: Ledger = field(default_factory=Ledger)
    kills: Kills = field(default_factory=Kills)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    retries: Counter[Outcome] = field(default_factory=Counter)  # of requests that a kill had ended

    @property
    def goes_on(self) -> bool:
        return not self.stopped.is_set()

    @property
    def greedy(self) -> list[Question]:
        """Questions whose answers a deadline can cut: plain ones without a search."""
        return [asked for asked in self.questions if asked.reading is native and "beams" not in asked.route]

    async def pause(self, seconds: float) -> None:
        """Sleep, or less if the soak ends."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except TimeoutError:
            return

    def random(self, actor: str) -> random.Random:
        """The random numbers of one actor."""
        return random.Random(f"{self.seed} {actor}")

    def judged(self, entry: Entry, question: Question, answer: Answer) -> End:
        """The end that an answer is for the actor of this entry."""
        lately = time.monotonic() - RECOVERY_SECONDS
        killed = Killed(
            workers=self.kills.count(Role.FRONT_END, lately),
            engines=self.kills.count(Role.ENGINE, lately),
            engines_during=self.kills.count(Role.ENGINE, entry.sent),
        )
        return judged(EXPECTED[entry.actor], answer, question.reading, question.right, killed)


class Sender:
    """The connections and requests of one client of an actor."""

    def __init__(self, run: Run, actor: str) -> None:
        self._run, self.actor = run, actor
        self._connection: Connection | None = None
        self._used = False  # whether the connection has brought an answer

    @asynccontextmanager
    async def entered(self, route: str) -> AsyncIterator[Entry]:
        """An entry in the ledger around the exchange of a request. The block closes the entry, or an exception does."""
        ledger = self._run.ledger
        entry = ledger.enter(self.actor, route)
        try:
            async with asyncio.timeout(PATIENCE):
                yield entry
        except TimeoutError:
            ledger.close(entry, End(Outcome.LOST, f"no end within {PATIENCE:.0f} s"))
            self.hang_up()
        except Closed as closed:
            ledger.close(entry, self._closed(closed))
            self.hang_up()
        except ValueError as error:
            ledger.close(entry, End(Outcome.WRONG, f"not HTTP: {error}"))
            self.hang_up()

    @property
    def port(self) -> int | None:
        """The client's port of the kept connection."""
        return None if self._connection is None else self._connection.port

    def end(self, entry: Entry, end: End) -> None:
        self._run.ledger.close(entry, end)

    def _closed(self, closed: Closed) -> End:
        """The end of a request whose connection closed, or could not be opened."""
        if isinstance(closed, NotListening) and self._run.draining:
            return End(Outcome.REFUSED, "no connection after SIGTERM")
        if self._connection is not None and self._run.kills.ended(self._connection):
            return End(Outcome.KILLED)
        if EXPECTED[self.actor].closes:
            return End(Outcome.REFUSED, "connection closed")
        return End(Outcome.LOST, str(closed))

    async def fresh(self, *, receive_buffer: int | None = None) -> Connection:
        """A new connection, in place of the kept one. Raises Closed."""
        self.hang_up()
        self._connection, self._used = await Connection.open(self._run.port, receive_buffer=receive_buffer), False
        return self._connection

    async def ask(
        self, question: Question, *, headers: Mapping[str, str] | None = None, pace: Pace | None = None
    ) -> tuple[End, Answer | None]:
        """Send a request on the kept connection, and judge its answer."""
        answer: Answer | None = None
        async with self.entered(question.route) as entry:
            answer = await self._exchange(question.request(headers or {}), pace)
            self.end(entry, self._run.judged(entry, question, answer))
        assert entry.end is not None
        return entry.end, answer

    async def ask_again_if_killed(self, question: Question, *, headers: Mapping[str, str] | None = None) -> End:
        """Like a client that retries: a request whose worker was killed is sent once more."""
        end, _ = await self.ask(question, headers=headers)
        if end.outcome is Outcome.KILLED:
            end, _ = await self.ask(question, headers=headers)
            self._run.retries[end.outcome] += 1
        return end

    async def _exchange(self, request: bytes, pace: Pace | None) -> Answer:
        """A kept connection that a kill or SIGTERM closed between two requests is opened again, once."""
        if self._connection is not None and self._used and pace is None:
            try:
                return await self._send_and_read(self._connection, request, pace)
            except Closed as closed:
                if closed.begun or not (self._run.draining or self._run.kills.ended(self._connection)):
                    raise
        small = 4096 if pace is not None else None
        return await self._send_and_read(await self.fresh(receive_buffer=small), request, pace)

    async def _send_and_read(self, connection: Connection, request: bytes, pace: Pace | None) -> Answer:
        await connection.send(request)
        answer = await connection.answer(pace)
        self._used = True
        if answer.closes or pace is not None:
            self.hang_up()
        return answer

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
