"""A hypothesis to a sentence."""

from pathlib import Path

import pytest

from app.engine.protocol import Decode, FinishReason, Hypothesis, Tokens
from app.tasks.answers.decoding_options import ContinuationOptions, DecodingOptions
from app.tasks.answers.sentence import sentence_of
from app.tasks.catalog import open_catalog
from app.tasks.job import Job, ReadSource
from app.tasks.registry import CHECKS


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
