"""Recurrences of different sizes that keep their state together, and taggers whose tags have no names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.importers.parts import recurrence, recurrent_weights
from app.importers.stacks import stacked
from app.models.recurrent import Recurrent
from tests.importers.importing import answered, imported, saved

WORDS = ["<unk>", "a", "b", "c", "d", "e"]


class Narrowing(nn.Module):
    """A language model whose layers become narrower."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.first = nn.GRU(4, 7, num_layers=2, batch_first=True)
        self.second = nn.GRU(7, 3, batch_first=True)
        self.decoder = nn.Linear(3, 6)

    def greedy(self, ids: list[int], steps: int) -> list[int]:
        made = list(ids)
        with torch.no_grad():
            for _ in range(steps):
                outputs, _ = self.second(self.first(self.embedding(torch.tensor([made])))[0])
                made.append(int(self.decoder(outputs[0, -1]).argmax()))
        return made[len(ids) :]


def test_a_language_model_of_layers_of_different_sizes(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = Narrowing()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=1.5)
    vocabulary = tmp_path / "words.json"
    vocabulary.write_text(json.dumps(WORDS), encoding="utf8")
    options = ("--usual", "--set=max_tokens=9", "--set=tokenizer=spaces", f"--vocab={vocabulary}")
    assert "3 x GRU-7 language model" in imported(tmp_path, saved(tmp_path, model), *options)
    for text, result in zip(["a b", "e"], answered(tmp_path, ["a b", "e"]), strict=True):
        ids = [WORDS.index(word) for word in text.split()]
        assert result["text"].split() == [WORDS[token] for token in model.greedy(ids, 9)]


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_added_units_change_nothing(cell: Callable[..., nn.RNNBase]) -> None:
    torch.manual_seed(6)
    modules = [cell(3, 2, batch_first=True), cell(2, 5, num_layers=2, batch_first=True), cell(5, 4, batch_first=True)]
    layers = [(recurrence(module.state_dict(), ""), recurrent_weights(module.state_dict(), "")) for module in modules]
    whole, weights = stacked(layers)
    assert (whole.hidden_size, whole.layers) == (5, 4)
    mine = Recurrent(whole)
    mine.load_state_dict(weights)
    rows = torch.randn(2, 6, 3)
    wanted: Tensor = rows
    for module in modules:
        wanted, _ = module(wanted)
    outputs, _ = mine.unroll(rows, torch.tensor([6, 6]))
    torch.testing.assert_close(outputs[..., :4], wanted)
    assert not outputs[..., 4:].any()


def test_start_and_stop_are_found_without_names(tmp_path: Path) -> None:
    torch.manual_seed(6)
    matrix = torch.randn(5, 5) * 3
    matrix[1, :] = matrix[:, 3] = -10000  # nothing to 1, nothing from 3
    state = {
        "word_embeds.weight": torch.randn(6, 4),
        **{f"lstm.{key}": tensor for key, tensor in nn.LSTM(4, 3, bidirectional=True).state_dict().items()},
        "hidden2tag.weight": torch.randn(5, 6),
        "hidden2tag.bias": torch.randn(5),
        "transitions": matrix,
    }
    vocabulary = tmp_path / "words.json"
    vocabulary.write_text(json.dumps(WORDS), encoding="utf8")
    options = ("--usual", "--labels=v,w,x,y,z", "--set=tokenizer=spaces", f"--vocab={vocabulary}")
    imported(tmp_path, saved(tmp_path, state), *options)
    lstm = nn.LSTM(4, 3, bidirectional=True)
    lstm.load_state_dict({key.removeprefix("lstm."): state[key] for key in state if key.startswith("lstm.")})
    ids = torch.tensor([1, 4, 2, 5])
    with torch.no_grad():
        outputs, _ = lstm(state["word_embeds.weight"][ids].unsqueeze(1))
        logits = outputs[:, 0] @ state["hidden2tag.weight"].T + state["hidden2tag.bias"]
    paths = torch.cartesian_prod(*[torch.arange(5)] * 4)
    scores = matrix[paths[:, 0], 1] + matrix[3, paths[:, -1]] + logits[torch.arange(4), paths].sum(1)
    best = paths[(scores + matrix[paths[:, 1:], paths[:, :-1]].sum(1)).argmax()].tolist()
    (result,) = answered(tmp_path, ["a d b e"])
    assert [word["label"] for word in result["tags"]] == ["vwxyz"[tag] for tag in best]
