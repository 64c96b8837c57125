"""Networks over frames: against one clip at a time; clips of other lengths beside them."""

from typing import Any, Literal

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from app.models.encoders import FramesEncoder
from app.models.networks import Classifier, build_network
from app.store.architecture import Architecture
from tests.models.series_references import head, linear, pooled, randomised, recurrent, under

MEAN, STD = [0.1, 0.4, 0.7], [0.2, 0.3, 0.5]
FRAMES, SIZE = 4, 40
LENGTHS = torch.tensor([2, FRAMES, 1])
THIN = {"block": "basic", "blocks": (1, 1, 1, 1), "stem_width": 4, "widths": (4, 4, 6, 8)}


def network_of(*, directions: Literal[1, 2] = 1, cell: str = "lstm", **changes: Any) -> Classifier:
    width = changes.get("width", 8)
    frames = {
        "kind": "frames",
        "image": {"kind": "image", "resnet": THIN, "image_size": SIZE, "output": "pooled", **changes.get("image", {})},
        "head": changes.get("head", ()),
        "recurrence": {"cell": cell, "input_size": width, "hidden_size": 5, "directions": directions},
    }
    document = {
        "kind": "classifier",
        "encoder": frames,
        "pooling": changes.get("pooling", ["last"]),
        "head": [{"size": 6}],
        "labels": 3,
    }
    network = build_network(TypeAdapter(Architecture).validate_python(document), mean=MEAN, std=STD)
    assert isinstance(network, Classifier)
    randomised(network)
    return network


NETWORKS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "GRU over projected images": {"cell": "gru", "image": {"projection": {"size": 7}}, "width": 7},
    "bidirectional over layers": {
        "directions": 2,
        "head": [{"size": 9, "batch_norm": True}, {"size": 7, "activation": "none"}],
        "width": 7,
        "pooling": ["mean", "max"],
    },
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def clips() -> Tensor:
    return torch.randint(256, (len(LENGTHS), FRAMES, SIZE, SIZE, 3), dtype=torch.uint8)


@every_network
@torch.no_grad()
def test_a_classifier_equals_one_frame_at_a_time(name: str) -> None:
    network, source = network_of(**NETWORKS[name]), clips()
    logits, weights = network(source, LENGTHS), network.state_dict()
    encoder = network.encoder
    assert isinstance(encoder, FramesEncoder)
    config = network.config.encoder
    assert config.kind == "frames"
    for row, length in enumerate(LENGTHS.tolist()):
        rows = []
        for frame in source[row, :length]:
            summary = encoder.image(frame.unsqueeze(0), torch.ones(1)).summary[0]
            rows.append(head(config.head, under("encoder.head.", weights), summary))
        outputs, last = recurrent(config.recurrence, under("encoder.recurrence.", weights), torch.stack(rows))
        features = torch.cat(pooled(network.config.pooling, outputs, last))
        expected = linear(weights, "output", head(network.config.head, under("head.", weights), features))
        torch.testing.assert_close(logits[row], expected, rtol=0, atol=1e-5)


@every_network
@torch.no_grad()
def test_padding_changes_no_answer(name: str) -> None:
    network, source = network_of(**NETWORKS[name]), clips()
    logits = network(source, LENGTHS)
    longer = torch.cat((source, clips()), 1)
    for row, length in enumerate(LENGTHS.tolist()):
        longer[row, length:] = 255
        alone = network(source[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], logits[row], rtol=0, atol=1e-5)
    torch.testing.assert_close(network(longer, LENGTHS), logits, rtol=0, atol=1e-6)


@torch.no_grad()
def test_frames_go_on_from_a_state() -> None:
    network, source = network_of(), clips()
    every = torch.full_like(LENGTHS, FRAMES)
    whole = network.encoder(source, every)
    state = None
    for frame in torch.split(source, 1, 1):
        encoded = network.encoder(frame, torch.ones_like(LENGTHS), state)
        state = encoded.state
    torch.testing.assert_close(encoded.summary, whole.summary, rtol=0, atol=1e-5)
    assert network.config.encoder.is_divisible
    assert not network_of(**NETWORKS["bidirectional over layers"]).config.encoder.is_divisible


def test_padding_changes_no_statistics() -> None:
    """Frames past a clip's end do not enter the batch normalisation of training."""
    network, source = network_of(), clips()
    network.train()
    found = []
    for padding in (0, 255):
        for row, length in enumerate(LENGTHS.tolist()):
            source[row, length:] = padding
        found.append(network(source, LENGTHS))
    assert torch.equal(*found)


@pytest.mark.usefixtures("torch_convolutions")
def test_every_parameter_learns() -> None:
    network = network_of(**NETWORKS["bidirectional over layers"])
    (network(clips(), LENGTHS) * torch.randn(len(LENGTHS), 3)).sum().backward()
    for parameter, values in network.named_parameters():
        assert values.grad is not None, parameter
        assert values.grad.any(), parameter


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": {"output": "grid"}}, "needs output 'pooled'"),
        ({"width": 9}, "input_size is 9, but it reads 8"),
        ({"head": [{"size": 7}]}, "input_size is 8, but it reads 7"),
    ],
)
def test_frames_whose_parts_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        network_of(**changes)
