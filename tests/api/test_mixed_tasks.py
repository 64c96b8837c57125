"""200 requests of all tasks at the same time: each answer is that of plain PyTorch for its source alone."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image
from torch import Tensor

from app.engine.protocol import Decode, Pixels, Source, Tokens
from app.models.encoders import FramesEncoder
from app.models.networks import Tagger
from app.models.pieces import at_once
from app.store.classifier import Classifier
from tests.api.clips import pictures, saved, text
from tests.api.forecasts import outputs
from tests.api.test_classify import frames_of, scaled
from tests.api.test_embed import states, summary
from tests.api.test_forecast import FORECASTERS, rows_for
from tests.conftest import serving_store
from tests.engine.references import Reference, open_shipped
from tests.models.series_references import head, linear, pooled, recurrent, series_features, under
from tests.tiny_store import IMAGE_SIZE, TEXTS
from training.recipe import Shipped

EXACT = 1e-6
REQUESTS, OF_A_KIND = 200, 3
HORIZONS = {"forecast-tiny": 3, "forecast-state": 15, "forecast-window": 9, "forecast-decoder": 12}
MAX_TOKENS = 12
Result = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A request, and the `right` answer by plain PyTorch: numbers, or tokens. `told` finds it in a result."""

    path: str
    body: dict[str, Any]
    right: list[float] | list[str]
    told: Callable[[Result], list[float] | list[str]]

    def check(self, result: Result) -> None:
        told = self.told(result)
        if isinstance(self.right[0], str):
            assert told == self.right
        else:
            assert told == pytest.approx(self.right, rel=EXACT, abs=EXACT)


