"""The scheduler by simulation with a virtual clock: it is pure Python and has no clock of its own."""

import random
from dataclasses import dataclass, field

import pytest

from app.engine.messages import RequestKey
from app.engine.scheduler import MAX_PADDING, Plan, Scheduler, Work

UNIT = 6


@dataclass
class Simulation:
    """Runs a scheduler as the engine does; a request that emits is done after as many steps as it needs."""

    scheduler: Scheduler
    needs: dict[RequestKey, int] = field(default_factory=dict)
    left: dict[RequestKey, int] = field(default_factory=dict)
    now: int = 0
    done_at: dict[RequestKey, int] = field(default_factory=dict)
    model_of: dict[RequestKey, str] = field(default_factory=dict)

    def add(self, work: Work, needs: int) -> None:
        self.needs[work.key] = needs
        self.model_of[work.key] = work.model
        self.scheduler.add(work)

    def step(self) -> Plan:
        plan = self.scheduler.plan()
        for work in plan.consume:
            if work.emits:
                self.left[work.key] = self.needs[work.key]
            else:
                self._end(work.key)
        if plan.emit is not None:
            for key in [key for key in self.left if self.model_of[key] == plan.emit]:
                self.left[key] -= UNIT
                if self.left[key] <= 0:
                    del self.left[key]
                    self._end(key)
        self.now += 1
        return plan

    def _end(self, key: RequestKey) -> None:
        assert self.scheduler.remove(key) is not None
        self.done_at[key] = self.now


def work(number: int, model: str = "m/1", cost: int = 10, *, emits: bool = True) -> Work:
    return Work((b"client", number), model, cost, emits)


@pytest.mark.parametrize("seed", range(5))
def test_everything_ends_within_budget_and_slots(seed: int) -> None:
    rng = random.Random(seed)
    scheduler = Scheduler(budget=500, slots=7)
    simulation = Simulation(scheduler)
    kinds = {"label/1": False, "short/1": True, "long/1": True}
    for number in range(300):
        model = rng.choice(list(kinds))
        cost = rng.choice([rng.randint(1, 40), rng.randint(1, 900)])
        simulation.add(work(number, model, cost, emits=kinds[model]), rng.randint(1, 80))
        for _ in range(rng.randint(0, 2)):
            _check(simulation, simulation.step())
    while simulation.scheduler.waiting or simulation.scheduler.running:
        _check(simulation, simulation.step())
        assert simulation.now < 10_000
    assert len(simulation.done_at) == 300


def _check(simulation: Simulation, plan: Plan) -> None:
    if plan.consume:
        costs = [item.cost for item in plan.consume]
        assert len({item.model for item in plan.consume}) == 1
        assert len(costs) == 1 or max(costs) * len(costs) <= 500
        assert max(costs) <= MAX_PADDING * min(costs)
    for model in set(simulation.model_of.values()):
        assert sum(simulation.model_of[key] == model for key in simulation.left) <= 7


def test_work_is_conserved() -> None:
    """As long as something waits that has room, or something runs, a step does something."""
    rng = random.Random(1)
    simulation = Simulation(Scheduler(budget=100, slots=3))
    for number in range(100):
        simulation.add(work(number, f"m{number % 4}/1", rng.randint(1, 300)), rng.randint(1, 30))
    while simulation.scheduler.waiting or simulation.scheduler.running:
        plan = simulation.step()
        assert plan.consume or plan.emit
    assert simulation.scheduler.plan() == Plan()


def test_the_oldest_is_always_in_the_next_piece_of_its_model() -> None:
    scheduler = Scheduler(budget=1000, slots=1000)
    scheduler.add(work(0, cost=400, emits=False))
    for number in range(1, 50):
        scheduler.add(work(number, cost=5, emits=False))
    assert work(0).key in {item.key for item in scheduler.plan().consume}


def test_lengths_nearest_to_the_oldest_go_together() -> None:
    scheduler = Scheduler(budget=60, slots=100)
    for number, cost in enumerate([20, 500, 24, 19, 90, 21]):
        scheduler.add(work(number, cost=cost, emits=False))
    assert sorted(item.cost for item in scheduler.plan().consume) == [19, 20]
    assert [item.cost for item in scheduler.plan().consume] == [500]


def test_a_source_over_the_budget_runs_alone() -> None:
    scheduler = Scheduler(budget=10, slots=4)
    scheduler.add(work(0, cost=50))
    scheduler.add(work(1, cost=50))
    assert len(scheduler.plan().consume) == 1


def test_models_take_turns() -> None:
    scheduler = Scheduler(budget=1, slots=100)
    for number in range(20):
        scheduler.add(work(number, "busy/1", cost=1, emits=False))
    scheduler.add(work(99, "other/1", cost=1, emits=False))
    turns = [scheduler.plan().consume[0].model for _ in range(3)]
    assert "other/1" in turns


def test_a_running_model_does_not_keep_another_from_emitting() -> None:
    simulation = Simulation(Scheduler(budget=100, slots=4))
    simulation.add(work(1, "long/1"), 10_000)
    simulation.add(work(2, "short/1"), 6)
    for _ in range(6):
        simulation.step()
    assert (b"client", 2) in simulation.done_at


def test_removed_requests_are_forgotten_wherever_they_are() -> None:
    scheduler = Scheduler(budget=100, slots=1)
    for number in range(2):
        scheduler.add(work(number, cost=10))
    scheduler.plan()
    assert scheduler.running == scheduler.waiting == 1
    assert work(0).key in scheduler
    assert scheduler.remove(work(0).key) is not None
    assert scheduler.remove(work(1).key) is not None
    assert scheduler.remove(work(1).key) is None
    assert not scheduler.waiting
    assert not scheduler.running
    assert scheduler.plan() == Plan()
