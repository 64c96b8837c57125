"""The length of a tokenizer in a manifest: as it once was, and what no text could fit."""

from typing import Any, Literal

import pytest

from app.store.classifier import Classifier
from app.store.decoding import TokenLimits
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.text_input import FixedLength, TokenizerUse
from app.store.windowed_stages import Convolution
from tests.tiny_kinds import _draft


def test_left_pad_is_a_length() -> None:
    use = TokenizerUse.model_validate({"left_pad": {"to": 200, "id": 7}})
    assert use.length == FixedLength(to=200, pad=7, pad_side="left", cut_side="right")
    assert TokenizerUse.model_validate({"left_pad": None}).length is None


@pytest.mark.parametrize(
    ("length", "limit", "words"),
    [
        ({"to": 3}, None, "length.to is 3, but the network needs 5"),
        (None, 3, "source_tokens is 3, but the network needs 5"),
        ({"to": 10, "pad": 0}, 5, "pads every text to 10"),
    ],
)
def test_a_length_that_no_text_fits_is_refused(length: dict[str, Any] | None, limit: int | None, words: str) -> None:
    recurrence = Recurrence(cell="gru", input_size=4, hidden_size=4)
    front = (Convolution(width=4, kernel=5),)
    encoder = TextEncoder(vocabulary_size=20, embedding_size=4, front=front, recurrence=recurrence)
    network = Classifier(encoder=encoder, pooling=("last",), labels=2)
    use = TokenizerUse.model_validate({"length": length})
    with pytest.raises(ValueError, match=words):
        _draft("short", "classification", network, labels=("a", "b"), tokenizer=use, limits={"source_tokens": limit})


@pytest.mark.parametrize(("gates", "fits"), [("sigmoid", True), ("hard_sigmoid_5", False)])
def test_a_source_of_fixed_length_passes_slow_cells_in_bounded_time(
    gates: Literal["sigmoid", "hard_sigmoid_5"], fits: bool
) -> None:
    recurrence = Recurrence(
        cell="lstm", input_size=4, hidden_size=4, layers=10, directions=2, recurrent_activation=gates
    )
    encoder = TextEncoder(vocabulary_size=30, recurrence=recurrence)
    network = Classifier(encoder=encoder, pooling=("last",), labels=2)

    def draft(length: int) -> Manifest:
        use = TokenizerUse(length=FixedLength(to=length, pad=0))
        limits = TokenLimits(source_tokens=9000)
        return _draft("slow", "classification", network, labels=("a", "b"), tokenizer=use, limits=limits)

    assert draft(2500)
    if fits:
        assert draft(2501)
        return
    with pytest.raises(ValueError, match=r"2501 steps, through 20 layers of cells.*limit is 2500 steps"):
        draft(2501)
