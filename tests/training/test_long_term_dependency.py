"""The experiments about memory, in runs of seconds, against slower definitions."""

import json
import re
from pathlib import Path

import pytest
import torch

from app.models.networks import Classifier
from app.store.architecture import CellKind, Recurrence, TextEncoder
from app.store.architecture import Classifier as ClassifierConfig
from training.distance import decisive_texts, gradient_norms
from training.long_term_dependency import PAGE, tables_of, with_tables
from training.recall import CHANCE, LEARNERS, SYMBOLS, recall_accuracy, sequences


def test_the_symbol_comes_first_and_once() -> None:
    tokens, symbols = sequences(50, 9, torch.Generator().manual_seed(0))
    assert tokens.shape == (50, 11)
    assert torch.equal(tokens[:, 0], symbols)
    assert (tokens[:, 1:-1] >= SYMBOLS).all()
    assert (tokens[:, -1] == 2 * SYMBOLS).all()


def test_a_short_gap_is_learnt_and_a_long_one_is_not_learnt_at_once() -> None:
    remembering = LEARNERS[3]
    assert recall_accuracy(remembering, 6, seed=0, steps=200) > 0.95
    assert recall_accuracy(remembering, 192, seed=0, steps=3) < 2.5 * CHANCE


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("of", ["label", "memory"])
def test_gradient_norms_are_those_of_small_changes(cell: CellKind, of: str) -> None:
    torch.manual_seed(0)
    recurrence = Recurrence(cell=cell, input_size=4, hidden_size=5)
    encoder = TextEncoder(vocabulary_size=20, recurrence=recurrence)
    network = Classifier(ClassifierConfig(encoder=encoder, pooling=("last", "mean"), labels=2)).double().eval()
    row = torch.randint(20, (7,)).tolist()
    found = gradient_norms(network, [row], of=of)
    direction = torch.randn(5, generator=torch.Generator().manual_seed(0)).double()
    embedded = network.encoder.embedding(torch.tensor([row])).detach()

    def value(changed: torch.Tensor) -> torch.Tensor:
        outputs, _ = network.encoder.recurrence.unroll(changed, torch.tensor([7]))
        if of == "memory":
            return (outputs[0, -1] * direction / direction.norm()).sum()
        logits = network.output(torch.cat((outputs[:, -1], outputs.mean(1)), 1))[0]
        return logits[1] - logits[0]

    norms = []
    with torch.no_grad():
        for place in range(7):
            slopes = []
            for feature in range(4):
                step = torch.zeros_like(embedded)
                step[0, place, feature] = 1e-6
                slopes.append((value(embedded + step) - value(embedded - step)) / 2e-6)
            norms.append(float(torch.stack(slopes).norm()))
    assert found == pytest.approx([norm / norms[-1] for norm in norms[::-1]], rel=1e-4)


def test_decisive_texts_are_balanced() -> None:
    labels = [label for _, label in decisive_texts()]
    assert len(labels) == 2 * sum(labels) >= 60


def test_tables_of_the_page_are_those_of_the_run() -> None:
    page = PAGE.read_text(encoding="utf8")
    result = json.loads(Path("docs/plots/long-term-dependency.json").read_text())
    tables = tables_of(result["recall"], result["gradients"], result["survival"])
    for name, table in tables.items():
        assert f"<!-- {name} -->\n{table}\n<!-- end -->" in page
    emptied = re.sub(r"(<!-- recall -->\n).*?(<!-- end -->)", r"\1\2", page, flags=re.DOTALL)
    assert emptied != page
    assert with_tables(emptied, tables) == page
