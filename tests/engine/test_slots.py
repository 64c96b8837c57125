"""Rows that join and leave, against a dictionary that cannot get it wrong."""

import random

import pytest
import torch

from app.engine.cost import cost_of
from app.engine.protocol import Decode, Tokens
from app.engine.request import Request
from app.engine.sampling import Choice
from app.engine.slots import LENGTH, RUNNING, STOP, Slots
from app.models.state import State

BOS, EOS, PAST_END = 1, 2, 50
SOURCE = Tokens([5])


def request(number: int, decode: Decode, memory: int = 0) -> Request:
    """A request whose source is encoded to `memory` positions."""
    encoded = Request((b"", number), "m/1", SOURCE, decode, cost_of(SOURCE, decode))
    encoded.memory = memory
    return encoded


@pytest.mark.parametrize("looks", [True, False], ids=["cpu", "gpu"])
def test_rows_keep_their_state_whatever_joins_and_leaves(looks: bool) -> None:
    rng = random.Random(0)
    slots = Slots(9, torch.device("cpu"), looks_each_step=looks)
    kept: dict[int, tuple[Request, torch.Tensor, torch.Tensor]] = {}
    number = 0
    for _ in range(400):
        rows = sum(one.decode.beams for one, _, _ in kept.values())
        widths = [rng.choice([1, 1, 2, 3]) for _ in range(rng.randint(1, 3))]
        if rows + sum(widths) <= 9 and (not kept or rng.random() < 0.55):
            length = rng.randint(1, 9)
            lengths = [rng.randint(1, length) for _ in widths]
            count = len(widths)
            hidden, memory = torch.randn(count, 2, 3), torch.randn(count, length, 4)
            mask = torch.arange(length).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
            requests = [
                request(number + index, Decode(rng.randint(1, 30), beams=width), lengths[index])
                for index, width in enumerate(widths)
            ]
            slots.admit(requests, State(hidden=hidden, memory=memory, memory_mask=mask), bos=BOS, past_end=PAST_END)
            for index, one in enumerate(requests):
                kept[number + index] = (one, hidden[index], memory[index, : lengths[index]])
            number += count
        elif kept:
            gone = rng.sample(sorted(kept), rng.randint(1, len(kept)))
            released = [kept.pop(key)[0] for key in gone]
            slots.release(released)
            assert not any(one.rows for one in released)
        _, state = slots.view(slice(0, slots.count))
        used = sorted(row for one, _, _ in kept.values() for row in one.rows)
        assert used == list(range(slots.count))
        assert slots.longest == max((one.memory for one, _, _ in kept.values()), default=0)
        assert slots.requests == [one for one, _, _ in kept.values()]
        for one, hidden_row, memory_row in kept.values():
            for row in one.rows:
                assert torch.equal(state["hidden"][row], hidden_row)
                assert torch.equal(state["memory"][row][state["memory_mask"][row]], memory_row)
                assert int(slots.limits[row]) == one.decode.max_tokens
            scores = slots.scores[torch.tensor(one.rows)].tolist()
            assert scores[0] == 0
            assert all(score == float("-inf") for score in scores[1:])


def started(*options: Decode) -> tuple[Slots, list[Request]]:
    slots = Slots(8, torch.device("cpu"))
    requests = [request(number, decode) for number, decode in enumerate(options)]
    slots.admit(requests, State(hidden=torch.zeros(len(options), 1, 3)), bos=BOS, past_end=PAST_END)
    return slots, requests


def chosen(tokens: list[int]) -> Choice:
    return Choice(torch.tensor(tokens), torch.full((len(tokens),), -0.5), torch.zeros(len(tokens), PAST_END))


