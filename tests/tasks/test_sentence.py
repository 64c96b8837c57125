"""A hypothesis to a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.engine.protocol import Decode, FinishReason, Hypothesis, Table, Tokens
from app.json_pieces import json_pieces
from app.tasks.answers.decoding_options import ContinuationOptions, DecodingOptions
from app.tasks.answers.sentence import join_sentences, sentence_of
from app.tasks.catalog import open_catalog
from app.tasks.job import Job, ReadSource
from app.tasks.registry import CHECKS
from app.text.tokenizer import Piece


@pytest.mark.parametrize(
    ("model", "reason", "is_kept"),
    [
        ("lm-en", "length", True),
        ("lm-en", "deadline", True),
        ("lm-en", "stop", False),
        ("translate-en-ko", "length", False),
    ],
)
def test_the_last_space_of_a_completion_that_goes_on_is_kept(
    tiny_store: Path, model: str, reason: FinishReason, is_kept: bool
) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries[model, 1]
    options = ContinuationOptions() if model == "lm-en" else DecodingOptions()
    job = Job(entry, ReadSource(Tokens([5])), Decode(9), options)
    tokens = entry.tokenizer.encode_target("a film ")
    assert entry.tokenizer.piece(tokens[-1]) == " "
    found = sentence_of(job, Hypothesis(tokens, [-1.0] * len(tokens), -3.0, reason))
    assert found.text == ("a film " if is_kept else "a film")


@pytest.mark.parametrize("empty", [None, Table(2, b"")], ids=["never begun", "cut before its first token"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_attention_of_several_sentences_may_have_one_without_tokens(
    tiny_store: Path, place: int, empty: Table | None
) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]
    weights = Table(2, np.array([[0.25, 0.75]], np.float32).tobytes())
    sentences = []
    for number in range(3):
        pieces = [Piece("a", 4 * number, 4 * number + 1), Piece(" b", 4 * number + 1, 4 * number + 3)]
        job = Job(entry, ReadSource(Tokens([5, 6]), pieces), Decode(9), DecodingOptions(attention=True))
        is_empty = number == place
        found = Hypothesis(
            [] if is_empty else [7], [] if is_empty else [-1.0], -1.0, "length", None, empty if is_empty else weights
        )
        sentences.append(sentence_of(job, found))
    joined = join_sentences(job, sentences, [" ", " "])
    attention = json.loads(b"".join(json_pieces(joined.attention)))
    assert len(attention["source"]) == 6
    assert len(attention["target"]) == 2
    first, second = (number for number in range(3) if number != place)
    for row, number in zip(attention["weights"], (first, second), strict=True):
        assert row == [0, 0] * number + [0.25, 0.75] + [0, 0] * (2 - number)
