"""The scheduler by simulation with a virtual clock: it is pure Python and has no clock of its own."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from app.engine.cost import Cost
from app.engine.protocol import Label, RequestKey, Terms, Tokens
from app.engine.request import Request
from app.engine.scheduler import CHUNK_UNITS, HEAD_START, MAX_WASTE, Plan, Scheduler, padded_to_longest

UNIT = 6
BUDGET = 500
SLOTS = 16
SOURCE = Tokens([1])  # the scheduler knows no more of a source than its cost


@dataclass
class Simulation:
    """Runs a scheduler as the engine does, in virtual time: a cell step takes 1, and so does a step of all rows.

    A request that decodes needs as many steps as `needs` says. Every plan is checked against the promises.
    """

    scheduler: Scheduler = field(default_factory=lambda: Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT))
    divisible: frozenset[str] = frozenset()
    now: float = 0.0
    requests: dict[RequestKey, Request] = field(default_factory=dict)
    needs: dict[RequestKey, int] = field(default_factory=dict)
    encoded: Counter[RequestKey] = field(default_factory=Counter)
    decoding: dict[RequestKey, int] = field(default_factory=dict)
    done_at: dict[RequestKey, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def register(self, *models: str) -> "Simulation":
        for model in models:
            self.scheduler.register(model, divisible=model in self.divisible)
        return self

    def add(self, request: Request, needs: int = 0) -> Request:
        self.requests[request.key], self.needs[request.key] = request, needs
        self.scheduler.add(request)
        return request

    def step(self) -> Plan:
        for expired in self.scheduler.expire(self.now):
            self.decoding.pop(expired.key, None)
        before = self.now
        plan = self.scheduler.plan()
        if plan.model is None:
            assert not self.scheduler.waiting + self.scheduler.running, "requests wait or run, and the plan is idle"
            return plan
        if plan.chunks:
            self._encode(plan)
        else:
            self._decode(plan.model)
        self.scheduler.charge(plan.model, self.now - before)
        self.used[plan.model] += self.now - before
        assert (
            sum(self.requests[key].cost.rows for key in self.decoding if self.requests[key].model == plan.model)
            <= SLOTS
        )
        return plan

    def _encode(self, plan: Plan) -> None:
        steps = [chunk.steps for chunk in plan.chunks]
        assert {chunk.request.model for chunk in plan.chunks} == {plan.model}
        assert len({chunk.request.key for chunk in plan.chunks}) == len(plan.chunks)
        assert len(steps) == 1 or padded_to_longest(steps) <= BUDGET
        if plan.model in self.divisible:
            assert max(steps) <= CHUNK_UNITS * UNIT
        else:
            assert padded_to_longest(steps) <= (1 + MAX_WASTE) * sum(steps) or len(steps) == 1
        self.now += padded_to_longest(steps)
        for chunk in plan.chunks:
            assert chunk.start == self.encoded[chunk.request.key]
            self.encoded[chunk.request.key] += chunk.steps
            if chunk.is_last:
                assert self.encoded[chunk.request.key] == chunk.request.cost.encode
                if chunk.request.cost.rows:
                    self.decoding[chunk.request.key] = self.needs[chunk.request.key]
                else:
                    self._end(chunk.request.key)

    def _decode(self, model: str) -> None:
        self.now += UNIT
        running = [key for key in self.decoding if self.requests[key].model == model]
        assert running
        for key in running:
            self.decoding[key] -= UNIT
            if self.decoding[key] <= 0:
                del self.decoding[key]
                self._end(key)

    def _end(self, key: RequestKey) -> None:
        assert self.scheduler.remove(key) is not None
        self.done_at[key] = self.now

    def run(self, until: Callable[[], bool] = lambda: False, *, most: int = 20_000) -> None:
        """Step until all is done, or `until` says so."""
        for _ in range(most):
            if until() or self.step().is_idle:
                return
        raise AssertionError("it does not come to an end")


numbers: Iterator[int] = iter(range(10**9))


def request(
    model: str = "m/1",
    cost: int = 10,
    *,
    rows: int = 1,
    expected: int = 0,
    trial: int = 0,
    priority: int = 0,
    deadline: float | None = None,
    client: str = "",
    group: int | None = None,
) -> Request:
    number = next(numbers)
    terms = Terms(priority, deadline, client, number if group is None else group)
    key = (b"front end", number)
    return Request(key, model, SOURCE, Label(), Cost(cost, expected, rows), terms, again=trial > 0, trial=trial)


@pytest.mark.parametrize("seed", range(6))
def test_everything_ends_within_budget_and_slots_and_nothing_idles(seed: int) -> None:
    rng = random.Random(seed)
    simulation = Simulation(divisible=frozenset({"read/1"})).register("label/1", "short/1", "long/1", "read/1")
    for _ in range(300):
        model = rng.choice(["label/1", "short/1", "long/1", "read/1"])
        rows = 0 if model == "label/1" else rng.choice([1, 1, 1, 4, 16])
        cost = rng.choice([rng.randint(1, 40), rng.randint(1, 900)])
        terms = {"priority": rng.randint(-10, 10), "client": rng.choice("abc"), "group": rng.randint(1, 9)}
        simulation.add(request(model, cost, rows=rows, expected=rng.randint(0, 80), **terms), rng.randint(1, 80))  # type: ignore[arg-type]
        for _ in range(rng.randint(0, 2)):
            simulation.step()
    simulation.run()
    assert len(simulation.done_at) == 300
    assert simulation.scheduler.pending_steps == 0
    assert not simulation.scheduler._groups
    assert not simulation.scheduler._in_group


def test_removed_requests_are_forgotten_wherever_they_are() -> None:
    rng = random.Random(0)
    simulation = Simulation(divisible=frozenset({"read/1"})).register("m/1", "read/1")
    requests = [simulation.add(request(rng.choice(["m/1", "read/1"]), rng.randint(1, 300)), 50) for _ in range(60)]
    for _ in range(20):
        simulation.step()
    for item in requests:
        gone = simulation.scheduler.remove(item.key)
        assert (gone is None) == (item.key in simulation.done_at)
        assert item.key not in simulation.scheduler
        assert simulation.scheduler.remove(item.key) is None
    assert simulation.scheduler.waiting == simulation.scheduler.running == simulation.scheduler.pending_steps == 0
    assert simulation.scheduler.plan().is_idle


def test_neighbours_in_length_go_together() -> None:
    simulation = Simulation().register("m/1")
    for cost in (20, 300, 21, 20, 90, 21):
        simulation.add(request(cost=cost, rows=0))
    assert sorted(chunk.steps for chunk in simulation.step().chunks) == [20, 20, 21, 21]
    assert [[chunk.steps for chunk in simulation.step().chunks] for _ in range(2)] == [[90], [300]]


def test_without_padding_all_lengths_go_together() -> None:
    simulation = Simulation()
    simulation.scheduler.register("m/1", padded=sum)
    for cost in (20, 300, 21, 20, 90, 21):
        simulation.scheduler.add(request(cost=cost, rows=0))
    assert len(simulation.scheduler.plan().chunks) == 6


def test_encoding_and_decoding_take_turns() -> None:
    """Running rows wait for one batch of chunks at most, and waiting requests for one unit."""
    simulation = Simulation().register("m/1")
    for _ in range(16):
        simulation.add(request(cost=400), needs=60)
    kinds = [bool(simulation.step().chunks) for _ in range(12)]
    assert kinds == [True, False] * 6


def test_a_long_source_that_can_be_cut_does_not_hold_up_a_short_one() -> None:
    whole, cut = (Simulation(divisible=frozenset(names)).register("m/1") for names in ((), ("m/1",)))
    waited = []
    for simulation in (whole, cut):
        long = simulation.add(request(cost=2000, rows=0))
        arrived = simulation.now + 1  # just after the long one has begun
        simulation.step()
        short = simulation.add(request(cost=5, rows=0))
        simulation.run()
        waited.append(simulation.done_at[short.key] - arrived)
        assert simulation.done_at[long.key]
    assert waited[1] <= (CHUNK_UNITS + 2) * UNIT < 1000 < waited[0]


def test_clients_share_alike_however_much_they_ask() -> None:
    simulation = Simulation().register("m/1")
    for _ in range(300):
        simulation.add(request(cost=50, rows=0, client="greedy"))
    simulation.run(lambda: simulation.now > 1000)
    modest = [simulation.add(request(cost=50, rows=0, client="modest")) for _ in range(5)]
    arrived = simulation.now
    simulation.run()
    ends = sorted(simulation.done_at.values())
    assert max(simulation.done_at[item.key] for item in modest) - arrived < 0.2 * (ends[-1] - arrived)


def test_one_large_request_lets_small_ones_of_the_same_client_pass() -> None:
    simulation = Simulation().register("m/1")
    for _ in range(256):
        simulation.add(request(cost=50, rows=0, client="one", group=0))
    simulation.step()
    single = simulation.add(request(cost=50, rows=0, client="one", group=1))
    arrived = simulation.now
    simulation.run(lambda: single.key in simulation.done_at)
    assert simulation.now - arrived <= 2 * BUDGET


def test_priority_goes_first_but_never_for_ever() -> None:
    simulation = Simulation().register("m/1")
    ordinary = [simulation.add(request(cost=100, rows=0)) for _ in range(20)]
    urgent = simulation.add(request(cost=100, rows=0, priority=5))
    assert urgent.key in {chunk.request.key for chunk in simulation.step().chunks}
    late = simulation.add(request(cost=100, rows=0, priority=-1))
    while late.key not in simulation.done_at:
        while simulation.scheduler.waiting < 10:
            simulation.add(request(cost=100, rows=0, client="flood", group=0))
        simulation.step()
        assert simulation.now < 40 * HEAD_START
    assert all(item.key in simulation.done_at for item in ordinary)


def test_many_small_requests_do_not_keep_a_wide_search_waiting() -> None:
    simulation = Simulation().register("m/1")
    for _ in range(SLOTS):
        simulation.add(request(cost=10), needs=30)
    simulation.step()
    wide = simulation.add(request(cost=10, rows=SLOTS), needs=30)
    for _ in range(60):
        simulation.add(request(cost=10), needs=30)
        simulation.step()
    assert wide.key in simulation.done_at


def test_models_share_time_alike() -> None:
    simulation = Simulation().register("heavy/1", "light/1")
    for _ in range(100):
        simulation.add(request("heavy/1", cost=450, rows=0))
        simulation.add(request("light/1", cost=10), needs=600)
    simulation.run(lambda: simulation.now > 8_000)
    assert simulation.used["heavy/1"] == pytest.approx(simulation.used["light/1"], rel=0.1)


def test_a_model_that_was_idle_has_no_arrears_to_collect() -> None:
    simulation = Simulation().register("old/1", "new/1")
    for _ in range(100):
        simulation.add(request("old/1", cost=400, rows=0))
    simulation.run(lambda: simulation.now > 10_000)
    for _ in range(100):
        simulation.add(request("new/1", cost=400, rows=0))
    turns = [simulation.step().model for _ in range(10)]
    assert 4 <= turns.count("old/1") <= 6


def test_a_model_that_served_alone_owes_nothing() -> None:
    """Neither to a model that becomes active while it is idle, nor to one that is busy since."""
    simulation = Simulation().register("old/1", "new/1")
    for _ in range(100):
        simulation.add(request("old/1", cost=400, rows=0))
    simulation.run()
    assert simulation.now > 10_000
    for _ in range(100):
        simulation.add(request("new/1", cost=400, rows=0))
    for _ in range(3):
        simulation.step()
    late = simulation.add(request("old/1", cost=400, rows=0))
    began = simulation.now
    simulation.run(lambda: late.key in simulation.done_at)
    assert simulation.done_at[late.key] - began <= 2 * BUDGET


def test_one_text_is_answered_soon_beside_a_busy_model() -> None:
    """Also when it comes again and again: between two of them its model is idle."""
    simulation = Simulation().register("old/1", "new/1")
    for _ in range(200):
        simulation.add(request("new/1", cost=400, rows=0))
    for _ in range(20):
        simulation.step()
        late, began = simulation.add(request("old/1", cost=10, rows=0)), simulation.now
        simulation.run(partial(simulation.done_at.__contains__, late.key))
        assert simulation.done_at[late.key] - began <= 2 * BUDGET


def test_a_deadline_ends_what_waits_and_what_runs() -> None:
    simulation = Simulation().register("m/1")
    runs = simulation.add(request(cost=10, deadline=100.0), needs=10_000)
    waits = [simulation.add(request(cost=400, rows=16, deadline=50.0), needs=10) for _ in range(3)]
    free = simulation.add(request(cost=10), needs=300)
    simulation.run(lambda: simulation.now > 110)
    for item in (runs, *waits):
        assert item.key not in simulation.scheduler
        assert item.key not in simulation.done_at
    simulation.run()
    assert set(simulation.done_at) == {free.key}


def test_a_request_that_was_sent_again_keeps_its_own_deadline() -> None:
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1")
    first = request(deadline=10.0)
    scheduler.add(first)
    scheduler.remove(first.key)
    scheduler.add(Request(first.key, "m/1", SOURCE, Label(), Cost(10), Terms(deadline=99.0)))
    assert scheduler.expire(50.0) == []
    assert [item.key for item in scheduler.expire(99.0)] == [first.key]


def test_deadlines_of_requests_that_ended_are_forgotten() -> None:
    simulation = Simulation().register("m/1")
    for _ in range(5_000):
        simulation.add(request(cost=10, rows=0, deadline=1e9))
        simulation.run()
    waits = simulation.add(request(cost=10, rows=0, deadline=1e9 - 1))
    assert len(simulation.scheduler._deadlines) < 1_000
    assert simulation.scheduler.expire(1e9) == [waits]


def test_trials_run_one_after_the_other_with_nothing_beside_them() -> None:
    simulation = Simulation(divisible=frozenset({"read/1"})).register("m/1", "read/1")
    for _ in range(4):
        simulation.add(request("m/1", cost=20), needs=100)
        simulation.add(request("read/1", cost=600), needs=100)
    for _ in range(6):
        simulation.step()
    trials = {
        number: [
            simulation.add(request(model, cost=300, trial=number), needs=600) for model in ("m/1", "m/1", "read/1")
        ]
        for number in (7, 3)
    }
    others = [simulation.add(request("m/1", cost=5), needs=5) for _ in range(3)]
    suspects = [item for items in trials.values() for item in items]
    begun: set[RequestKey] = set()
    most = 0
    while not all(item.key in simulation.done_at for item in suspects):
        plan = simulation.step()
        begun |= {chunk.request.key for chunk in plan.chunks if chunk.request.trial}
        at_work = [item for item in suspects if item.key in begun and item.key not in simulation.done_at]
        most = max(most, len(at_work))
        if at_work:
            assert len({item.trial for item in at_work}) == 1
            assert set(simulation.decoding) <= {item.key for item in at_work}
            assert not any(item.key in simulation.done_at for item in others)
    assert most >= 2
    first, second = ([simulation.done_at[item.key] for item in items] for items in trials.values())
    assert max(first) < min(second)
    simulation.run()
    assert len(simulation.done_at) == 17
    assert not simulation.scheduler._trials


def test_trials_of_several_front_ends_do_not_mix() -> None:
    simulation = Simulation().register("m/1")
    for front_end in (b"one", b"other"):
        for number in range(3):
            suspect = Request((front_end, number), "m/1", SOURCE, Label(), Cost(10, 0, 1), Terms(), True, 1)
            simulation.add(suspect, needs=20)
    ends = []
    while not simulation.step().is_idle:
        ends.append({key[0] for key in simulation.decoding})
    assert {b"one", b"other"} not in ends


def test_requests_of_a_held_model_wait_while_others_run() -> None:
    """Those that run go on; the others keep their deadlines, and run when the model is registered."""
    simulation = Simulation().register("old/1", "new/1")
    running = simulation.add(request("old/1", 6), needs=30)
    simulation.step()
    simulation.scheduler.hold("old/1")
    kept = simulation.add(request("old/1", 6), needs=6)
    late = simulation.add(request("old/1", 6, deadline=simulation.now + 20), needs=6)
    other = simulation.add(request("new/1", 6), needs=6)
    while simulation.scheduler.can_run:
        simulation.step()
    assert {running.key, other.key} <= simulation.done_at.keys()
    assert kept.key not in simulation.done_at
    assert (kept.phase, late.phase) == ("waiting", "ended")
    assert not simulation.scheduler.is_idle("old/1")
    assert not simulation.scheduler.is_running("old/1")
    assert simulation.scheduler.plan().is_idle
    simulation.register("old/1").run()
    assert kept.key in simulation.done_at


def test_a_trial_that_waits_for_its_model_keeps_no_other() -> None:
    simulation = Simulation().register("old/1")
    simulation.scheduler.hold("new/1")
    suspect = simulation.add(request("new/1", 6, trial=1), needs=6)
    other = simulation.add(request("old/1", 6), needs=6)
    while simulation.scheduler.can_run:
        simulation.step()
    assert other.key in simulation.done_at
    simulation.register("new/1").run()
    assert suspect.key in simulation.done_at


@pytest.mark.parametrize("was_loaded", [False, True])
def test_a_model_that_waited_has_no_arrears_to_collect(was_loaded: bool) -> None:
    """Neither one that was loaded meanwhile, nor one that had to leave and may stay."""
    simulation = Simulation().register("old/1", *["new/1"] * was_loaded)
    simulation.scheduler.hold("new/1")
    for _ in range(100):
        simulation.add(request("old/1", cost=400, rows=0))
        simulation.add(request("new/1", cost=400, rows=0))
    simulation.run(lambda: simulation.now > 10_000)
    if was_loaded:
        simulation.scheduler.hold("new/1", held=False)
    else:
        simulation.register("new/1")
    turns = [simulation.step().model for _ in range(10)]
    assert 4 <= turns.count("old/1") <= 6


@pytest.mark.parametrize(("step", "cost"), [(40, 400), (7, 77), (3 * BUDGET, 12 * BUDGET)])
def test_a_chunk_has_whole_steps(step: int, cost: int) -> None:
    """Such as frames, which cost many cell steps each. One that costs more than the budget runs alone."""
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1", divisible=True, step=step)
    for _ in range(3):
        scheduler.add(request(cost=cost, rows=0))
    done = 0
    while not (plan := scheduler.plan()).is_idle:
        assert all(chunk.start % step == 0 == chunk.steps % step for chunk in plan.chunks)
        assert sum(chunk.steps for chunk in plan.chunks) <= max(BUDGET, step)
        for chunk in plan.chunks:
            if chunk.is_last:
                scheduler.remove(chunk.request.key)
                done += 1
    assert done == 3


def test_where_padding_costs_nothing_short_sources_are_read_whole_beside_a_part_of_a_long_one() -> None:
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1", divisible=True, padded=sum)
    costs = (3, 40, 1000, 17)
    for cost in costs:
        scheduler.add(request(cost=cost, rows=0))
    plan = scheduler.plan()
    assert [chunk.steps for chunk in plan.chunks] == [3, 17, 40, CHUNK_UNITS * UNIT]
    assert [chunk.is_last for chunk in plan.chunks] == [True, True, True, False]


def test_where_padding_costs_steps_the_shortest_rest_decides() -> None:
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1", divisible=True)
    for cost in (3, 40, 1000):
        scheduler.add(request(cost=cost, rows=0))
    assert [chunk.steps for chunk in scheduler.plan().chunks] == [3, UNIT, UNIT]


def test_chunks_together_fit_the_budget_and_long_sources_hold_up_no_short_one() -> None:
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1", divisible=True, padded=sum)
    for _ in range(BUDGET // UNIT - 1):
        scheduler.add(request(cost=1000, rows=0))
    scheduler.plan()
    scheduler.add(request(cost=4, rows=0))
    plan = scheduler.plan()
    assert sum(chunk.steps for chunk in plan.chunks) <= BUDGET
    assert [chunk.is_last for chunk in plan.chunks].count(True) == 1


def test_a_source_that_changed_is_encoded_anew_and_others_pass() -> None:
    """As the window of a forecast, which moves over each row."""
    scheduler = Scheduler(budget=BUDGET, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1")
    long = request(cost=20, rows=0)
    long.cost = Cost(20, readings=51)
    scheduler.add(long)
    readings, short_after = 0, 0
    for turn in range(60):
        if turn == 10:
            short = request(cost=20, rows=0)
            scheduler.add(short)
        plan = scheduler.plan()
        if plan.is_idle:
            break
        for chunk in plan.chunks:
            assert (chunk.start, chunk.steps) == (0, 20)
            if chunk.request is long:
                readings += 1
                long.reads_again = readings < 51
                if not long.reads_again:
                    scheduler.remove(long.key)
            else:
                short_after = readings
                scheduler.remove(short.key)
        scheduler.read_again(plan.chunks)
    assert readings == 51
    assert 10 <= short_after <= 12
    assert len(scheduler) == scheduler.pending_steps == 0


def test_a_source_that_is_read_often_takes_turns_with_those_of_others() -> None:
    """Also where the budget is for one: each reading has its own place in the order, and not that of the first."""
    scheduler = Scheduler(budget=30, slots=SLOTS, unit=UNIT)
    scheduler.register("m/1")
    requests = {client: request(cost=20, rows=0, client=client) for client in ("long", "short", "later")}
    for client, readings in (("long", 50), ("short", 3), ("later", 3)):
        requests[client].cost = Cost(20, readings=readings)
    left = {one: one.cost.readings for one in requests.values()}
    order: list[str] = []
    scheduler.add(requests["long"])
    while not (plan := scheduler.plan()).is_idle:
        (chunk,) = plan.chunks
        order.append(chunk.request.terms.client)
        left[chunk.request] -= 1
        chunk.request.reads_again = left[chunk.request] > 0
        if not chunk.request.reads_again:
            scheduler.remove(chunk.request.key)
        scheduler.read_again(plan.chunks)
        if len(order) == 10:
            scheduler.add(requests["short"])
        if len(order) == 30:
            scheduler.add(requests["later"])
    assert len(order) == 56
    assert order[10:17].count("short") == order[30:37].count("later") == 3
