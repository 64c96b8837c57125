"""Steps that a recurrence does not read: they keep its state, wherever they stand. Against a loop over steps."""

from typing import Any

import pytest
import torch
from torch import Tensor

from app.models.encoders import Encoded, SeriesEncoder, TextEncoder
from app.models.recurrent import Recurrent
from app.models.steps import joined_directions
from app.store.encoders import SeriesEncoder as SeriesConfig
from app.store.encoders import TextEncoder as TextConfig
from app.store.recurrence import Join, MaskedOutputs, Recurrence
from tests.models.keras_references import layer

VOCABULARY, SIZE, HIDDEN = 12, 3, 4
LENGTHS = torch.tensor([9, 5, 7, 3, 4])
TOKENS = torch.tensor(
    [
        [0, 0, 3, 4, 0, 5, 6, 0, 0],
        [1, 2, 3, 4, 5, 9, 9, 9, 9],
        [0, 0, 0, 7, 8, 9, 1, 9, 0],
        [0, 0, 0, 5, 5, 5, 5, 5, 5],  # nothing is read
        [6, 0, 0, 7, 3, 0, 3, 0, 3],
    ]
)


def text_encoder(**changes: Any) -> TextEncoder:
    recurrence = {"cell": "lstm", "input_size": SIZE, "hidden_size": HIDDEN, **changes.pop("recurrence", {})}
    config = TextConfig.model_validate(
        {"vocabulary_size": VOCABULARY, "mask_id": 0, "recurrence": recurrence, **changes}
    )
    return TextEncoder(config).eval()


def unrolled(
    spec: Recurrence, module: Recurrent, rows: Tensor, read: list[bool], how: MaskedOutputs, join: Join
) -> tuple[Tensor, Tensor]:
    """rows (steps, input) of one source: outputs (steps, ...) and summary (...), layer by layer and step by step."""
    outputs, ends = rows, list[Tensor]()
    for weights_of_layer in module.weights_by_layer():
        parts, ends = [], []
        for direction, weights in enumerate(weights_of_layer):
            backward = bool(direction)
            mask = read[::-1] if backward or spec.reverse else read
            source = outputs.flip(0) if backward or (spec.reverse and outputs is rows) else outputs
            found, hidden, _ = layer(spec, source, mask, weights, zero=how == "zero")
            parts.append(found.flip(0) if backward else found)
            ends.append(hidden)
        outputs = torch.cat(parts, 1)
    both = [joined_directions(values, spec.directions, join) for values in (outputs, torch.cat(ends))]
    return both[0], both[1]


@pytest.mark.parametrize("how", ["repeat", "zero"])
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"cell": "gru", "reset_after": False},
        {"cell": "rnn_relu", "layers": 2},
        {"reverse": True},
        {"cell": "gru", "reverse": True, "layers": 2},
    ],
    ids=str,
)
@torch.no_grad()
def test_masked_steps_keep_the_state(spec: dict[str, Any], how: MaskedOutputs) -> None:
    encoder = text_encoder(recurrence=spec, masked_outputs=how)
    encoded = encoder(TOKENS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        tokens = TOKENS[row, :length]
        read = (tokens != 0).tolist()
        outputs, summary = unrolled(
            encoder.config.recurrence, encoder.recurrence, encoder.embedding(tokens), read, how, "concatenate"
        )
        torch.testing.assert_close(encoded.memory[row, :length], outputs)
        torch.testing.assert_close(encoded.summary[row], summary)
        assert encoded.read is not None
        assert encoded.read[row, :length].tolist() == read, "a mask is handed on as it is"


@pytest.mark.parametrize("join", ["concatenate", "sum", "mean", "product"])
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_two_directions_are_zeros_at_masked_steps(layers: int, join: Join) -> None:
    """As in Keras, where each direction of each layer keeps its own state."""
    recurrence = {"cell": "gru", "directions": 2, "layers": layers}
    encoder = text_encoder(recurrence=recurrence, masked_outputs="zero", join=join)
    encoded = encoder(TOKENS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        tokens = TOKENS[row, :length]
        outputs, summary = unrolled(
            encoder.config.recurrence,
            encoder.recurrence,
            encoder.embedding(tokens),
            (tokens != 0).tolist(),
            "zero",
            join,
        )
        torch.testing.assert_close(encoded.memory[row, :length], outputs)
        torch.testing.assert_close(encoded.summary[row], summary)


@torch.no_grad()
def test_a_mask_reaches_every_recurrence_up_to_a_convolution() -> None:
    stage = {"kind": "recurrence", "recurrence": {"cell": "lstm", "input_size": SIZE, "hidden_size": 5}}
    linear = {"kind": "linear", "size": 6, "activation": "tanh"}
    encoder = text_encoder(
        embedding_size=SIZE, front=[stage, linear], recurrence={"cell": "gru", "input_size": 6}, mask_id=0
    )
    encoded = encoder(TOKENS, LENGTHS)
    first, weights = encoder.front[0].recurrence, encoder.front[1].state_dict()
    assert isinstance(first, Recurrent)
    for row, length in enumerate(LENGTHS.tolist()):
        tokens = TOKENS[row, :length]
        read = (tokens != 0).tolist()
        rows, _ = unrolled(
            encoder.config.recurrence.model_copy(update={"cell": "lstm"}),
            first,
            encoder.embedding(tokens),
            read,
            "repeat",
            "concatenate",
        )
        rows = torch.tanh(rows @ weights["weight"].T + weights["bias"])
        outputs, summary = unrolled(encoder.config.recurrence, encoder.recurrence, rows, read, "repeat", "concatenate")
        torch.testing.assert_close(encoded.memory[row, :length], outputs)
        torch.testing.assert_close(encoded.summary[row], summary)
    convolution = {"kind": "convolution", "width": 6, "kernel": 3, "padding": "same"}
    ended = text_encoder(embedding_size=SIZE, front=[convolution], recurrence={"cell": "gru", "input_size": 6})
    assert ended(TOKENS, LENGTHS).read is None


@torch.no_grad()
def test_a_row_of_numbers_is_masked_where_all_have_the_value() -> None:
    recurrence = Recurrence(cell="lstm", input_size=2, hidden_size=HIDDEN)
    encoder = SeriesEncoder(SeriesConfig(features=2, mask_value=-1.0, recurrence=recurrence)).eval()
    rows = torch.randn(2, 6, 2)
    rows[0, 1] = rows[0, 4] = rows[1, 0] = -1.0
    rows[1, 3, 0] = -1.0  # one number alone
    encoded: Encoded = encoder(rows, torch.tensor([6, 4]))
    for row, length, read in ((0, 6, [True, False, True, True, False, True]), (1, 4, [False, True, True, True])):
        outputs, summary = unrolled(recurrence, encoder.recurrence, rows[row, :length], read, "repeat", "concatenate")
        torch.testing.assert_close(encoded.memory[row, :length], outputs)
        torch.testing.assert_close(encoded.summary[row], summary)


def test_a_masked_encoder_reads_whole_sources() -> None:
    assert not text_encoder().config.is_divisible
    assert text_encoder(mask_id=None).config.is_divisible
    with pytest.raises(ValueError, match="mask_id is 12; the ids are 0 to 11"):
        text_encoder(mask_id=VOCABULARY)
