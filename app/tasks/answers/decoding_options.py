"""Decoding options of a request, and the engine request that follows from them."""

import secrets
from typing import Annotated

from pydantic import BeforeValidator, Field

from app.engine.protocol import Decode
from app.errors import ContradictoryOptions, InputTooLong, UnknownWord
from app.store.architecture import WritesTokens
from app.store.decoding import Decoding
from app.tasks.catalog import Entry
from app.tasks.options import TaskOptions

MOST_SEED = 2**63 - 1
MOST_TOKENS = 10_000  # of an answer
StopString = Annotated[str, Field(min_length=1, max_length=100)]


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class DecodingOptions(TaskOptions):
    """How tokens are decoded: greedily, drawn with `temperature`, or searched with `beams`."""

    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = Field(
        None,
        description="Limit of tokens in an answer, or in each sentence that is read on its own; the model's own when "
        "left out.",
    )
    min_tokens: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = Field(
        None, description="Tokens before the model may end an answer; the model's own when left out."
    )
    beams: Annotated[int, Field(ge=1, le=16)] | None = Field(
        None,
        description="Width of beam search. When left out the model's own, and 1 with `temperature` or `stream`.",
    )
    n_best: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="Number of the best beams to return in `hypotheses`."
    )
    length_penalty: Annotated[float, Field(ge=-5, le=5, allow_inf_nan=False)] | None = Field(
        None,
        description="With `beams`: divides the log-probability of a hypothesis by ((5 + tokens) / 6) to this power (Wu "
        "et al. 2016), so a larger value favours longer answers. The model's own when left out.",
    )
    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = Field(
        0,
        description="0 takes the most probable token. Above 0 tokens are drawn; a higher value flattens the "
        "distribution.",
    )
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Draw from this number of most probable tokens; 0 means all."
    )
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        1, description="Draw from the smallest set of tokens that holds this share of the probability."
    )
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        0, description="Draw from tokens with at least this share of the best token's probability."
    )
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] | None = Field(
        None,
        description="Makes a draw repeatable; random when left out. Input number i uses `seed` + i.",
    )
    repetition_penalty: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = Field(
        1, description="Above 1, decoded tokens become less probable (Keskar et al. 2019); 1 disables."
    )
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="Never repeat an n-gram of this size; 0 disables."
    )
    prefix: Annotated[str, Field(max_length=4000)] | None = Field(None, description="Text that the answer begins with.")
    stop: (
        Annotated[
            list[StopString],
            BeforeValidator(_listed, json_schema_input_type=StopString | list[StopString]),
            Field(min_length=1, max_length=4),
        ]
        | None
    ) = Field(
        None,
        description="1 to 4 strings; the answer, or each sentence that is read on its own, ends before the first of "
        "them.",
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="Add `tokens` with their log-probabilities, and this number of alternatives for each."
    )
    attention: bool = Field(False, description="Add the attention weights of each token.")
    stream: bool = Field(False, description="Answer with server-sent events during decoding.")

    @property
    def samples(self) -> bool:
        return self.temperature > 0


class ContinuationOptions(DecodingOptions):
    """How a text is continued."""

    next_tokens: Annotated[int, Field(ge=0, le=20)] = Field(
        0, description="Add `next`: this number of the most probable next tokens after the input."
    )


def decoding_of(entry: Entry) -> Decoding:
    assert entry.manifest.decoding is not None  # of every model that decodes, see `Manifest`
    return entry.manifest.decoding