def test_a_row_ends_at_its_end_token_or_its_limit_and_stays_ended() -> None:
    slots, _ = started(Decode(5), Decode(2))
    assert slots.previous[:2].tolist() == [BOS, BOS]
    slots.take(chosen([7, 8]), EOS)
    assert slots.ended[:2].tolist() == [RUNNING, RUNNING]
    slots.take(chosen([EOS, 9]), EOS)
    slots.take(chosen([11, 12]), EOS)
    assert slots.ended[:2].tolist() == [STOP, LENGTH]
    assert slots.steps[:2].tolist() == [2, 2]
    assert slots.history[:2, :2].tolist() == [[7, EOS], [8, 9]]
    assert slots.log_probs[:2, :2].tolist() == [[-0.5, -0.5], [-0.5, -0.5]]


def test_rows_of_a_search_are_reordered_with_their_history() -> None:
    slots, _ = started(Decode(5, beams=3), Decode(5))
    slots.state["hidden"][:4, 0, 0] = torch.arange(4.0)
    slots.take(chosen([10, 11, 12, 13]), EOS)
    parents = torch.tensor([2, 0, 0, 3])
    slots.take(chosen([20, 21, 22, 23])._replace(parents=parents, scores=torch.tensor([-1.0, -2.0, -3.0, 0.0])), EOS)
    assert slots.history[:4, :2].tolist() == [[12, 20], [10, 21], [10, 22], [13, 23]]
    assert slots.state["hidden"][:4, 0, 0].tolist() == [2, 0, 0, 3]
    assert slots.scores[:4].tolist() == [-1, -2, -3, 0]


def test_options_are_made_anew_when_rows_move() -> None:
    slots, requests = started(Decode(9), Decode(9, temperature=0.5, seed=4), Decode(9, beams=2))
    assert slots.options.sampled is not None
    assert slots.options.sampled.rows.tolist() == [1]
    assert [rows.tolist() for rows in slots.options.beams] == [[[2, 3]]]
    slots.release(requests[:1])
    rows = sorted([*requests[1].rows, *requests[2].rows])
    assert rows == [0, 1, 2]
    assert slots.options.sampled.rows.tolist() == requests[1].rows
    assert [rows.tolist() for rows in slots.options.beams] == [[requests[2].rows]]


def test_storage_that_a_long_source_has_grown_shrinks_again() -> None:
    """While other rows run, whose state stays as it is."""
    slots = Slots(4, torch.device("cpu"))

    def admit(number: int, length: int, tokens: int) -> Request:
        one = request(number, Decode(tokens), length)
        memory, mask = torch.full((1, length, 3), float(number)), torch.ones(1, length, dtype=torch.bool)
        state = State(hidden=torch.full((1, 1, 2), float(number)), memory=memory, memory_mask=mask)
        slots.admit([one], state, bos=BOS, past_end=PAST_END)
        return one

    stays = admit(1, 5, 9)
    slots.take(chosen([33]), EOS)
    long = admit(2, 20_000, 30_000)
    assert slots.state["memory"].shape[1] >= 20_000
    assert slots.history.shape[1] > 30_000
    slots.release([long])
    for number in range(3, 203):
        slots.release([admit(number, 7, 9)])
    assert slots.state["memory"].shape[1] <= 512
    assert slots.history.shape[1] <= 512
    _, state = slots.view(slice(0, 1))
    assert torch.equal(state["memory"][0], torch.ones(5, 3))
    assert slots.history[0, 0] == 33
    assert slots.steps[0] == 1
    assert slots.requests == [stays]


@pytest.mark.parametrize("positions", [None, 16], ids=["apart", "plain"])
def test_rows_on_the_host_that_a_long_answer_has_grown_shrink_again(positions: int | None) -> None:
    """Of both groups of a GPU, while another row runs, whose tokens stay."""
    slots = Slots(4, torch.device("cpu"), looks_each_step=False, positions=positions)
    host = slots.host
    assert host is not None

    def admit(number: int, tokens: int) -> Request:
        one = request(number, Decode(tokens))
        slots.admit([one], State(hidden=torch.zeros(1, 1, 2)), bos=BOS, past_end=PAST_END)
        return one

    def unit(steps: int) -> None:
        after = torch.stack((host.steps[: slots.count] + steps, host.ended[: slots.count]))
        row = torch.full((slots.count,), 33)
        slots.look(after, [row] * steps, [row.float()] * steps)

    stays = admit(1, 9)
    unit(2)
    long = admit(2, 3000)
    host.extend(torch.tensor([[2, 3000], [RUNNING, LENGTH]]), torch.zeros(3000, 2).long(), torch.zeros(3000, 2))
    assert host.tokens >= 3000
    slots.release([long])
    for number in range(3, 203):
        slots.release([admit(number, 9)])
    assert host.tokens <= 512
    assert host.history.shape == host.log_probs.shape
    assert slots.read(stays.rows, slots.snapshot()) == [([33, 33], [33.0, 33.0])]


