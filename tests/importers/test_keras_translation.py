"""Keras encoder-decoders, converted, against the arithmetic of Keras in numpy; in the dialects of Keras 2 and 3, as the
training model and as encoder and decoder apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from app.errors import ImportFailed
from app.importers.keras.encoder_decoders import encoder_decoder
from app.importers.keras.pairs import pair_of
from app.importers.keras.two_models import understand_pair
from app.importers.keras.understood import Understood, understand
from app.importers.keras_model import KerasModel
from app.importers.layout import Converted
from app.importers.network import network_of
from tests.importers.keras_numpy import Array, Settings, unroll
from tests.importers.keras_stacks import tensor

SOURCE, TARGET, SIZE, UNITS = 7, 6, 3, 4
IDS = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [5, 6, 1, 2, 3]])
TOKENS = np.array([[1, 2, 3, 4], [2, 2, 2, 2], [5, 1, 0, 3]])
BLOCKS = {"LSTM": 4, "GRU": 3}
Node = tuple[str, Sequence[tuple[str, int]], Sequence[tuple[str, int]]]


class Translator:
    """An encoder-decoder with random arrays."""

    def __init__(self, seed: int, *, cell: str, attention: str | None = None, mask: bool = True) -> None:
        draw = np.random.default_rng(seed)
        self.cell, self.attention, self.mask = cell, attention, mask
        bias = (BLOCKS[cell] * UNITS,) if cell == "LSTM" else (2, BLOCKS[cell] * UNITS)
        shapes = [(SIZE, BLOCKS[cell] * UNITS), (UNITS, BLOCKS[cell] * UNITS), bias]
        wide = UNITS * 2 if attention else UNITS
        self.arrays: dict[str, list[Array]] = {
            "embed_in": [draw.normal(size=(SOURCE, SIZE))],
            "embed_out": [draw.normal(size=(TARGET, SIZE))],
            "encoder": [draw.normal(size=shape) for shape in shapes],
            "decoder": [draw.normal(size=shape) for shape in shapes],
            "dense": [draw.normal(size=(wide, TARGET)), draw.normal(size=TARGET)],
        }
        if attention == "AdditiveAttention":
            self.arrays["attention"] = [draw.normal(size=UNITS)]
        self.cells: Settings = {
            "units": UNITS,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "reset_after": True,
            "return_state": True,
            "return_sequences": True,
        }

    @property
    def states(self) -> range:
        return range(1, 3 if self.cell == "LSTM" else 2)

    def answer(self) -> Array:
        """The probabilities of the training model."""
        arrays = self.arrays
        source, mask = arrays["embed_in"][0][IDS], IDS != 0 if self.mask else None
        memory, state = unroll(self.cell, self.cells, arrays["encoder"], source, mask, 3)
        target = arrays["embed_out"][0][TOKENS]
        outputs, _ = unroll(self.cell, self.cells, arrays["decoder"], target, None, 3, state=state)
        if self.attention is not None:
            outputs = np.concatenate([outputs, self._context(outputs, memory)], -1)
        logits = outputs @ arrays["dense"][0] + arrays["dense"][1]
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        answer: Array = shares / shares.sum(-1, keepdims=True)
        return answer

    def _context(self, outputs: Array, memory: Array) -> Array:
        if self.attention == "Attention":
            scores = np.einsum("btu,bsu->bts", outputs, memory)
        else:
            sums = np.tanh(outputs[:, :, None] + memory[:, None])
            scores = (sums * self.arrays["attention"][0]).sum(-1)
        if self.mask:
            scores = np.where((IDS != 0)[:, None], scores, -1e9)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        context: Array = np.einsum("bts,bsu->btu", shares / shares.sum(-1, keepdims=True), memory)
        return context

    def layers(self) -> list[tuple[Settings, Node]]:
        """Class and settings of each layer, and its inputs and states."""
        embedded: Settings = {"input_dim": SOURCE, "output_dim": SIZE, "mask_zero": self.mask}
        made: list[tuple[Settings, Node]] = [
            (_layer("InputLayer", "source", shape=[None, None]), ("source", (), ())),
            (_layer("InputLayer", "target", shape=[None, None]), ("target", (), ())),
            (_layer("Embedding", "embed_in", **embedded), ("embed_in", [("source", 0)], ())),
            (
                _layer("Embedding", "embed_out", input_dim=TARGET, output_dim=SIZE),
                ("embed_out", [("target", 0)], ()),
            ),
            (_layer(self.cell, "encoder", **self.cells), ("encoder", [("embed_in", 0)], ())),
            (
                _layer(self.cell, "decoder", **self.cells),
                ("decoder", [("embed_out", 0)], [("encoder", number) for number in self.states]),
            ),
        ]
        last = "decoder"
        if self.attention is not None:
            made += [
                (_layer(self.attention, "attention"), ("attention", [("decoder", 0), ("encoder", 0)], ())),
                (_layer("Concatenate", "beside", axis=-1), ("beside", [("decoder", 0), ("attention", 0)], ())),
            ]
            last = "beside"
        dense = _layer("Dense", "dense", units=TARGET, activation="softmax")
        return [*made, (dense, ("dense", [(last, 0)], ()))]

    def model(self, keras: int) -> KerasModel:
        return _model(self.layers(), ["source", "target"], [("dense", 0)], self.arrays, keras)

    def apart(self, keras: int) -> tuple[KerasModel, KerasModel]:
        """The encoder, whose outputs are states, and the decoder, whose inputs are those."""
        layers = self.layers()
        names = [f"state_{number}" for number in self.states]
        encoder = [layer for layer in layers if layer[1][0] in ("source", "embed_in", "encoder")]
        inputs = [(_layer("InputLayer", name, shape=[None, UNITS]), (name, (), ())) for name in names]
        own = [layer for layer in layers if layer[1][0] in ("target", "embed_out", "dense", "beside")]
        decoder = (
            _layer(self.cell, "decoder", **self.cells),
            ("decoder", [("embed_out", 0)], [(name, 0) for name in names]),
        )
        outputs = [("encoder", number) for number in self.states]
        if self.attention is not None:
            names = ["memory", *names]
            inputs.append((_layer("InputLayer", "memory", shape=[None, None, UNITS]), ("memory", (), ())))
            read = ("attention", [("decoder", 0), ("memory", 0)], ())
            own.append((_layer(self.attention, "attention"), read))
            outputs = [("encoder", 0), *outputs]
        states = [("decoder", number) for number in self.states]
        return (
            _model(encoder, ["source"], outputs, self.arrays, keras),
            _model([*inputs, *own, decoder], ["target", *names], [("dense", 0), *states], self.arrays, keras),
        )


def _layer(kind: str, name: str, shape: list[int | None] | None = None, **config: Any) -> Settings:
    shapes = {} if shape is None else {"batch_shape": shape, "batch_input_shape": shape}
    return {"class_name": kind, "name": name, "config": {"name": name, **shapes, **config}}


def _model(
    layers: Sequence[tuple[Settings, Node]],
    inputs: Sequence[str],
    outputs: Sequence[tuple[str, int]],
    arrays: dict[str, list[Array]],
    keras: int,
) -> KerasModel:
    made = []
    for layer, (_, read, states) in layers:
        if keras == 2:
            nodes: list[Any] = [[[name, 0, output, {}] for name, output in (*read, *states)]] if read else []
        else:
            args = [tensor(*read[0])] if len(read) == 1 else [[tensor(*place) for place in read]]
            kwargs = {"initial_state": [tensor(*place) for place in states]} if states else {}
            nodes = [{"args": args, "kwargs": kwargs}] if read else []
        made.append({**layer, "inbound_nodes": nodes})
    config = {
        "layers": made,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, output] for name, output in outputs],
    }
    names = [layer["name"] for layer, _ in layers]
    weights = {name: [torch.from_numpy(array).float() for array in arrays[name]] for name in names if name in arrays}
    return KerasModel(f"{keras}.0", {"class_name": "Functional", "config": config}, weights)


def _converted(understood: Understood) -> Array:
    architecture, tensors = encoder_decoder(pair_of(understood))
    network = network_of(Converted(architecture, tensors))
    with torch.no_grad():
        logits = network(torch.from_numpy(IDS), torch.full((len(IDS),), IDS.shape[1]), torch.from_numpy(TOKENS))
    answer: Array = logits.softmax(-1).numpy()
    return answer


@pytest.mark.parametrize("keras", [2, 3])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("attention", [None, "Attention", "AdditiveAttention"])
@pytest.mark.parametrize("mask", [True, False])
def test_training_models(keras: int, cell: str, attention: str | None, mask: bool) -> None:
    translator = Translator(keras, cell=cell, attention=attention, mask=mask)
    answer = _converted(understand(translator.model(keras)))
    np.testing.assert_allclose(answer, translator.answer(), atol=1e-5)


@pytest.mark.parametrize("keras", [2, 3])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("attention", [None, "AdditiveAttention"])
def test_encoder_and_decoder_apart(keras: int, cell: str, is_first: bool, attention: str | None) -> None:
    translator = Translator(keras, cell=cell, attention=attention)
    models = translator.apart(keras)
    answer = _converted(understand_pair(*(models if is_first else models[::-1])))
    np.testing.assert_allclose(answer, translator.answer(), atol=1e-5)


def test_two_models_that_do_not_belong_together() -> None:
    one, other = Translator(1, cell="LSTM"), Translator(2, cell="GRU")
    with pytest.raises(ImportFailed, match="two Keras models"):
        understand_pair(one.model(3), other.model(3))
