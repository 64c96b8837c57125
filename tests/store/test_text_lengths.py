"""The length of a tokenizer in a manifest: as it once was, and what no text could fit."""

from typing import Any

import pytest

from app.store.architecture import Classifier, TextEncoder
from app.store.manifest import FixedLength, TokenizerUse
from app.store.recurrence import Recurrence
from app.store.stages import Convolution
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
