"""A sentence during decoding, in deltas."""

import asyncio
from pathlib import Path

import pytest

from app.engine.protocol import Decode, Decoded, FinishReason, Hypothesis, Progress, Tokens
from app.errors import TimedOut
from app.tasks.answers.decoding_options import ContinuationOptions
from app.tasks.answers.transcript import Delta, SentenceOutput, Transcript, join_outputs, output_of
from app.tasks.catalog import Entry, open_catalog
from app.tasks.job import Following, Job, ReadSource
from app.tasks.registry import CHECKS


@pytest.fixture(scope="module")
def entry(tiny_store: Path) -> Entry:
    return open_catalog(tiny_store, CHECKS).entries["lm-en", 1]


def deltas_of(entry: Entry, text: str, reason: FinishReason) -> tuple[list[Delta], SentenceOutput]:
    """The deltas of a text that arrives token by token."""
    job = Job(entry, ReadSource(Tokens([5])), Decode(90), ContinuationOptions(logprobs=0))
    ids = entry.tokenizer.encode_target(text)
    transcript = Transcript(job)
    deltas = [delta for token in ids for delta in transcript.feed(Progress(1, [token], [-1.0]))]
    hypothesis = Hypothesis(ids, [-1.0] * len(ids), -1.0, reason)
    rest, output = asyncio.run(transcript.end(Decoded(1, [hypothesis])))
    return [*deltas, *([rest] if rest is not None else [])], output


@pytest.mark.parametrize("reason", ["length", "stop"])
@pytest.mark.parametrize("text", ["a film ", "a  film   and", "a film  ", "the plot makes"])
def test_a_token_comes_with_its_text(entry: Entry, text: str, reason: FinishReason) -> None:
    deltas, output = deltas_of(entry, text, reason)
    assert "".join(delta.text for delta in deltas) == output.result.text
    told = [token for delta in deltas if delta.tokens is not None for token in delta.tokens.ids]
    assert told == entry.tokenizer.encode_target(text)
    assert all(delta.tokens for delta in deltas if delta.text)


@pytest.mark.parametrize("in_time", [0, 1, 2])
def test_late_sentences_are_empty_unless_all_are_late(entry: Entry, in_time: int) -> None:
    one = Job(entry, ReadSource(Tokens([5])), Decode(90), ContinuationOptions())
    job = Job(entry, one.read, one.request, one.options, [Following(" ", one), Following("\n", one)])
    errors: list[SentenceOutput | TimedOut] = [TimedOut("too late"), TimedOut("too late"), TimedOut("too late")]

    async def joined() -> SentenceOutput:
        output = await output_of(one, Decoded(1, [Hypothesis([7], [-1.0], -1.0, "stop")]))
        text = output.result.text
        output = await join_outputs(job, [*errors[:in_time], output, *errors[in_time + 1 :]])
        texts = ["", "", ""]
        texts[in_time] = text
        assert output.result.text == f"{texts[0]} {texts[1]}\n{texts[2]}"
        return output

    assert asyncio.run(joined()).result.finish_reason == "deadline"
    with pytest.raises(TimedOut, match="too late"):
        asyncio.run(join_outputs(job, errors))
