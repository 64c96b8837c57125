"""Answers with as many alternatives and weights as a request may have, without a long turn of the event loop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.api.compat.openai.logprobs import Logprobs
from app.engine.protocol import (
    Activations,
    Alternatives,
    Decode,
    Decoded,
    Explain,
    Explanation,
    Hypothesis,
    Label,
    Labelled,
    Table,
    Tokens,
    pack,
    unpack_for_front_end,
)
from app.engine.protocol import Events as EngineEvents
from app.json_pieces import blocks_of, json_pieces
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.explanations import explanation_members
from app.tasks.answers.label_kind import LabelAnswer, LabelOptions
from app.tasks.answers.label_results import LabelResult
from app.tasks.answers.token_kind import SentenceAnswer
from app.tasks.answers.transcript import output_of
from app.tasks.catalog import Entry, open_catalog
from app.tasks.job import Job, Output, ReadSource
from app.tasks.registry import CHECKS
from app.text.growing_text import GrowingText
from app.text.tokenizer import Piece
from tests.loop_turns import turns_of_loop
from tests.tiny_store import VOCABULARY

PLACES, WIDTH, SOURCE = 16_000, 20, 1000
LONGEST_TURN = 10_000  # calls
LONGEST_BLOCK = 150_000  # bytes: one that is full, and a piece


@pytest.fixture(scope="module")
def entry(tiny_store: Path) -> Entry:
    return open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]


def decoded(places: int, width: int, source: int) -> Decoded:
    """A hypothesis of random tokens, as it arrives from an engine."""
    rng = np.random.default_rng(1)
    tokens: list[int] = rng.integers(4, VOCABULARY, places).tolist()
    ids = Table(width, rng.integers(4, VOCABULARY, places * width, dtype=np.int32).tobytes())
    log_probs = Table(width, (-rng.random(places * width, dtype=np.float32)).tobytes())
    attention = Table(source, rng.random(places * source, dtype=np.float32).tobytes())
    hypothesis = Hypothesis(tokens, [-0.5] * places, -1.0, "length", Alternatives(ids, log_probs), attention)
    message = unpack_for_front_end(pack(EngineEvents([Decoded(1, [hypothesis])])))
    assert isinstance(message, EngineEvents)
    (event,) = message.events
    assert isinstance(event, Decoded)
    return event


def longest_turn(work: Callable[[], Awaitable[list[bytes]]]) -> tuple[Any, int]:
    """The JSON of some work, and the calls of its longest turn."""

    async def scenario() -> tuple[Any, int]:
        async with turns_of_loop() as turns:
            blocks = await work()
        assert max(map(len, blocks)) < LONGEST_BLOCK
        return json.loads(b"".join(blocks)), max(turns)

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "places", "width", "source"),
    [
        (DecodingOptions(logprobs=WIDTH, max_tokens=10_000), PLACES, WIDTH, 1),
        (DecodingOptions(attention=True, max_tokens=10_000), 1000, 1, SOURCE),
    ],
    ids=["logprobs", "attention"],
)
def test_a_result_is_encoded_in_short_turns(
    entry: Entry, options: DecodingOptions, places: int, width: int, source: int
) -> None:
    pieces = [Piece(" a", place, place + 1) for place in range(source)]
    job = Job(entry, ReadSource(Tokens([5] * source), pieces), Decode(10_000), options)
    arrived = decoded(places, width, source)

    async def work() -> list[bytes]:
        output = await output_of(job, arrived)
        return await SentenceAnswer.of([job], [output]).encoded()

    answer, turn = longest_turn(work)
    (result,) = answer["results"]
    if options.attention:
        assert [len(row) for row in result["attention"]["weights"]] == [source] * places
    else:
        assert [len(token["alternatives"]) for token in result["tokens"]] == [width] * places
    assert turn < LONGEST_TURN


def test_logprobs_for_openai_are_encoded_in_short_turns(entry: Entry) -> None:
    (hypothesis,) = decoded(PLACES, 5, 1).hypotheses
    options = DecodingOptions(logprobs=5, max_tokens=10_000)
    job = Job(entry, ReadSource(Tokens([5])), Decode(10_000), options)

    async def work() -> list[bytes]:
        output = await output_of(job, Decoded(1, [hypothesis]))
        assert output.sentence.tokens is not None
        return await blocks_of(json_pieces(Logprobs(output.sentence.tokens, GrowingText(entry.target_tokenizer), 7)))

    answer, turn = longest_turn(work)
    assert [len(answer[name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")] == [PLACES] * 4
    assert answer["text_offset"] == sorted(answer["text_offset"])
    assert turn < LONGEST_TURN


def explained(tiny_store: Path, texts: int, places: int, units: int) -> tuple[list[Job], list[Labelled]]:
    """Texts of random activations in one direction, as they arrive from an engine."""
    entry = open_catalog(tiny_store, CHECKS).entries["sentiment-en-uni", 1]
    rng = np.random.default_rng(1)

    def table(columns: int) -> Table:
        return Table(columns, rng.random(places * columns, dtype=np.float32).tobytes())

    pieces = [Piece(" a", place, place + 1) for place in range(places)]
    job = Job(entry, ReadSource(Tokens([5] * places), pieces), Label(Explain(0, units)), LabelOptions(explain=True))
    activations = [Activations([*range(units)], table(units), None, {})]
    explanation = Explanation(table(2), activations)
    return [job] * texts, [Labelled(number, [0.25, 0.75], explanation) for number in range(texts)]


@pytest.mark.parametrize(("texts", "places", "units"), [(97, 1024, 1), (256, 4, 384)], ids=["tokens", "units"])
def test_explanations_are_encoded_in_short_turns(tiny_store: Path, texts: int, places: int, units: int) -> None:
    jobs, labelled = explained(tiny_store, texts, places, units)
    outputs = []
    for job, answer in zip(jobs, labelled, strict=True):
        assert answer.explanation is not None
        members = explanation_members(job, answer.explanation, 0, units)
        result = LabelResult(label="positive", score=0.75, scores={}, model="m", version=1, explanation=members)
        outputs.append(Output(result))

    answer, turn = longest_turn(LabelAnswer.of(jobs, outputs).encoded)
    for result in answer["results"]:
        explanation = result["explanation"]
        assert explanation["tokens"][-1] == {"text": " a", "start": places - 1, "end": places}
        assert len(explanation["tokens"]) == len(explanation["probabilities"]) == places
        assert explanation["activations"]["directions"][0]["units"] == [*range(units)]
    assert turn < LONGEST_TURN
