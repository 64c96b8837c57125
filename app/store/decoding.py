"""How tokens are decoded, as a manifest describes it."""

from typing import Annotated, Literal

from pydantic import Field

from app.store.ids import MOST_TOKENS, Id, Ids, Tokens
from app.store.part import Part

Search = Literal["full", "shrinking", "gaps", "past_end"]
Until = Literal["beams", "best", "places"]


class Decoding(Part):
    """How tokens are decoded: special ids, and defaults of the decoding options (`min_tokens`, `max_tokens`, `beams`,
    `length_penalty`).

    `bos` is the first input, `eos` ends a hypothesis. `suppress` sets the probability of ids to zero before the
    softmax. `forbidden` excludes ids after the softmax, so the other probabilities do not change. `fixed_steps` ignores
    `eos`: every hypothesis has `max_tokens` tokens.

    `search` chooses the beam search after a hypothesis has ended:

    - `full` keeps its width.
    - `shrinking` continues with one beam fewer. It returns unfinished hypotheses only if none has ended (Xu et al.
      2015).
    - `gaps` ranks as many continuations as it has beams, ends included, so the beam is narrower until the next step
      fills it (OpenNMT-py).
    - `past_end` keeps ended hypotheses among the beams, continues after the end, and returns the tokens before the end
      (joeynmt).

    At `max_tokens`, `gaps` and `past_end` return unfinished hypotheses beside the ended ones.

    `until` chooses when a search stops:

    - `beams`: as many hypotheses as beams have ended.
    - `best`: `n_best` hypotheses have ended, and the most probable continuation of a step is an end.
    - `places`: each rank among the most probable continuations has held an end.
    """

    bos: Id
    eos: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    suppress: Ids = ()
    forbidden: Ids = ()
    min_tokens: Annotated[int, Field(ge=0, le=MOST_TOKENS)] = 0
    max_tokens: Tokens
    beams: Annotated[int, Field(ge=1, le=16)] = 1
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = 0.0
    penalty_tokens: Annotated[int, Field(ge=0, le=1)] = Field(
        0, description="Tokens that the length penalty counts beside those decoded: OpenNMT-py counts the first input."
    )
    search: Search = "full"
    until: Until = "beams"
    fixed_steps: bool = False
    replace_unknown: Id | None = Field(
        None,
        description="The id of the unknown word. In the text of an answer it is replaced by the word of the source "
        "with the highest attention (OpenNMT-py: -replace_unk).",
    )

    @property
    def end(self) -> int:
        """The id that ends a hypothesis; -1, which is no token's id, with `fixed_steps`."""
        return -1 if self.fixed_steps else self.eos


class TokenLimits(Part):
    """The version's limits: ids of a source, and the highest `max_tokens` of a request."""

    source_tokens: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    max_tokens: Tokens | None = None
