# Generated from docs/openapi.json by `make client`; change the request of the service.
"""Options of each task as keyword arguments. An option that is left out has the default of the service or the model."""

from typing import Annotated, Any, Literal, TypedDict


class SentimentOptions(TypedDict, total=False):
    """Options of `POST /v1/sentiment`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    explain: Annotated[
        bool, "Add `explanation`: the probability of each label after each token, row of a series or frame."
    ]
    layer: Annotated[int, "With `explain`: add hidden states, cells and gates of this layer, counted from 0."]
    units: Annotated[
        int, "With `layer`: return this number of units, those whose hidden state changes most. By default all units."
    ]


class CaptionOptions(TypedDict, total=False):
    """Options of `POST /v1/caption`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    explain: Annotated[
        bool,
        "Add `explanation`: hidden states, cells and gates of each network at each token that it reads and writes.",
    ]
    layer: Annotated[
        int, "With `explain`: the layer, counted from 0; of a network with fewer layers the last one, as when left out."
    ]
    units: Annotated[
        int, "With `explain`: return this number of units, those whose hidden state changes most. By default all units."
    ]
    max_tokens: Annotated[
        int, "Limit of tokens in an answer, or in each sentence that is read on its own; the model's own when left out."
    ]
    min_tokens: Annotated[int, "Tokens before the model may end an answer; the model's own when left out."]
    beams: Annotated[int, "Width of beam search. When left out the model's own, and 1 with `temperature` or `stream`."]
    n_best: Annotated[int, "Number of the best beams to return in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: divides the log-probability of a hypothesis by ((5 + tokens) / 6) to this power (Wu et al. 2016), so a larger value favours longer answers. The model's own when left out.",
    ]
    temperature: Annotated[
        float, "0 takes the most probable token. Above 0 tokens are drawn; a higher value flattens the distribution."
    ]
    top_k: Annotated[int, "Draw from this number of most probable tokens; 0 means all."]
    top_p: Annotated[float, "Draw from the smallest set of tokens that holds this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best token's probability."]
    seed: Annotated[int, "Makes a draw repeatable; random when left out. Input number i uses `seed` + i."]
    repetition_penalty: Annotated[
        float, "Above 1, decoded tokens become less probable (Keskar et al. 2019); 1 disables."
    ]
    no_repeat_ngram_size: Annotated[int, "Never repeat an n-gram of this size; 0 disables."]
    prefix: Annotated[str, "Text that the answer begins with."]
    stop: Annotated[
        str | list[str],
        "1 to 4 strings; the answer, or each sentence that is read on its own, ends before the first of them.",
    ]
    logprobs: Annotated[int, "Add `tokens` with their log-probabilities, and this number of alternatives for each."]
    attention: Annotated[bool, "Add the attention weights of each token."]


class TranslateOptions(TypedDict, total=False):
    """Options of `POST /v1/translate`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    split_sentences: Annotated[
        bool,
        "Read each sentence and line of a text on its own, and join the answers as the text was joined. The model's own when left out.",
    ]
    register: Annotated[
        Literal["polite", "formal", "plain", "casual"],
        "How polite the answer is, for models that take it. In Korean `polite` is 해요체, `formal` 합쇼체, `plain` 한다체, `casual` 반말. The model's own when left out.",
    ]
    source: Annotated[str, "Language of the inputs; `en` when left out."]
    target: Annotated[str, "Language to translate to; `ko` when left out."]
    explain: Annotated[
        bool,
        "Add `explanation`: hidden states, cells and gates of each network at each token that it reads and writes.",
    ]
    layer: Annotated[
        int, "With `explain`: the layer, counted from 0; of a network with fewer layers the last one, as when left out."
    ]
    units: Annotated[
        int, "With `explain`: return this number of units, those whose hidden state changes most. By default all units."
    ]
    max_tokens: Annotated[
        int, "Limit of tokens in an answer, or in each sentence that is read on its own; the model's own when left out."
    ]
    min_tokens: Annotated[int, "Tokens before the model may end an answer; the model's own when left out."]
    beams: Annotated[int, "Width of beam search. When left out the model's own, and 1 with `temperature` or `stream`."]
    n_best: Annotated[int, "Number of the best beams to return in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: divides the log-probability of a hypothesis by ((5 + tokens) / 6) to this power (Wu et al. 2016), so a larger value favours longer answers. The model's own when left out.",
    ]
    temperature: Annotated[
        float, "0 takes the most probable token. Above 0 tokens are drawn; a higher value flattens the distribution."
    ]
    top_k: Annotated[int, "Draw from this number of most probable tokens; 0 means all."]
    top_p: Annotated[float, "Draw from the smallest set of tokens that holds this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best token's probability."]
    seed: Annotated[int, "Makes a draw repeatable; random when left out. Input number i uses `seed` + i."]
    repetition_penalty: Annotated[
        float, "Above 1, decoded tokens become less probable (Keskar et al. 2019); 1 disables."
    ]
    no_repeat_ngram_size: Annotated[int, "Never repeat an n-gram of this size; 0 disables."]
    prefix: Annotated[str, "Text that the answer begins with."]
    stop: Annotated[
        str | list[str],
        "1 to 4 strings; the answer, or each sentence that is read on its own, ends before the first of them.",
    ]
    logprobs: Annotated[int, "Add `tokens` with their log-probabilities, and this number of alternatives for each."]
    attention: Annotated[bool, "Add the attention weights of each token."]


class CompleteOptions(TypedDict, total=False):
    """Options of `POST /v1/complete`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    explain: Annotated[
        bool,
        "Add `explanation`: hidden states, cells and gates of each network at each token that it reads and writes.",
    ]
    layer: Annotated[
        int, "With `explain`: the layer, counted from 0; of a network with fewer layers the last one, as when left out."
    ]
    units: Annotated[
        int, "With `explain`: return this number of units, those whose hidden state changes most. By default all units."
    ]
    max_tokens: Annotated[
        int, "Limit of tokens in an answer, or in each sentence that is read on its own; the model's own when left out."
    ]
    min_tokens: Annotated[int, "Tokens before the model may end an answer; the model's own when left out."]
    beams: Annotated[int, "Width of beam search. When left out the model's own, and 1 with `temperature` or `stream`."]
    n_best: Annotated[int, "Number of the best beams to return in `hypotheses`."]
    length_penalty: Annotated[
        float,
        "With `beams`: divides the log-probability of a hypothesis by ((5 + tokens) / 6) to this power (Wu et al. 2016), so a larger value favours longer answers. The model's own when left out.",
    ]
    temperature: Annotated[
        float, "0 takes the most probable token. Above 0 tokens are drawn; a higher value flattens the distribution."
    ]
    top_k: Annotated[int, "Draw from this number of most probable tokens; 0 means all."]
    top_p: Annotated[float, "Draw from the smallest set of tokens that holds this share of the probability."]
    min_p: Annotated[float, "Draw from tokens with at least this share of the best token's probability."]
    seed: Annotated[int, "Makes a draw repeatable; random when left out. Input number i uses `seed` + i."]
    repetition_penalty: Annotated[
        float, "Above 1, decoded tokens become less probable (Keskar et al. 2019); 1 disables."
    ]
    no_repeat_ngram_size: Annotated[int, "Never repeat an n-gram of this size; 0 disables."]
    prefix: Annotated[str, "Text that the answer begins with."]
    stop: Annotated[
        str | list[str],
        "1 to 4 strings; the answer, or each sentence that is read on its own, ends before the first of them.",
    ]
    logprobs: Annotated[int, "Add `tokens` with their log-probabilities, and this number of alternatives for each."]
    attention: Annotated[bool, "Add the attention weights of each token."]
    next_tokens: Annotated[int, "Add `next`: this number of the most probable next tokens after the input."]


