"""Networks over numbers, words and frames with the weights of the original code, against its answers.

Each test names the architecture that the original's class is, and the tensors that become its parameters. The kits are
described in `README.md` of their folder.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from torch import Tensor

from app.models.networks import IMAGENET_MEAN, IMAGENET_STD, Network, Tagger, build_network
from app.models.pieces import at_once
from app.store.architecture import Architecture

KITS = Path(os.environ.get("UNROLL_KITS", Path(__file__).parents[2].parent / "shared" / "kits"))
pytestmark = pytest.mark.skipif(
    not KITS.is_dir(), reason=f"NOT COMPARED with the original code's answers: no kits in {KITS}, see UNROLL_KITS"
)
Weights = dict[str, Tensor]


def kit(folder: str, file: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((KITS / folder / file).read_text(encoding="utf8"))
    return answers


def checkpoint(folder: str, file: str, *keys: str) -> Weights:
    found = torch.load(KITS / folder / file, weights_only=True)
    for key in keys:
        found = found[key]
    return dict(found)


def renamed(weights: Weights, **prefixes: str) -> Weights:
    """The tensors below each prefix of the original, with our prefix instead. `__` stands for a dot."""
    return {
        ours + name.removeprefix(theirs.replace("__", ".")): values
        for theirs, ours in prefixes.items()
        for name, values in weights.items()
        if name.startswith(theirs.replace("__", "."))
    }


def network_of(architecture: dict[str, Any], weights: Weights) -> Any:
    parsed: Architecture = TypeAdapter(Architecture).validate_python(architecture)
    network: Network = build_network(parsed, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    network.load_state_dict(weights)
    return network.eval()


def check_rows(network: Network, rows: list[Tensor], expected: Tensor) -> None:
    """The outputs (cases, ...) of the original code for rows of different lengths, together and one by one."""
    lengths = torch.tensor([len(row) for row in rows])
    together = network(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)
    torch.testing.assert_close(together.flatten(1), expected, rtol=0, atol=1e-5)
    for row, answer in zip(rows, expected, strict=True):
        alone = network(row.unsqueeze(0), torch.tensor([len(row)]))
        torch.testing.assert_close(alone.flatten(), answer, rtol=0, atol=1e-5)


def outputs(kit_answers: dict[str, Any]) -> Tensor:
    return torch.tensor([case["network_output"] for case in kit_answers["cases"]])


def series(features: int, recurrence: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"kind": "series", "features": features, "recurrence": recurrence, **parts}


@torch.no_grad()
def test_lstm_and_linear() -> None:
    kit_answers = kit("pytorch_timeseries", "expected_lstm_airline.json")
    scaler = kit("pytorch_timeseries", "scaler.json")
    (low,), (high,) = scaler["data_min"], scaler["data_max"]
    lstm = {"cell": "lstm", "input_size": 1, "hidden_size": 24}
    weights = checkpoint("pytorch_timeseries", "lstm_airline.pth")
    network = network_of(
        {"kind": "forecaster", "encoder": series(1, lstm), "targets": 1},
        renamed(weights, lstm="encoder.recurrence", fc="output"),
    )
    inputs = [torch.tensor(case["input"]) for case in kit_answers["cases"]]
    check_rows(network, [(rows - low) / (high - low) * 2 - 1 for rows in inputs], outputs(kit_answers))


@torch.no_grad()
def test_two_layers_of_gru_and_linear() -> None:
    kit_answers = kit("pytorch_timeseries", "expected_gru_weather.json")
    scaler = kit("pytorch_timeseries", "weather_scalers.json")["features"]
    gru = {"cell": "gru", "input_size": 5, "hidden_size": 24, "layers": 2}
    weights = checkpoint("pytorch_timeseries", "gru_weather.pt", "model_state_dict")
    network = network_of(
        {"kind": "forecaster", "encoder": series(5, gru), "targets": 1},
        renamed(weights, gru="encoder.recurrence", linear="output"),
    )
    mean, scale = torch.tensor(scaler["mean"]).double(), torch.tensor(scaler["scale"]).double()
    inputs = [torch.tensor(case["input"], dtype=torch.float64) for case in kit_answers["cases"]]
    check_rows(network, [((rows - mean) / scale).float() for rows in inputs], outputs(kit_answers))


@torch.no_grad()
def test_lstm_beside_convolutions() -> None:
    kit_answers = kit("pytorch_timeseries", "expected_lstm_fcn_italy.json")
    weights = checkpoint("pytorch_timeseries", "lstm_fcn_italy.pth")
    lstm = {"cell": "lstm", "input_size": 1, "hidden_size": 16}
    widths, kernels = (32, 48, 32), (7, 5, 3)
    branch = [
        {"kind": "plain", "width": width, "kernels": (kernel,)} for width, kernel in zip(widths, kernels, strict=True)
    ]
    ours = renamed(weights, lstm="encoder.recurrence", fc="output")
    for number in (1, 2, 3):
        place = f"encoder.branch.{number - 1}"
        ours |= renamed(weights, **{f"conv{number}": f"{place}.conv1", f"bn{number}": f"{place}.bn1"})
        ours[f"{place}.bn1.running_mean"] = ours[f"{place}.bn1.running_mean"] - ours.pop(f"{place}.conv1.bias")
    network = network_of(
        {"kind": "classifier", "encoder": series(1, lstm, branch=branch), "pooling": ["last"], "labels": 2}, ours
    )
    check_rows(network, [torch.tensor(case["input"]) for case in kit_answers["cases"]], outputs(kit_answers))


@torch.no_grad()
def test_lstm_behind_a_resnet_in_one_dimension() -> None:
    kit_answers = kit("pytorch_timeseries", "expected_resnet_lstm_motions.json")
    weights = checkpoint("pytorch_timeseries", "resnet_lstm_motions.pth")
    stem = {"kind": "plain", "width": 12, "kernels": (7,), "stride": 2, "pool": 3}
    stages = [
        {"kind": "residual", "width": width, "kernels": (3, 3), "stride": stride}
        for width, stride in ((12, 1), (20, 2), (28, 2))
    ]
    lstm = {"cell": "lstm", "input_size": 28, "hidden_size": 24}
    ours = renamed(
        weights,
        conv1="encoder.blocks.0.conv1",
        bn1="encoder.blocks.0.bn1",
        layer1__0="encoder.blocks.1",
        layer2__0="encoder.blocks.2",
        layer3__0="encoder.blocks.3",
        lstm="encoder.recurrence",
        fc="output",
    )
    encoder = series(6, lstm, blocks=[stem, *stages])
    network = network_of({"kind": "classifier", "encoder": encoder, "pooling": ["last"], "labels": 4}, ours)
    check_rows(network, [torch.tensor(case["input"]) for case in kit_answers["cases"]], outputs(kit_answers))


@pytest.mark.parametrize(
    ("model", "keys", "names", "hidden", "directions", "scores"),
    [
        ("lstm_tagger.pt", (), {"word_embeddings": "encoder.embedding", "hidden2tag": "output"}, 28, 1, "log_probs"),
        (
            "bilstm_tagger.pth",
            ("model_state_dict",),
            {"embedding": "encoder.embedding", "fc": "output"},
            18,
            2,
            "logits",
        ),
    ],
)
@torch.no_grad()
def test_taggers(
    model: str, keys: tuple[str, ...], names: dict[str, str], hidden: int, directions: int, scores: str
) -> None:
    kit_answers = kit("pytorch_tagger", f"expected_{Path(model).stem}.json")
    weights = checkpoint("pytorch_tagger", model, *keys)
    ours = renamed(weights, lstm="encoder.recurrence", **names)
    vocabulary, width = ours["encoder.embedding.weight"].shape
    lstm = {"cell": "lstm", "input_size": width, "hidden_size": hidden, "directions": directions}
    encoder = {"kind": "text", "vocabulary_size": vocabulary, "recurrence": lstm}
    network = network_of({"kind": "tagger", "encoder": encoder, "labels": len(kit_answers["tags"])}, ours)
    assert isinstance(network, Tagger)
    answered = [case for case in kit_answers["cases"] if case.get(scores)]
    assert len(answered) >= 14
    rows = [torch.tensor(case["ids"]) for case in answered]
    lengths = torch.tensor([len(row) for row in rows])
    logits = network(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)
    labels = at_once(network.labels(logits, lengths))
    found = logits.log_softmax(2) if scores == "log_probs" else logits
    for row, case in enumerate(answered):
        length = len(case["ids"])
        torch.testing.assert_close(found[row, :length], torch.tensor(case[scores]), rtol=0, atol=1e-5)
        assert [kit_answers["tags"][label] for label in labels[row, :length].tolist()] == case["tags"]


def clip(folder: str, case: dict[str, Any], side: int) -> Tensor:
    """The frames of a case (frames, side, side, 3), resized as the original does."""
    frames = []
    for name in case["frames"]:
        with Image.open(KITS / folder / name) as image:
            resized = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        frames.append(torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8).view(side, side, 3))
    return torch.stack(frames)


def frames(resnet: dict[str, Any], lstm: dict[str, Any], size: int, **parts: Any) -> dict[str, Any]:
    image = {"kind": "image", "resnet": resnet, "image_size": size, "output": "pooled", **parts.pop("image", {})}
    return {"kind": "frames", "image": image, "recurrence": lstm, **parts}


def check_clips(network: Network, folder: str, kit_answers: dict[str, Any], side: int) -> None:
    cases = kit_answers["cases"]
    check_rows(network, [clip(folder, case, side) for case in cases], torch.tensor([case["logits"] for case in cases]))


@torch.no_grad()
def test_resnet_with_another_fc_and_lstm() -> None:
    kit_answers = kit("pytorch_cnn_lstm_frames", "expected_cnnlstm.json")
    weights = checkpoint("pytorch_cnn_lstm_frames", "cnnlstm-Epoch-6.pth", "state_dict")
    resnet = {"block": "basic", "blocks": (2, 2, 2, 2), "stem_width": 10, "widths": (10, 14, 20, 28)}
    fc = {name: weights.pop(name) for name in ("resnet.fc.0.weight", "resnet.fc.0.bias")}
    ours = renamed(weights, resnet="encoder.image.resnet", lstm="encoder.recurrence", fc1="head.0", fc2="output")
    ours |= renamed(fc, resnet__fc="encoder.image.projection")
    width = len(fc["resnet.fc.0.bias"])
    lstm = {"cell": "lstm", "input_size": width, "hidden_size": 24}
    encoder = frames(resnet, lstm, 56, image={"projection": {"size": width}})
    head = [{"size": len(weights["fc1.bias"])}]
    network = network_of(
        {"kind": "classifier", "encoder": encoder, "pooling": ["last"], "head": head, "labels": 5}, ours
    )
    check_clips(network, "pytorch_cnn_lstm_frames", kit_answers, 56)


@torch.no_grad()
def test_resnet_with_layers_and_lstm() -> None:
    """The two files of HHTseng/video-classification."""
    kit_answers = kit("pytorch_cnn_lstm_frames", "expected_resnetcrnn.json")
    cnn = checkpoint("pytorch_cnn_lstm_frames", "cnn_encoder_epoch6.pth")
    rnn = checkpoint("pytorch_cnn_lstm_frames", "rnn_decoder_epoch6.pth")
    children = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}
    ours = renamed(cnn, **{f"resnet__{place}": f"encoder.image.resnet.{name}" for place, name in children.items()})
    ours |= renamed(cnn, fc1="encoder.head.0", fc2="encoder.head.1", fc3="encoder.head.2")
    ours |= renamed(cnn, bn1="encoder.head.norm0", bn2="encoder.head.norm1")
    ours |= renamed(rnn, LSTM="encoder.recurrence", fc1="head.0", fc2="output")
    resnet = {"block": "basic", "blocks": (1, 1, 1, 1), "stem_width": 12, "widths": (12, 16, 24, 32)}
    lstm = {"cell": "lstm", "input_size": 24, "hidden_size": 28, "layers": 2}
    layers = [
        {"size": 40, "batch_norm": True},
        {"size": 32, "batch_norm": True},
        {"size": 24, "activation": "none"},
    ]
    encoder = frames(resnet, lstm, 64, head=layers)
    network = network_of(
        {"kind": "classifier", "encoder": encoder, "pooling": ["last"], "head": [{"size": 20}], "labels": 5}, ours
    )
    check_clips(network, "pytorch_cnn_lstm_frames", kit_answers, 64)
