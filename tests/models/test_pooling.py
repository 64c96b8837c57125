"""Poolings of an encoder's outputs: each row of a padded batch against formulas over that row alone."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.models.networks import Classifier
from app.models.pooling import AttentionPooling, pooled
from app.store.classifier import Classifier as ClassifierConfig
from app.store.pooled import AttentionPooling as AttentionConfig

VOCABULARY, HIDDEN, WIDTH = 20, 4, 8
LENGTHS = torch.tensor([3, WIDTH, 1, 6])
ATTENTIONS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "activation": "none"},
    "linear, tanh": {"kind": "linear", "activation": "tanh"},
    "additive": {"kind": "additive", "size": 5, "activation": "tanh"},
    "additive, relu": {"kind": "additive", "size": 5, "activation": "relu"},
    "dot": {"kind": "dot"},
}


def classifier(**changes: Any) -> Classifier:
    recurrence = {"cell": "lstm", "input_size": 3, "hidden_size": HIDDEN, "directions": 2}
    encoder = {"kind": "text", "vocabulary_size": VOCABULARY, "recurrence": recurrence, **changes.pop("encoder", {})}
    config = {"encoder": encoder, "pooling": ["last"], "labels": 3, **changes}
    return Classifier(ClassifierConfig.model_validate(config)).eval()


def sources() -> Tensor:
    return torch.randint(1, VOCABULARY, (len(LENGTHS), WIDTH))


def outputs_of(network: Classifier, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """One source (steps,) through torch.nn: outputs (steps, 2 * hidden) and the last states, forward first."""
    module = nn.LSTM(3, HIDDEN, bidirectional=True, batch_first=True)
    module.load_state_dict(network.encoder.recurrence.state_dict())
    weight = network.encoder.state_dict()["embedding.weight"]
    outputs, (hidden, _) = module(weight[tokens].unsqueeze(0))
    return outputs[0], hidden.flatten()


@pytest.mark.parametrize("pooling", ["last", "last_output", "max", "mean", "sum"])
@torch.no_grad()
def test_a_pooling_is_its_formula(pooling: str) -> None:
    network, tokens = classifier(pooling=[pooling]), sources()
    found = pooled(network.config.pooling, network.encoder(tokens, LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        outputs, last = outputs_of(network, tokens[row, :length])
        expected = {
            "last": last,
            "last_output": outputs[-1],
            "max": outputs.amax(0),
            "mean": outputs.sum(0) / length,
            "sum": outputs.sum(0),
        }[pooling]
        torch.testing.assert_close(found[row], expected)


@torch.no_grad()
def test_the_last_output_has_one_step_of_the_backward_direction() -> None:
    network, tokens = classifier(pooling=["last", "last_output"]), sources()
    both = pooled(network.config.pooling, network.encoder(tokens, LENGTHS))
    last, output = both.chunk(2, 1)
    torch.testing.assert_close(last[:, :HIDDEN], output[:, :HIDDEN])
    assert not torch.allclose(last[0, HIDDEN:], output[0, HIDDEN:])


@pytest.mark.parametrize("name", ATTENTIONS)
@torch.no_grad()
def test_attention_is_the_mean_by_its_weights(name: str) -> None:
    config = AttentionConfig.model_validate(ATTENTIONS[name])
    network, tokens = classifier(pooling=["attention"], attention=ATTENTIONS[name]), sources()
    assert isinstance(network.attention, AttentionPooling)
    for parameter in network.attention.parameters():
        parameter.mul_(5)
    weights = network.state_dict()
    found = pooled(network.config.pooling, network.encoder(tokens, LENGTHS), network.attention)
    act = {"none": lambda x: x, "tanh": torch.tanh, "relu": torch.relu, None: None}[config.activation]
    for row, length in enumerate(LENGTHS.tolist()):
        outputs, last = outputs_of(network, tokens[row, :length])
        scores = []
        for output in outputs:
            if config.kind == "dot":
                scores.append(output @ last)
                continue
            assert act is not None
            if config.kind == "additive":
                output = act(weights["attention.key.weight"] @ output + weights["attention.key.bias"])
            score = weights["attention.score.weight"][0] @ output + weights["attention.score.bias"][0]
            scores.append(act(score) if config.kind == "linear" else score)
        powers = [score.exp() for score in scores]
        expected = sum(power / sum(powers) * output for power, output in zip(powers, outputs, strict=True))
        torch.testing.assert_close(found[row], expected)


@torch.no_grad()
def test_masked_steps_count_in_a_maximum_alone() -> None:
    """As in Keras, whose GlobalMaxPooling1D ignores masks."""
    encoder = {"mask_id": 0, "masked_outputs": "zero"}
    poolings = ["max", "mean", "sum", "attention", "last_output"]
    network = classifier(encoder=encoder, pooling=poolings, attention=ATTENTIONS["linear"])
    tokens, lengths = torch.tensor([[0, 5, 0, 7, 8, 0], [3, 4, 0, 1, 1, 1]]), torch.tensor([6, 3])
    found = pooled(network.config.pooling, network.encoder(tokens, lengths), network.attention).view(2, 5, -1)
    weights = network.state_dict()
    for row, length in enumerate(lengths.tolist()):
        own = tokens[row, :length]
        read = own != 0
        some, _ = outputs_of(network, own[read])  # the others keep the state
        outputs = torch.zeros(length, 2 * HIDDEN)
        outputs[read] = some
        shares = (some @ weights["attention.score.weight"][0] + weights["attention.score.bias"]).exp()
        shares = shares / shares.sum()
        expected = [outputs.amax(0), some.mean(0), some.sum(0), shares @ some, outputs[-1]]
        torch.testing.assert_close(found[row], torch.stack(expected))


@torch.no_grad()
def test_nothing_to_read_is_a_finite_answer() -> None:
    network = classifier(
        encoder={"mask_id": 0}, pooling=["last", "mean", "sum", "max", "attention"], attention=ATTENTIONS["dot"]
    )
    logits = network(torch.zeros(2, 4, dtype=torch.long), torch.tensor([4, 2]))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[0], logits[1])


@torch.no_grad()
def test_flatten_has_the_steps_side_by_side() -> None:
    network = classifier(pooling=["flatten", "last"], window=WIDTH)
    tokens = sources()
    found = pooled(network.config.pooling, network.encoder(tokens, torch.full((len(tokens),), WIDTH)))
    assert found.shape[1] == network.config.pooled_size == WIDTH * 2 * HIDDEN + 2 * HIDDEN
    for row in range(len(tokens)):
        outputs, last = outputs_of(network, tokens[row])
        torch.testing.assert_close(found[row], torch.cat((outputs.flatten(), last)))


@torch.no_grad()
def test_stages_behind_the_recurrence_are_pooled() -> None:
    back = [
        {"kind": "convolution", "width": 5, "kernel": 2, "padding": "valid", "activation": "relu"},
        {"kind": "pool", "size": 2, "stride": 2},
    ]
    network = classifier(encoder={"back": back}, pooling=["mean", "last"])
    assert network.config.pooled_size == 5 + 2 * HIDDEN
    assert network.config.least_steps == 3
    tokens, lengths = sources(), torch.tensor([3, WIDTH, 5, 6])
    found = pooled(network.config.pooling, network.encoder(tokens, lengths))
    weights = network.state_dict()
    for row, length in enumerate(lengths.tolist()):
        outputs, last = outputs_of(network, tokens[row, :length])
        convolution = nn.functional.conv1d(
            outputs.T[None], weights["encoder.back.0.weight"], weights["encoder.back.0.bias"]
        )
        expected = nn.functional.max_pool1d(convolution.relu(), 2)[0].mean(1)
        torch.testing.assert_close(found[row], torch.cat((expected, last)))


@torch.no_grad()
def test_independent_labels_have_a_probability_each() -> None:
    network = classifier(outputs="sigmoid", labels=4)
    logits = torch.randn(2, 4)
    torch.testing.assert_close(network.probabilities(logits), 1 / (1 + (-logits).exp()))
    assert "4 independent labels" in network.config.describe()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": ["attention"]}, "pooling 'attention' needs 'attention'"),
        ({"attention": ATTENTIONS["dot"]}, "no other pooling takes it"),
        ({"pooling": ["flatten"]}, "needs 'window'"),
        ({"pooling": ["flatten"], "window": 10_000, "encoder": {"back": [{"kind": "linear", "size": 2**20}]}}, "limit"),
        ({"pooling": ["attention"], "attention": {"kind": "linear"}}, "need attention.activation"),
        ({"pooling": ["attention"], "attention": {"kind": "dot", "activation": "tanh"}}, "dot does not take it"),
        ({"pooling": ["attention"], "attention": {"kind": "additive", "activation": "tanh"}}, "needs attention.size"),
        (
            {
                "pooling": ["attention"],
                "attention": {"kind": "dot"},
                "encoder": {"back": [{"kind": "linear", "size": 3}]},
            },
            "as wide as the summary",
        ),
    ],
)
def test_poolings_whose_parts_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**changes)