def decode_request(entry: Entry, options: DecodingOptions) -> Decode:
    """The engine request. Raises ContradictoryOptions, InputTooLong for more tokens than the model's limit, and
    UnknownWord for the prefix."""
    decoding, most = decoding_of(entry), entry.manifest.limits.max_tokens
    max_tokens = options.max_tokens or decoding.max_tokens
    if options.max_tokens is not None and most is not None and options.max_tokens > most:
        raise InputTooLong(
            f"max_tokens is {options.max_tokens}; the limit of {entry.manifest.name} is {most}", limit=most
        )
    beams = options.beams or (1 if options.samples or options.stream else decoding.beams)
    prefix = _prefix_ids(entry, options.prefix.strip()) if options.prefix else []
    next_tokens = options.next_tokens if isinstance(options, ContinuationOptions) else 0
    _check_sampling(options, beams)
    _check_search(options, beams)
    _check_lengths(options, max_tokens, len(prefix))
    _check_attention(entry, options)
    return Decode(
        max_tokens=max_tokens,
        min_tokens=min(decoding.min_tokens, max_tokens) if options.min_tokens is None else options.min_tokens,
        beams=beams,
        n_best=options.n_best,
        penalty_tokens=decoding.penalty_tokens,
        length_penalty=decoding.length_penalty if options.length_penalty is None else options.length_penalty,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        seed=_seed(options),
        repetition_penalty=options.repetition_penalty,
        no_repeat_ngram=options.no_repeat_ngram_size,
        forbidden=list(decoding.forbidden),
        prefix=prefix,
        alternatives=max(options.logprobs or 0, next_tokens),
        attention=options.attention or decoding.replace_unknown is not None,
    )


def _prefix_ids(entry: Entry, prefix: str) -> list[int]:
    try:
        return entry.target_tokenizer.encode_target(prefix)
    except UnknownWord as error:
        raise UnknownWord(f"prefix: {error.detail} of {entry.manifest.name}", **error.facts) from None


def _seed(options: DecodingOptions) -> int:
    if not options.samples:
        return 0
    return secrets.randbits(63) if options.seed is None else options.seed


def _check_sampling(options: DecodingOptions, beams: int) -> None:
    if options.samples:
        if beams > 1:
            raise _contradiction(
                "beams and temperature exclude each other: set beams to 1 to draw, or temperature to 0 to search",
                "temperature",
                "beams",
            )
        return
    restricting = {"top_k": options.top_k > 0, "top_p": options.top_p < 1, "min_p": options.min_p > 0}
    unused = [name for name, used in (restricting | {"seed": options.seed is not None}).items() if used]
    if unused:
        names = ", ".join(unused)
        raise _contradiction(
            f"nothing is drawn at temperature 0: leave out {names}, or set temperature above 0", *unused
        )


def _check_search(options: DecodingOptions, beams: int) -> None:
    if options.n_best > beams:
        raise _contradiction(
            f"n_best is {options.n_best}, but beams is {beams}: set beams to at least {options.n_best}",
            "n_best",
            "beams",
        )
    if options.length_penalty and beams == 1:
        raise _contradiction(
            "length_penalty applies only to beam search: set beams above 1, or leave it out", "length_penalty", "beams"
        )
    if options.stream and beams > 1:
        raise _contradiction(
            "beam search cannot stream, as its best text changes until the end: set beams to 1, or stream to false",
            "stream",
            "beams",
        )


def _check_lengths(options: DecodingOptions, max_tokens: int, prefix: int) -> None:
    if options.min_tokens is not None and options.min_tokens > max_tokens:
        raise _contradiction(
            f"min_tokens is {options.min_tokens}, but max_tokens is {max_tokens}: set max_tokens to at least "
            f"{options.min_tokens}",
            "min_tokens",
            "max_tokens",
        )
    if prefix >= max_tokens:
        raise _contradiction(
            f"prefix has {prefix} tokens, but max_tokens is {max_tokens}: shorten it, or set max_tokens above {prefix}",
            "prefix",
            "max_tokens",
        )
    for stop in options.stop or ():
        if options.prefix and stop in options.prefix:
            raise _contradiction("prefix contains a stop string: leave one of them out", "prefix", "stop")


def _check_attention(entry: Entry, options: DecodingOptions) -> None:
    architecture = entry.manifest.architecture
    assert isinstance(architecture, WritesTokens)
    if options.attention and not architecture.decoder.attention.chooses:
        raise _contradiction(
            f"{entry.manifest.name} has no attention: leave out attention, or name another model", "attention"
        )
    if options.attention and architecture.encoder.kind == "text" and not architecture.encoder.keeps_steps:
        raise _contradiction(
            f"{entry.manifest.name} attends to steps that it makes of several tokens: leave out attention", "attention"
        )


def _contradiction(detail: str, *options: str) -> ContradictoryOptions:
    return ContradictoryOptions(detail, options=list(options))
