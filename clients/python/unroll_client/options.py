# Generated from docs/openapi.json by `make client`; change the request of the service.
"""Options of each task as keyword arguments. An option that is left out has the default of the service or the model."""

from typing import Annotated, Any, TypedDict


class SentimentOptions(TypedDict, total=False):
    """Options of `POST /v1/sentiment`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version, the newest unless another was chosen."
    ]
    priority: Annotated[int, "What has more is run sooner."]
    timeout_ms: Annotated[
        int,
        "Milliseconds in which an answer is of use, never more than the service's own limit; the header `X-Timeout-Ms` says the same. Sentences are then answered as far as they came.",
    ]
    explain: Annotated[bool, "Tell in `explanation` the probability of each label after each token."]
    layer: Annotated[
        int, "With `explain`: tell the hidden states, cells and gates of this layer as well, counted from 0."
    ]


class CaptionOptions(TypedDict, total=False):
    """Options of `POST /v1/caption`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version, the newest unless another was chosen."
    ]
    priority: Annotated[int, "What has more is run sooner."]
    timeout_ms: Annotated[
        int,
        "Milliseconds in which an answer is of use, never more than the service's own limit; the header `X-Timeout-Ms` says the same. Sentences are then answered as far as they came.",
    ]
    max_tokens: Annotated[int, "Most tokens of a sentence; the model's own when left out."]
    min_tokens: Annotated[int, "Fewest tokens before the model may end a sentence; the model's own when left out."]
    beams: Annotated[
        int,
        "Sentences that are searched side by side; the model's own when left out, and 1 for what is drawn or streamed.",
    ]
    n_best: Annotated[int, "How many of the `beams` sentences are answered, in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: a sentence's log-probability is divided by ((5 + tokens) / 6) to this power (Wu et al. 2016), so that more is longer. The model's own when left out.",
    ]
    temperature: Annotated[float, "0 takes the most probable token; above it tokens are drawn, the flatter the higher."]
    top_k: Annotated[int, "Draw from this many most probable tokens; 0 is all."]
    top_p: Annotated[float, "Draw from the fewest tokens that hold this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best one's probability."]
    seed: Annotated[
        int,
        "Draws the same sentence again; chosen at random when left out. Input number i of several is drawn with `seed` + i.",
    ]
    repetition_penalty: Annotated[
        float, "Above 1, tokens that were emitted become less probable (Keskar et al. 2019); 1 is none."
    ]
    no_repeat_ngram_size: Annotated[int, "No so many tokens in a row are emitted twice; 0 is no such rule."]
    prefix: Annotated[str, "What the sentence begins with, as the model's tokenizer reads it."]
    stop: Annotated[str | list[str], "1 to 4 strings; the sentence ends before the first of them."]
    logprobs: Annotated[int, "Tell `tokens` with their log-probabilities, and so many alternatives at each place."]
    attention: Annotated[bool, "Tell what was looked at for each token."]


class TranslateOptions(TypedDict, total=False):
    """Options of `POST /v1/translate`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version, the newest unless another was chosen."
    ]
    priority: Annotated[int, "What has more is run sooner."]
    timeout_ms: Annotated[
        int,
        "Milliseconds in which an answer is of use, never more than the service's own limit; the header `X-Timeout-Ms` says the same. Sentences are then answered as far as they came.",
    ]
    max_tokens: Annotated[int, "Most tokens of a sentence; the model's own when left out."]
    min_tokens: Annotated[int, "Fewest tokens before the model may end a sentence; the model's own when left out."]
    beams: Annotated[
        int,
        "Sentences that are searched side by side; the model's own when left out, and 1 for what is drawn or streamed.",
    ]
    n_best: Annotated[int, "How many of the `beams` sentences are answered, in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: a sentence's log-probability is divided by ((5 + tokens) / 6) to this power (Wu et al. 2016), so that more is longer. The model's own when left out.",
    ]
    temperature: Annotated[float, "0 takes the most probable token; above it tokens are drawn, the flatter the higher."]
    top_k: Annotated[int, "Draw from this many most probable tokens; 0 is all."]
    top_p: Annotated[float, "Draw from the fewest tokens that hold this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best one's probability."]
    seed: Annotated[
        int,
        "Draws the same sentence again; chosen at random when left out. Input number i of several is drawn with `seed` + i.",
    ]
    repetition_penalty: Annotated[
        float, "Above 1, tokens that were emitted become less probable (Keskar et al. 2019); 1 is none."
    ]
    no_repeat_ngram_size: Annotated[int, "No so many tokens in a row are emitted twice; 0 is no such rule."]
    prefix: Annotated[str, "What the sentence begins with, as the model's tokenizer reads it."]
    stop: Annotated[str | list[str], "1 to 4 strings; the sentence ends before the first of them."]
    logprobs: Annotated[int, "Tell `tokens` with their log-probabilities, and so many alternatives at each place."]
    attention: Annotated[bool, "Tell what was looked at for each token."]
    source: Annotated[str, "Language of the inputs; `en` when left out."]
    target: Annotated[str, "Language to translate to; `ko` when left out."]


class CompleteOptions(TypedDict, total=False):
    """Options of `POST /v1/complete`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version, the newest unless another was chosen."
    ]
    priority: Annotated[int, "What has more is run sooner."]
    timeout_ms: Annotated[
        int,
        "Milliseconds in which an answer is of use, never more than the service's own limit; the header `X-Timeout-Ms` says the same. Sentences are then answered as far as they came.",
    ]
    max_tokens: Annotated[int, "Most tokens of a sentence; the model's own when left out."]
    min_tokens: Annotated[int, "Fewest tokens before the model may end a sentence; the model's own when left out."]
    beams: Annotated[
        int,
        "Sentences that are searched side by side; the model's own when left out, and 1 for what is drawn or streamed.",
    ]
    n_best: Annotated[int, "How many of the `beams` sentences are answered, in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: a sentence's log-probability is divided by ((5 + tokens) / 6) to this power (Wu et al. 2016), so that more is longer. The model's own when left out.",
    ]
    temperature: Annotated[float, "0 takes the most probable token; above it tokens are drawn, the flatter the higher."]
    top_k: Annotated[int, "Draw from this many most probable tokens; 0 is all."]
    top_p: Annotated[float, "Draw from the fewest tokens that hold this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best one's probability."]
    seed: Annotated[
        int,
        "Draws the same sentence again; chosen at random when left out. Input number i of several is drawn with `seed` + i.",
    ]
    repetition_penalty: Annotated[
        float, "Above 1, tokens that were emitted become less probable (Keskar et al. 2019); 1 is none."
    ]
    no_repeat_ngram_size: Annotated[int, "No so many tokens in a row are emitted twice; 0 is no such rule."]
    prefix: Annotated[str, "What the sentence begins with, as the model's tokenizer reads it."]
    stop: Annotated[str | list[str], "1 to 4 strings; the sentence ends before the first of them."]
    logprobs: Annotated[int, "Tell `tokens` with their log-probabilities, and so many alternatives at each place."]
    attention: Annotated[bool, "Tell what was looked at for each token."]
    next_tokens: Annotated[int, "Tell in `next` so many of the tokens that most probably come next after the input."]


OPTIONS: dict[str, type[Any]] = {
    "/v1/sentiment": SentimentOptions,
    "/v1/caption": CaptionOptions,
    "/v1/translate": TranslateOptions,
    "/v1/complete": CompleteOptions,
}
