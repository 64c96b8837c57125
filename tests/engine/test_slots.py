"""Rows that join and leave, against a dictionary that cannot get it wrong."""

import random

import torch

from app.engine.protocol import Emit
from app.engine.sampling import Choice
from app.engine.slots import LENGTH, RUNNING, STOP, Running, Slots
from app.models.state import State

BOS, EOS, PAST_END = 1, 2, 50


def test_rows_keep_their_state_whatever_joins_and_leaves() -> None:
    rng = random.Random(0)
    slots = Slots(9, torch.device("cpu"))
    kept: dict[int, tuple[Running, torch.Tensor, torch.Tensor]] = {}
    number = 0
    for _ in range(400):
        rows = sum(request.emit.beams for request, _, _ in kept.values())
        widths = [rng.choice([1, 1, 2, 3]) for _ in range(rng.randint(1, 3))]
        if rows + sum(widths) <= 9 and (not kept or rng.random() < 0.55):
            length = rng.randint(1, 9)
            lengths = [rng.randint(1, length) for _ in widths]
            count = len(widths)
            hidden, memory = torch.randn(count, 2, 3), torch.randn(count, length, 4)
            mask = torch.arange(length).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
            requests = [
                Running((b"", number + index), Emit(rng.randint(1, 30), beams=width), lengths[index])
                for index, width in enumerate(widths)
            ]
            slots.admit(requests, State(hidden=hidden, memory=memory, memory_mask=mask), bos=BOS, past_end=PAST_END)
            for index, request in enumerate(requests):
                kept[number + index] = (request, hidden[index], memory[index, : lengths[index]])
            number += count
        elif kept:
            gone = rng.sample(sorted(kept), rng.randint(1, len(kept)))
            slots.release([kept.pop(key)[0] for key in gone])
            assert all(slots.find((b"", key)) is None for key in gone)
        _, state = slots.view(slice(0, slots.count))
        used = sorted(row for request, _, _ in kept.values() for row in request.rows)
        assert used == list(range(slots.count))
        assert slots.longest == max((request.length for request, _, _ in kept.values()), default=0)
        for key, (request, hidden_row, memory_row) in kept.items():
            assert slots.find((b"", key)) is request
            for row in request.rows:
                assert torch.equal(state["hidden"][row], hidden_row)
                assert torch.equal(state["memory"][row][state["memory_mask"][row]], memory_row)
                assert int(slots.limits[row]) == request.emit.max_tokens
            scores = slots.scores[torch.tensor(request.rows)].tolist()
            assert scores[0] == 0
            assert all(score == float("-inf") for score in scores[1:])


def started(*emits: Emit) -> tuple[Slots, list[Running]]:
    slots = Slots(8, torch.device("cpu"))
    requests = [Running((b"", number), emit, 0) for number, emit in enumerate(emits)]
    slots.admit(requests, State(hidden=torch.zeros(len(emits), 1, 3)), bos=BOS, past_end=PAST_END)
    return slots, requests


def chosen(tokens: list[int]) -> Choice:
    return Choice(torch.tensor(tokens), torch.full((len(tokens),), -0.5), torch.zeros(len(tokens), PAST_END))


def test_a_row_ends_at_its_end_token_or_its_limit_and_stays_ended() -> None:
    slots, _ = started(Emit(5), Emit(2))
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
    slots, _ = started(Emit(5, beams=3), Emit(5))
    slots.state["hidden"][:4, 0, 0] = torch.arange(4.0)
    slots.take(chosen([10, 11, 12, 13]), EOS)
    parents = torch.tensor([2, 0, 0, 3])
    slots.take(chosen([20, 21, 22, 23])._replace(parents=parents, scores=torch.tensor([-1.0, -2.0, -3.0, 0.0])), EOS)
    assert slots.history[:4, :2].tolist() == [[12, 20], [10, 21], [10, 22], [13, 23]]
    assert slots.state["hidden"][:4, 0, 0].tolist() == [2, 0, 0, 3]
    assert slots.scores[:4].tolist() == [-1, -2, -3, 0]


def test_options_are_made_anew_when_rows_move() -> None:
    slots, requests = started(Emit(9), Emit(9, temperature=0.5, seed=4), Emit(9, beams=2))
    assert slots.options.sampling is not None
    assert slots.options.sampling.rows.tolist() == [1]
    assert [rows.tolist() for rows in slots.options.beams] == [[[2, 3]]]
    slots.release(requests[:1])
    rows = sorted([*requests[1].rows, *requests[2].rows])
    assert rows == [0, 1, 2]
    assert slots.options.sampling.rows.tolist() == requests[1].rows
    assert [rows.tolist() for rows in slots.options.beams] == [[requests[2].rows]]