@pytest.fixture(scope="module")
def exact_server(every_kind: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server over the tiny models of all tasks, which computes all of them in float32."""
    folder = tmp_path_factory.mktemp("exact")
    with serving_store(every_kind, folder, precision="float32", max_frames=24) as address:
        yield address


@torch.inference_mode()
def questions(store: Path, number: int) -> Iterator[Question]:
    """One of each kind."""
    rng = random.Random(number)
    sentence = " ".join(rng.choices(" ".join(TEXTS[:3]).split(), k=rng.randint(1, 25)))
    steps = rng.randint(6, 60)
    yield _label(store, "sentiment-en", "/v1/sentiment", sentence)
    yield _label(store, "sentiment-en-uni", "/v1/classify", sentence)
    yield _label(store, "classify-series", "/v1/classify", rows_for("classify-series", steps, number))
    yield _label(store, "classify-frames", "/v1/classify", pictures(6 + number)[number:])
    for name in ("tag-tiny", "tag-crf"):
        yield _tags(store, name, sentence)
    for name, hidden in (("sentiment-en", 10), ("lm-en", 14)):
        yield _state(name, sentence, summary(states(store, name, sentence), "mean", hidden))
    rows = rows_for("forecast-state", steps, number)
    yield _state("forecast-state", rows, summary(states(store, "forecast-state", scaled(rows)), "last", 8))
    for name in FORECASTERS:
        rows, horizon = rows_for(name, steps, number), HORIZONS[name]
        expected = [one for row in outputs(store, name, rows, horizon) for one in row]
        body = {"inputs": rows, "model": name, "horizon": horizon, "scaled": True}
        yield Question("/v1/forecast", body, expected, lambda result: [one for row in result["scaled"] for one in row])
    model = open_shipped(store, "lm-en/1")
    *source, first = model.tokenizer.encode_prefix(sentence)
    yield _decoded(model, "/v1/complete", sentence, Tokens(source), first)
    model = open_shipped(store, "translate-en-ko/1")
    yield _decoded(model, "/v1/translate", sentence, Tokens(model.tokenizer.encode(sentence)))
    image = Image.effect_mandelbrot((IMAGE_SIZE, IMAGE_SIZE), (-2 + number / 9, -1.5, 1, 1.5), 40).convert("RGB")
    model = open_shipped(store, "caption-en/1")
    yield _decoded(model, "/v1/caption", text(saved(image)), Pixels(IMAGE_SIZE, image.tobytes()))


def _label(store: Path, name: str, path: str, given: Any) -> Question:
    """The probabilities of the labels, from the weights by torch.nn."""
    model = open_shipped(store, f"{name}/1")
    config, weights = model.manifest.architecture, model.network.state_dict()
    assert isinstance(config, Classifier)
    encoder, inputs = config.encoder, given
    match encoder.kind:
        case "series":
            features = series_features(encoder, config.pooling, under("encoder.", weights), scaled(given))
        case "frames":
            inputs = {"frames": [text(saved(image)) for image in given]}
            assert isinstance(model.network.encoder, FramesEncoder)
            one = torch.ones(1)
            images = [model.network.encoder.image(frame[None], one).summary[0] for frame in frames_of(given)]
            read = [head(encoder.head, under("encoder.head.", weights), image) for image in images]
            features = _pooled(config, weights, torch.stack(read))
        case "text":
            ids = torch.tensor(model.tokenizer.encode(given))
            features = _pooled(config, weights, weights["encoder.embedding.weight"][ids])
    logits = linear(weights, "output", head(config.head, under("head.", weights), features))
    body = {"inputs": inputs, "model": name}
    return Question(path, body, logits.softmax(0).tolist(), lambda result: list(result["scores"].values()))


def _pooled(config: Classifier, weights: dict[str, Tensor], read: Tensor) -> Tensor:
    outputs, last = recurrent(config.encoder.recurrence, under("encoder.recurrence.", weights), read)
    return torch.cat(pooled(config.pooling, outputs, last))


def _tags(store: Path, name: str, sentence: str) -> Question:
    """The probabilities of the labels of each word, which its first token has."""
    model = open_shipped(store, f"{name}/1")
    weights, network = model.network.state_dict(), model.network
    assert isinstance(network, Tagger)
    ids, words = model.tokenizer.encode_words(sentence)
    read = weights["encoder.embedding.weight"][torch.tensor(ids)]
    memory, _ = recurrent(network.config.encoder.recurrence, under("encoder.recurrence.", weights), read)
    logits = memory @ weights["output.weight"].T + weights["output.bias"]
    crf, lengths = network.crf, torch.tensor([len(ids)])
    scores = logits.softmax(1) if crf is None else at_once(crf.marginals(logits[None], lengths))[0]
    expected = [one for word in words if word is not None for one in scores[word.first].tolist()]
    body = {"inputs": sentence, "model": name, "scores": True}
    return Question(
        "/v1/tag", body, expected, lambda result: [one for word in result["tags"] for one in word["scores"].values()]
    )


def _state(name: str, given: Any, expected: list[float]) -> Question:
    pooling = "mean" if isinstance(given, str) else "last"
    body = {"inputs": given, "model": name, "pooling": pooling}
    return Question("/v1/embed", body, expected, lambda result: list(result["embedding"]))


def _decoded(model: Shipped, path: str, given: str, source: Source, first: int | None = None) -> Question:
    """The tokens, with the end if there is one, of a loop over steps of one row."""
    sentence = Reference(model, source, Decode(MAX_TOKENS, first=first)).greedy()
    assert model.manifest.decoding is not None
    ids = [*sentence.tokens, model.manifest.decoding.eos][: len(sentence.log_probs)]
    body = {"inputs": given, "model": model.manifest.name, "max_tokens": MAX_TOKENS, "logprobs": 0}
    expected = [model.tokenizer.piece(token) for token in ids]
    return Question(path, body, expected, lambda result: [token["text"] for token in result["tokens"]])


async def ask(http: httpx.AsyncClient, question: Question) -> None:
    answer = await http.post(question.path, json=question.body)
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    question.check(result)


def test_200_requests_of_all_tasks_are_answered_as_each_alone(exact_server: str, every_kind: Path) -> None:
    asked = [question for number in range(OF_A_KIND) for question in questions(every_kind, number)]
    mixed = list(islice(cycle(asked), REQUESTS))
    random.Random(0).shuffle(mixed)

    async def scenario() -> None:
        limits = httpx.Limits(max_connections=REQUESTS)
        async with httpx.AsyncClient(base_url=exact_server, timeout=120, limits=limits) as http:
            for question in asked:
                await ask(http, question)
            await asyncio.gather(*(ask(http, question) for question in mixed))

    asyncio.run(scenario())
