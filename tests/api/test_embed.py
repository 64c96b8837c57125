"""`POST /v1/embed` and OpenAI's embeddings: the states of `torch.nn`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch
from openai import OpenAI
from safetensors.torch import load_file
from torch import Tensor, nn

from app.store.model_store import open_version
from app.tasks.catalog import entry_of
from app.tasks.registry import CHECKS
from tests.api.clips import pictures, saved, text
from tests.api.test_classify import refused, results_of, scaled

TEXT = "a warm and funny film that i would gladly see again"
SERIES = [[20.0, 3.0], [21.5, 2.0], [19.0, 7.0], [25.0, 1.0]]


def embed(kinds: httpx.Client, inputs: Any, **options: Any) -> list[dict[str, Any]]:
    return results_of(kinds.post("/v1/embed", json={"inputs": inputs, **options}))


def ids_of(store: Path, model: str, source: str) -> list[int]:
    """The ids that a model reads; a language model reads all that it would continue."""
    entry = entry_of(open_version(store / model / "1"), CHECKS)
    return entry.tokenizer.encode_prefix(source) if entry.manifest.continues else entry.tokenizer.encode(source)


@torch.inference_mode()
def states(store: Path, model: str, source: str | Tensor, layer: int | None = None) -> Tensor:
    """The states (steps, units) of a layer by torch.nn, from the weights of the version."""
    weights = load_file(store / model / "1" / "model.safetensors")
    manifest = open_version(store / model / "1").manifest
    encoder = manifest.architecture.encoder
    assert encoder.kind != "image"
    config = encoder.recurrence
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU}
    layers = config.layers if layer is None else layer + 1
    network = kinds[config.cell](
        config.input_size, config.hidden_size, layers, bidirectional=config.directions == 2, batch_first=True
    )
    prefixes = [name.removesuffix("weight_ih_l0") for name in weights if name.endswith("weight_ih_l0")]
    prefix = next((prefix for prefix in prefixes if prefix.startswith("encoder.")), prefixes[0])
    network.load_state_dict({name: weights[prefix + name] for name in network.state_dict()})
    if isinstance(source, str):
        tables = {name: weights[name].float() for name in weights if name.endswith("embedding.weight")}
        table = tables.get("encoder.embedding.weight", next(iter(tables.values())))
        source = table[torch.tensor(ids_of(store, model, source))]
    outputs: Tensor = network(source[None])[0]
    return outputs[0].float()


def summary(rows: Tensor, pooling: str, hidden: int) -> list[float]:
    """Of the backward direction the last state is that at the first step."""
    if pooling == "last":
        found: list[float] = torch.cat([rows[-1, :hidden], rows[0, hidden:]]).tolist()
        return found
    pooled = rows.mean(0) if pooling == "mean" else rows.amax(0)
    return list(pooled.tolist())


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize(
    ("model", "hidden"),
    [("sentiment-en", 10), ("sentiment-en-uni", 10), ("translate-en-ko", 9), ("lm-en", 14), ("tag-tiny", 10)],
)
def test_states_are_those_of_torch(
    kinds: httpx.Client, every_kind: Path, model: str, hidden: int, pooling: str
) -> None:
    (result,) = embed(kinds, TEXT, model=model, pooling=pooling)
    expected = summary(states(every_kind, model, TEXT), pooling, hidden)
    assert result["embedding"] == pytest.approx(expected, abs=2e-2)  # texts are read with 16 bits
    assert (result["model"], result["version"]) == (model, 1)


def test_a_layer_below_the_top(kinds: httpx.Client, every_kind: Path) -> None:
    (lower,) = embed(kinds, TEXT, model="lm-en", layer=0)
    assert lower["embedding"] == pytest.approx(states(every_kind, "lm-en", TEXT, 0)[-1].tolist(), abs=2e-2)
    (top,), (second,) = embed(kinds, TEXT, model="lm-en"), embed(kinds, TEXT, model="lm-en", layer=1)
    assert top == second != lower


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_states_of_a_series_are_exact(kinds: httpx.Client, every_kind: Path, pooling: str) -> None:
    (result,) = embed(kinds, SERIES, model="forecast-state", pooling=pooling, layer=0)
    expected = summary(states(every_kind, "forecast-state", scaled(SERIES), 0), pooling, 8)
    assert result["embedding"] == pytest.approx(expected, abs=1e-6)


def test_a_clip_has_a_state(kinds: httpx.Client) -> None:
    clip = {"frames": [text(saved(image)) for image in pictures(6)]}
    (result,) = embed(kinds, clip, model="classify-frames")
    assert len(result["embedding"]) == 8
    (default,) = embed(kinds, clip)
    assert (default["model"], len(default["embedding"])) == ("classify-digits-motion", 12)


def test_normalized_states_have_the_length_one(kinds: httpx.Client) -> None:
    (plain,), (unit,) = (embed(kinds, TEXT, model="lm-en", normalize=wanted) for wanted in (False, True))
    assert np.linalg.norm(unit["embedding"]) == pytest.approx(1)
    assert np.array(unit["embedding"]) * np.linalg.norm(plain["embedding"]) == pytest.approx(
        plain["embedding"], abs=1e-6
    )


def test_without_a_model_the_input_chooses_one(kinds: httpx.Client) -> None:
    english, korean = embed(kinds, [TEXT, "정말 재미있게 봤어요"])
    assert (english["model"], korean["model"]) == ("lm-en", "lm-ko")
    (series,) = embed(kinds, [[20.0, 3.0], [1.0, 2.0]], model="classify-series")
    assert len(series["embedding"]) == 8


def test_a_text_of_several_sentences_is_read_as_one(kinds: httpx.Client, every_kind: Path) -> None:
    sentences = "Save the file. Do you want to close it?\nThe plot makes no sense."
    (result,) = embed(kinds, sentences, model="translate-one-sentence")
    expected = summary(states(every_kind, "translate-one-sentence", sentences), "last", 9)
    assert result["embedding"] == pytest.approx(expected, abs=2e-2)


def test_many_texts_have_the_states_of_each_alone(kinds: httpx.Client) -> None:
    texts = [TEXT[: 5 + number] for number in range(20)]
    together = embed(kinds, texts, model="lm-en", pooling="mean")
    for result, one in zip(together, texts, strict=True):
        (alone,) = embed(kinds, one, model="lm-en", pooling="mean")
        assert result["embedding"] == pytest.approx(alone["embedding"], abs=1e-2)


def test_what_has_no_states_is_refused(kinds: httpx.Client) -> None:
    refused(
        kinds.post("/v1/embed", json={"inputs": TEXT, "model": "caption-en"}), "model-not-found", "no embedding model"
    )
    refused(
        kinds.post("/v1/embed", json={"inputs": TEXT, "model": "lm-en", "layer": 2}),
        "contradictory-options",
        "layer is 2; lm-en has 2 layers, counted from 0",
    )
    refused(kinds.post("/v1/embed", json={"inputs": TEXT, "pooling": "first"}), "invalid-request", "pooling")
    refused(kinds.post("/v1/embed", json={"inputs": " ", "model": "lm-en"}), "empty-input", "inputs[0]")


@pytest.fixture
def client(every_kind_server: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{every_kind_server}/v1", api_key="x", max_retries=0) as client:
        yield client


def test_the_client_of_openai_gets_unit_states(client: OpenAI, kinds: httpx.Client) -> None:
    texts = [TEXT, "the plot makes no sense"]
    expected = [result["embedding"] for result in embed(kinds, texts, model="lm-en", normalize=True)]
    in_base64 = client.embeddings.create(model="lm-en", input=texts)  # its default, which it decodes
    as_floats = client.embeddings.create(model="lm-en/1", input=texts, encoding_format="float")
    for answer, model in ((in_base64, "lm-en"), (as_floats, "lm-en/1")):
        assert (answer.object, answer.model) == ("list", model)
        assert [item.index for item in answer.data] == [0, 1]
        for item, numbers in zip(answer.data, expected, strict=True):
            assert item.embedding == pytest.approx(numbers, abs=1e-2)
            assert np.linalg.norm(item.embedding) == pytest.approx(1)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 10
    (one,) = client.embeddings.create(model="sentiment-en", input=TEXT, user="somebody").data
    assert len(one.embedding) == 20


def test_what_openai_has_and_this_service_does_not_is_refused(client: OpenAI) -> None:
    with pytest.raises(
        openai.UnprocessableEntityError, match="dimensions: is not supported: leave it out; a model has as many"
    ):
        client.embeddings.create(model="lm-en", input=TEXT, dimensions=8)
    with pytest.raises(openai.UnprocessableEntityError, match="token ids are not supported: send the text"):
        client.embeddings.create(model="lm-en", input=[5, 6, 7])
    with pytest.raises(openai.NotFoundError, match="there is no embedding model nobody"):
        client.embeddings.create(model="nobody", input=TEXT)
    with pytest.raises(openai.UnprocessableEntityError, match=r"input\[0\] is a text, but forecast-tiny reads series"):
        client.embeddings.create(model="forecast-tiny", input=TEXT)
    with pytest.raises(openai.UnprocessableEntityError, match="empty"):
        client.embeddings.create(model="lm-en", input="")
