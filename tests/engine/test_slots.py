"""Rows that join and leave, against a dictionary that cannot get it wrong."""

import random

import torch

from app.engine.slots import Row, Slots
from app.models.state import State


def test_rows_keep_their_state_whatever_joins_and_leaves() -> None:
    rng = random.Random(0)
    slots = Slots(6, torch.device("cpu"))
    kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    number = 0
    for _ in range(300):
        if len(kept) < 6 and (not kept or rng.random() < 0.55):
            count = rng.randint(1, 6 - len(kept))
            length = rng.randint(1, 9)
            lengths = [rng.randint(1, length) for _ in range(count)]
            hidden, memory = torch.randn(count, 2, 3), torch.randn(count, length, 4)
            mask = torch.arange(length).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
            rows = [Row((b"", number + index), 5, lengths[index]) for index in range(count)]
            slots.admit(rows, State(hidden=hidden, memory=memory, memory_mask=mask), 1)
            for index in range(count):
                kept[number + index] = (hidden[index], memory[index, : lengths[index]])
            number += count
        else:
            key = rng.choice(list(kept))
            assert slots.release_key((b"", key))
            assert not slots.release_key((b"", key))
            del kept[key]
        _, state = slots.running()
        assert len(slots.rows) == len(kept) == len(state["hidden"])
        for index, row in enumerate(slots.rows):
            hidden_row, memory_row = kept[row.key[1]]
            assert torch.equal(state["hidden"][index], hidden_row)
            assert torch.equal(state["memory"][index][state["memory_mask"][index]], memory_row)


def test_views_are_cut_to_the_longest_running_source() -> None:
    slots = Slots(4, torch.device("cpu"))
    for number, length in enumerate((2, 7)):
        state = State(
            hidden=torch.zeros(1, 1, 3),
            memory=torch.zeros(1, length, 4),
            memory_mask=torch.ones(1, length, dtype=torch.bool),
        )
        slots.admit([Row((b"", number), 5, length)], state, 1)
    assert slots.running()[1]["memory"].shape == (2, 7, 4)
    slots.release_key((b"", 1))
    assert slots.running()[1]["memory"].shape == (1, 2, 4)


def test_advance_changes_hidden_and_last_tokens_only() -> None:
    slots = Slots(3, torch.device("cpu"))
    memory = torch.randn(2, 4, 5)
    state = State(hidden=torch.zeros(2, 1, 3), memory=memory, memory_mask=torch.ones(2, 4, dtype=torch.bool))
    slots.admit([Row((b"", 0), 5, 4), Row((b"", 1), 5, 4)], state, 1)
    tokens, running = slots.running()
    assert tokens.tolist() == [1, 1]
    slots.advance(torch.tensor([7, 8]), State(hidden=running["hidden"] + 1))
    tokens, running = slots.running()
    assert tokens.tolist() == [7, 8]
    assert torch.equal(running["hidden"], torch.ones(2, 1, 3))
    assert torch.equal(running["memory"], memory)
