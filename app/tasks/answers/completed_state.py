"""The state after a completion: that of its row, or of the network that reads its tokens once more."""

import dataclasses

import msgspec

from app.engine.client import EngineClient
from app.engine.protocol import Carried, Carry, Decode, Decoded, Embed, Embedded, Hypothesis, Terms, Tokens
from app.tasks.answers.decoding_options import MOST_TOKENS
from app.tasks.answers.sentence import shown_ids
from app.tasks.answers.transcript import SentenceOutput
from app.tasks.job import Job


async def with_state(
    client: EngineClient, job: Job, terms: Terms, output: SentenceOutput, decoded: Decoded | None
) -> SentenceOutput:
    """The output with the state after its best sentence, if the request wants it. Without `decoded` the sentence ended
    before its tokens did."""
    following = job.read.next
    if following is None:
        return output
    assert isinstance(job.request, Decode)
    best = decoded.hypotheses[0] if decoded is not None else None
    tokens = output.sentence.ids
    is_whole = best is not None and output.result.finish_reason == best.finish_reason and tokens == best.tokens
    if is_whole and best is not None and decoded is not None and decoded.carried is not None:
        carried: Carried | None = decoded.carried
        ended = _ended_itself(best)
    else:
        carried, ended = await _read_again(client, job, terms, tokens), False
    pending = None if ended else tokens[-1] if tokens else job.read.first
    saved = following.saved
    ids = [*job.read.unshown, *tokens]
    shown = len(ids) if output.result.finish_reason == "stop" else shown_ids(job, ids)
    after = [*job.read.after, *ids[:shown]]
    saved = msgspec.structs.replace(
        saved,
        carried=carried,
        chars=saved.chars + len(output.result.text),
        pending=pending,
        after=job.entry.target_tokenizer.end_of(after) if shown else after,
        unshown=ids[shown:],
        seed=job.request.seed if job.request.temperature else None,
        drawn=job.request.drawn + len(tokens) if job.request.temperature else 0,
        decoded=[*job.request.past, *tokens][-MOST_TOKENS:] if counts_tokens(job.request) else None,
    )
    state = dataclasses.replace(following, saved=saved).sealed(None)
    return dataclasses.replace(output, result=output.result.model_copy(update={"state": state}))


def counts_tokens(decode: Decode) -> bool:
    """Whether a rule counts the tokens decoded so far."""
    return decode.no_repeat_ngram > 0 or decode.repetition_penalty != 1.0


def _ended_itself(hypothesis: Hypothesis) -> bool:
    """Whether the network has read the last token, and chose the end after it."""
    return hypothesis.finish_reason == "stop"


async def _read_again(client: EngineClient, job: Job, terms: Terms, tokens: list[int]) -> Carried | None:
    """The state before the last of some decoded tokens: the network reads those before it."""
    source, first = job.read.source, job.read.first
    assert isinstance(source, Tokens)
    assert first is not None
    start = job.read.carry.start if job.read.carry is not None else None
    ids = [*(() if source.unread else source.ids), *([first, *tokens][:-1])]
    if not ids:
        return start
    terms = msgspec.structs.replace(terms, deadline=None)  # it may have passed: the time to answer limits the request
    embedded = await client.answer(job.key, Tokens(ids), Embed(), terms, cost=len(ids), carry=Carry(start, len(ids)))
    assert isinstance(embedded, Embedded)
    return embedded.carried