class ClassifyOptions(TypedDict, total=False):
    """Options of `POST /v1/classify`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    explain: Annotated[
        bool, "Add `explanation`: the probability of each label after each token, row of a series or frame."
    ]
    layer: Annotated[int, "With `explain`: add hidden states, cells and gates of this layer, counted from 0."]
    units: Annotated[
        int, "With `layer`: return this number of units, those whose hidden state changes most. By default all units."
    ]


class TagOptions(TypedDict, total=False):
    """Options of `POST /v1/tag`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    scores: Annotated[bool, "Add `scores` to each word: the probability of each label."]


class ForecastOptions(TypedDict, total=False):
    """Options of `POST /v1/forecast`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    windows: Annotated[
        bool,
        "Cut the series into windows as long as the model's (6 steps if it reads any number), and answer each: a backtest over past data.",
    ]
    stride: Annotated[int, "With `windows`: steps between the first rows of two windows; the window when left out."]
    horizon: Annotated[
        int, "Steps ahead; the model's own when left out. Only a model that feeds back has no limit of its own."
    ]
    scaled: Annotated[bool, "Add `scaled`: the network's outputs, before they get their units."]
    states: Annotated[bool, "Add `states`: the hidden state of the top layer after each step."]


class EmbedOptions(TypedDict, total=False):
    """Options of `POST /v1/embed`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    return_state: Annotated[
        bool,
        "Add `state` to each result: a text that a later request sends to continue from here. Models that read in one direction have one.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]
    truncate: Annotated[
        bool,
        "Cut a text with too many characters or tokens, or each such sentence that is read on its own, instead of refusing it: its end is left out; of a text to continue, its beginning.",
    ]
    pooling: Annotated[
        Literal["last", "mean", "max"],
        "The state after the last step, or the mean or the largest value of each unit over all steps.",
    ]
    layer: Annotated[int, "The layer, counted from 0; the last one when left out."]
    normalize: Annotated[bool, "Divide the numbers by their Euclidean norm, so that it is 1."]


class StatesOptions(TypedDict, total=False):
    """Options of `POST /v1/states`."""

    model: Annotated[str, "Name of a model in `GET /v1/models`."]
    version: Annotated[
        int, "Version of the model. When left out its default version: the newest, unless another is set."
    ]
    priority: Annotated[int, "A higher priority runs sooner."]
    timeout_ms: Annotated[
        int,
        "Deadline of the answer in milliseconds, capped by the limit of the service; the header `X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    ]
    state: Annotated[
        str,
        "A state that an earlier answer returned: each input is what came since. Its model answers. Several inputs, or several requests, fork it.",
    ]
    session: Annotated[
        str,
        "A session that the service keeps: the input is what came since its last request. The first request has `session_start`. Each key has sessions of its own.",
    ]
    session_start: Annotated[bool, "Begin the session anew, from `state` if it is there."]
    session_end: Annotated[bool, "Forget the session after the answer."]


OPTIONS: dict[str, type[Any]] = {
    "/v1/sentiment": SentimentOptions,
    "/v1/caption": CaptionOptions,
    "/v1/translate": TranslateOptions,
    "/v1/complete": CompleteOptions,
    "/v1/classify": ClassifyOptions,
    "/v1/tag": TagOptions,
    "/v1/forecast": ForecastOptions,
    "/v1/embed": EmbedOptions,
    "/v1/states": StatesOptions,
}
