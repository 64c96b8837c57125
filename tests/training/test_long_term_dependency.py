"""Small versions of the measurements of docs/long-term-dependency.md, and its tables against its numbers."""

from pathlib import Path

import pytest
import torch

from app.models.encoders import TextEncoder
from app.models.networks import Classifier
from app.store.classifier import Classifier as Architecture
from app.store.encoder_part import Pooling
from app.store.encoders import TextEncoder as TextEncoderConfig
from app.store.recurrence import CellKind, Recurrence
from training.dependency.gradients import DIRECTIONS, gradient_norms, reach, typical
from training.dependency.page import fill
from training.dependency.plots import draw
from training.dependency.recall import CHANCE, CONTENDERS, Effort, Outcome, Recall, learn, sequences
from training.dependency.results import Fading, Results
from training.dependency.statements import FILLER, statements

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_each_cell_recalls_over_a_short_gap(contender: object) -> None:
    (chosen,) = [each for each in CONTENDERS if each is contender]
    outcome = learn(chosen, 3, seed=1, effort=Effort(hidden=32, steps=300))
    assert outcome.accuracy > 3 * CHANCE


def test_sequences_show_the_symbol_only_at_the_start() -> None:
    tokens, symbols = sequences(50, 6, torch.Generator().manual_seed(0))
    assert tokens.shape == (50, 8)
    assert torch.equal(tokens[:, 0], symbols)
    assert ((tokens[:, 1:] >= 8) & (tokens[:, 1:] <= 16)).all()


def test_a_forget_bias_is_that_of_the_forget_gate() -> None:
    (contender,) = [each for each in CONTENDERS if each.forget_bias == 3]
    recurrence = Recall(contender, 5).recurrence
    total = recurrence.get_parameter("bias_ih_l0") + recurrence.get_parameter("bias_hh_l0")
    assert total[5:10].tolist() == [3] * 5
    assert total[:5].abs().max() < 1


def _classifier(cell: CellKind, pooling: tuple[Pooling, ...]) -> Classifier:
    torch.manual_seed(0)
    recurrence = Recurrence(cell=cell, input_size=5, hidden_size=7)
    return Classifier(
        Architecture(encoder=TextEncoderConfig(vocabulary_size=20, recurrence=recurrence), pooling=pooling, labels=2)
    )


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("pooling", [("last",), ("max", "mean")])
def test_gradient_norms_are_those_of_single_steps(cell: CellKind, pooling: tuple[Pooling, ...]) -> None:
    network = _classifier(cell, pooling)
    rows = [[3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5]]
    norms = gradient_norms(network, rows, 4)
    assert isinstance(network.encoder, TextEncoder)
    network.double()
    vectors = torch.randn(DIRECTIONS, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for row, tokens in enumerate(rows):
        inputs = [network.encoder.embedding.weight[token].detach().requires_grad_() for token in tokens]
        state = network.encoder.recurrence.initial_state(1, inputs[0])
        outputs = []
        for one in inputs:
            output, state = network.encoder.recurrence.step(one.unsqueeze(0), state)
            outputs.append(output[0])
        memory = torch.stack(outputs)
        pools = {"last": memory[-1], "max": memory.amax(0), "mean": memory.mean(0)}
        logits = network.output(torch.cat([pools[name] for name in pooling]))
        label = torch.autograd.grad(logits[1] - logits[0], inputs, retain_graph=True)
        ends = [memory[-1] @ vector / vector.norm() for vector in vectors]
        state_gradients = [torch.autograd.grad(end, inputs, retain_graph=True) for end in ends]
        for distance in range(4):
            expected = torch.stack([each[-1 - distance].norm() for each in state_gradients]).square().mean().sqrt()
            assert norms.state[row, distance].item() == pytest.approx(expected.item())
            assert norms.label[row, distance].item() == pytest.approx(label[-1 - distance].norm().item())


def test_typical_norms_are_relative_geometric_means() -> None:
    norms = torch.tensor([[1.0, 0.1, 0.0, 0.0], [4.0, 0.4, 0.04, 0.0]])
    relative = typical(norms)
    assert relative[:2] == [1.0, pytest.approx(0.1)]
    assert relative[2:] == [pytest.approx(0.02), None]
    assert reach([1, 0.5, 0.005, 0.02, 0.003, 0.002]) == 4
    assert reach([1, 0.5]) is None


def test_statements_are_balanced_and_decided_by_one_word() -> None:
    labels = [statement.label for statement in statements()]
    assert len(labels) == 2 * sum(labels) == len({statement.text for statement in statements()}) >= 100
    assert len(set(FILLER)) == 20


def test_results_come_back_and_fill_tables_and_plots(tmp_path: Path) -> None:
    results = Results(
        recall=[
            Outcome(network="GRU", parameters=9, gap=gap, seed=seed, steps=5, accuracy=0.5 * seed)
            for gap in (6, 12)
            for seed in (1, 2)
        ],
        gradients=[Fading(network="GRU", description="", texts=1, state=[1.0, *[0.001] * 12], label=[1.0] * 13)],
        missing={"sentiment-en": "which is not there"},
    )
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results
    page = "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in ("recall", "gradients", "distance"))
    filled = fill(page, results)
    assert "| GRU | 9 | 0.75 (0.50 to 1.00) | 0.75 (0.50 to 1.00) |" in filled
    assert "| GRU | last state | 1e-03 | 1e-03 | 1 |" in filled
    assert "old" not in filled
    assert fill(filled, results) == filled
    assert [path.name for path in draw(results, tmp_path)] == ["recall.png", "gradient-norm.png"]


def test_the_tables_of_the_page_are_its_numbers() -> None:
    for folder in (DOCS, DOCS / "ko"):
        page = (folder / "long-term-dependency.md").read_text(encoding="utf8")
        assert fill(page, Results.read(DOCS / "long-term-dependency.json")) == page