def test_storage_of_graphs_stays_where_it_is() -> None:
    """Also while the rows of the host shrink."""
    slots = Slots(4, torch.device("cpu"), looks_each_step=False, positions=1024)
    memory = torch.ones(1, 3, 2)
    state = State(hidden=torch.zeros(1, 1, 2), memory=memory, memory_mask=torch.ones(1, 3, dtype=torch.bool))
    places = set()
    for number in range(300):
        one = request(number, Decode(3000 if number == 0 else 9), 3)
        slots.admit([one], state, bos=BOS, past_end=PAST_END)
        places.add(tuple(storage.data_ptr() for storage in slots.state.values()))
        if number == 0:
            slots.look(torch.tensor([[3000], [LENGTH]]), [torch.tensor([7])] * 3000, [torch.tensor([-1.0])] * 3000)
        slots.release([one])
    assert slots.host is not None
    assert slots.host.tokens <= 512
    assert len(places) == 1


def test_a_long_source_takes_its_length_in_few_rows() -> None:
    """Beside a few short ones, before many short ones come, and after they have left."""
    slots = Slots(64, torch.device("cpu"))

    def admit(number: int, length: int) -> Request:
        one = request(number, Decode(9), length)
        memory, mask = torch.full((1, length, 3), float(number)), torch.ones(1, length, dtype=torch.bool)
        slots.admit([one], State(hidden=torch.zeros(1, 1, 2), memory=memory, memory_mask=mask), bos=BOS, past_end=9)
        return one

    running = [admit(number, 3 + number) for number in range(4)]
    for turn in range(3):
        slots.release([running.pop(0), admit(100 + turn, 20_000)])
        assert slots.state["memory"].numel() <= 20_000 * 3 * 10
        burst = [admit(200 + number, 5) for number in range(60)]
        assert len(slots.state["memory"]) == 64
        assert slots.state["memory"].numel() <= 4096 * 3
        slots.release(burst)
        _, state = slots.view(slice(0, slots.count))
        for one in running:
            [row] = one.rows
            kept = state["memory"][row][state["memory_mask"][row]]
            assert torch.equal(kept, torch.full((one.memory, 3), float(one.key[1])))


def test_storage_that_a_crowd_has_grown_shrinks_again() -> None:
    slots = Slots(64, torch.device("cpu"))

    def admit(number: int) -> Request:
        one = request(number, Decode(9), 200)
        state = State(hidden=torch.zeros(1, 1, 2), memory=torch.ones(1, 200, 3), memory_mask=torch.ones(1, 200) > 0)
        slots.admit([one], state, bos=BOS, past_end=PAST_END)
        return one

    stays, *crowd = [admit(number) for number in range(64)]
    assert slots.state["memory"].shape[:2] == (64, 200)
    slots.release(crowd)
    for number in range(64, 265):
        slots.release([admit(number)])
    assert slots.state["memory"].numel() <= 4 * 200 * 3
    _, state = slots.view(slice(0, 1))
    assert torch.equal(state["memory"][0], torch.ones(200, 3))
    assert slots.requests == [stays]


def test_storage_does_not_shrink_between_long_sources() -> None:
    slots, places = Slots(4, torch.device("cpu")), set()
    for number in range(300):
        one = request(number, Decode(2000), 1)
        slots.admit([one], State(hidden=torch.zeros(1, 1, 3)), bos=BOS, past_end=PAST_END)
        slots.release([one])
        places.add(slots.history.data_ptr())
    assert len(places) == 1
