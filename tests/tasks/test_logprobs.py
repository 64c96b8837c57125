"""The log-probabilities of OpenAI's interface."""

from pathlib import Path

import numpy as np

from app.api.compat.openai.logprobs import Logprobs
from app.engine.protocol import Alternatives, Table
from app.tasks.answers.emitted_tokens import EmittedTokens
from app.tasks.catalog import open_catalog
from app.tasks.registry import CHECKS
from app.text.growing_text import GrowingText
from tests.tiny_store import VOCABULARY


def test_their_json_is_the_same_each_time(tiny_store: Path) -> None:
    tokenizer = open_catalog(tiny_store, CHECKS).entries["lm-en", 1].target_tokenizer
    rng = np.random.default_rng(1)
    ids: list[int] = rng.integers(4, VOCABULARY, 100).tolist()
    others = Table(5, rng.integers(4, VOCABULARY, 500, dtype=np.int32).tobytes())
    log_probs = Table(5, (-rng.random(500, dtype=np.float32)).tobytes())
    tokens = EmittedTokens(tokenizer, ids, [-0.5] * 100, Alternatives(others, log_probs), 5)
    logprobs = Logprobs(tokens, GrowingText(tokenizer), 7)
    assert b"".join(logprobs.json()) == b"".join(logprobs.json())
