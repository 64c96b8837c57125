"""`explain` of answers that are decoded: the numbers are those of the plain network, which reads token by token."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import Tensor

from app.models.encoders import TextEncoder
from app.models.networks import EncoderDecoder
from app.models.state import State
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.replayed import MOST_REPLAYED
from tests.api.sse import events_of
from tests.api.test_answers import png
from tests.engine.references import open_shipped
from tests.models.references import torch_module
from tests.models.test_explain import GATES
from training.recipe import Shipped

Run = dict[str, Any]
TEXT = "do you want to save the file"
IMAGE = base64.b64encode(png()).decode()
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "complete": ("/v1/complete", {"inputs": "a warm and", "max_tokens": 8}),
    "translate": ("/v1/translate", {"inputs": TEXT, "max_tokens": 8}),
    "caption": ("/v1/caption", {"inputs": IMAGE, "max_tokens": 8}),
}


def results(http: httpx.Client, path: str, **body: Any) -> list[dict[str, Any]]:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def runs(http: httpx.Client, path: str, **body: Any) -> list[Run]:
    """The runs of one input."""
    (result,) = results(http, path, explain=True, **body)
    found: list[Run] = result["explanation"]["runs"]
    return found


def ids_of(shipped: Shipped, pieces: list[str]) -> list[int]:
    spellings = [shipped.tokenizer.piece(token) for token in range(shipped.manifest.target_vocabulary)]
    assert all(spellings.count(piece) == 1 for piece in pieces), f"choose a shorter answer than {pieces}"
    return [spellings.index(piece) for piece in pieces]


def network_of(shipped: Shipped) -> EncoderDecoder:
    assert isinstance(shipped.network, EncoderDecoder)
    return shipped.network.eval()


def unrolled(network: EncoderDecoder, ids: list[int], layer: int) -> Tensor:
    """The outputs (steps, directions * hidden) of a layer of the encoder, by `torch.nn`."""
    assert isinstance(network.encoder, TextEncoder)
    recurrence, inputs = network.encoder.recurrence, network.encoder.embedding(torch.tensor(ids))
    spec = recurrence.recurrence.model_copy(update={"layers": layer + 1})
    module, weights = torch_module(spec), recurrence.state_dict()
    module.load_state_dict({name: weights[name] for name in module.state_dict()})
    outputs: Tensor = module(inputs[None])[0][0]
    return outputs


def check_hidden(run: Run, expected: Tensor) -> None:
    """The hidden states are those of the network, and gates and cells fit their shape."""
    activations = run["activations"]
    hidden = torch.cat([torch.tensor(one["hidden"]) for one in activations["directions"]], 1)
    torch.testing.assert_close(hidden, expected, rtol=0, atol=2e-5)  # they are sent with five digits
    for one in activations["directions"]:
        shape = (len(expected), expected.shape[1] // len(activations["directions"]))
        assert torch.tensor(one["hidden"]).shape == shape
        assert all(torch.tensor(rows).shape == shape for rows in one["gates"].values())
        if "cell" in one:
            assert torch.tensor(one["cell"]).shape == shape


def check_steps(run: Run, shipped: Shipped, state: State) -> None:
    """The decoder's states from `state` on are those of its steps. Several tokens have an empty spelling: of those that
    are spelled as the written one, the network chose the most probable."""
    network, layer, hidden = network_of(shipped), run["activations"]["layer"], []
    assert shipped.manifest.decoding is not None
    token, piece = shipped.manifest.decoding.bos, shipped.tokenizer.piece
    for read, written in zip(run["reads"], run["writes"], strict=True):
        assert piece(token) == read
        logits, state, _ = network.step(torch.tensor([token]), state)
        hidden.append(state["hidden"][0, layer])
        spelled = [one for one in range(logits.shape[1]) if piece(one) == written]
        token = max(spelled, key=lambda one: float(logits[0, one]))
    check_hidden(run, torch.stack(hidden))


@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_a_language_model_reads_the_text_and_then_what_it_writes(
    http: httpx.Client, tiny_store: Path, layer: int
) -> None:
    shipped = open_shipped(tiny_store, "lm-en/1")
    (result,) = results(http, "/v1/complete", inputs="a warm and", max_tokens=6, logprobs=0, explain=True, layer=layer)
    (run,) = result["explanation"]["runs"]
    assert (run["part"], run["activations"]["layer"], run["activations"]["layers"]) == ("decoder", layer, 2)
    assert run["activations"]["network"] == "2 x LSTM-14"
    text = shipped.tokenizer.encode_prefix("a warm and")
    ids = ids_of(shipped, run["reads"])
    assert ids[: len(text)] == text
    written = [token["text"] for token in result["tokens"]]
    assert [piece for piece in run["writes"] if piece is not None] == written
    assert run["writes"].index(written[0]) == len(text) - 1  # it follows from the last token of the text
    assert run["reads"][len(text) :] == written[:-1]
    network = network_of(shipped)
    check_hidden(run, unrolled(network, ids, layer))
    assert run["activations"]["directions"][0]["gates"].keys() == GATES["lstm"]


@torch.no_grad()
def test_a_translator_has_an_encoder_and_a_decoder(http: httpx.Client, tiny_store: Path) -> None:
    shipped = open_shipped(tiny_store, "translate-en-ko/1")
    (result,) = results(http, "/v1/translate", inputs=TEXT, max_tokens=9, logprobs=0, explain=True)
    encoder, decoder = result["explanation"]["runs"]
    assert [run["part"] for run in (encoder, decoder)] == ["encoder", "decoder"]
    assert "writes" not in encoder
    assert "sentence" not in encoder
    network, source = network_of(shipped), ids_of(shipped, encoder["reads"])
    assert source == shipped.tokenizer.encode(TEXT)
    assert (encoder["activations"]["layer"], encoder["activations"]["layers"]) == (0, 1)
    assert [one["direction"] for one in encoder["activations"]["directions"]] == ["forward", "backward"]
    check_hidden(encoder, unrolled(network, source, 0))
    assert decoder["writes"] == [token["text"] for token in result["tokens"]]
    assert decoder["reads"][1:] == decoder["writes"][:-1]
    assert (decoder["activations"]["layer"], decoder["activations"]["layers"]) == (1, 2)
    first = network.encode(torch.tensor([source]), torch.tensor([len(source)]))
    check_steps(decoder, shipped, first)


@torch.no_grad()
def test_of_a_network_with_fewer_layers_the_last_one_is_shown(http: httpx.Client, tiny_store: Path) -> None:
    encoder, decoder = runs(http, "/v1/translate", inputs=TEXT, max_tokens=5, layer=1)
    assert [run["activations"]["layer"] for run in (encoder, decoder)] == [0, 1]
    shipped = open_shipped(tiny_store, "translate-en-ko/1")
    network, source = network_of(shipped), shipped.encode(TEXT)
    _, below = runs(http, "/v1/translate", inputs=TEXT, max_tokens=5, layer=0)
    first = network.encode(torch.tensor([source]), torch.tensor([len(source)]))
    check_steps(below, shipped, first)


@torch.no_grad()
def test_a_captioner_has_a_decoder(http: httpx.Client, tiny_store: Path) -> None:
    shipped = open_shipped(tiny_store, "caption-en/1")
    (run,) = runs(http, "/v1/caption", inputs=IMAGE, max_tokens=6, layer=0)
    assert (run["part"], len(run["reads"])) == ("decoder", len(run["writes"]))
    network = network_of(shipped)
    assert shipped.manifest.image is not None
    size = shipped.manifest.image.size
    orange = torch.tensor([255, 165, 0], dtype=torch.uint8).expand(1, size, size, 3)
    check_steps(run, shipped, network.encode(orange, torch.tensor([1])))


@pytest.mark.parametrize("name", BODIES)
def test_the_units_that_change_most(http: httpx.Client, name: str) -> None:
    path, body = BODIES[name]
    for every, chosen in zip(runs(http, path, **body), runs(http, path, **body, units=3), strict=True):
        for whole, few in zip(every["activations"]["directions"], chosen["activations"]["directions"], strict=True):
            assert "units" not in whole
            assert len(set(few["units"])) == 3
            assert few["hidden"] == [[row[unit] for unit in few["units"]] for row in whole["hidden"]]


def test_those_of_the_best_hypothesis_of_a_search(http: httpx.Client) -> None:
    body = {"inputs": TEXT, "max_tokens": 9, "beams": 3, "n_best": 2, "logprobs": 0}
    (result,) = results(http, "/v1/translate", explain=True, **body)
    decoder = result["explanation"]["runs"][1]
    assert decoder["writes"] == [token["text"] for token in result["tokens"]]
    assert "explanation" not in result["hypotheses"][0]


def test_a_stop_string_cuts_them_too(http: httpx.Client) -> None:
    body = {"inputs": "a warm and", "max_tokens": 12, "logprobs": 0}
    (whole,) = results(http, "/v1/complete", **body)
    stop = whole["text"][len(whole["text"]) // 2]
    (result,) = results(http, "/v1/complete", explain=True, stop=stop, **body)
    assert result["finish_reason"] == "stop"
    assert len(result["text"]) < len(whole["text"])
    (run,) = result["explanation"]["runs"]
    assert [piece for piece in run["writes"] if piece is not None] == [token["text"] for token in result["tokens"]]


def test_a_stream_ends_with_them(http: httpx.Client) -> None:
    for path, body in BODIES.values():
        events = events_of(http.post(path, json={**body, "explain": True, "stream": True}).text)
        (result,) = [event.data["result"] for event in events if event.name == "result"]
        assert result["explanation"]["runs"] == runs(http, path, **body)


def test_each_sentence_has_its_own(kinds: httpx.Client) -> None:
    body = {"model": "translate-one-sentence", "max_tokens": 6}
    found = runs(kinds, "/v1/translate", inputs="Save the file. Close it.", **body)
    assert [(run["sentence"], run["part"]) for run in found] == [
        (0, "encoder"),
        (0, "decoder"),
        (1, "encoder"),
        (1, "decoder"),
    ]
    alone = runs(kinds, "/v1/translate", inputs="Close it.", **body)
    assert [run["activations"] for run in found[2:]] == [run["activations"] for run in alone]


def test_drawn_tokens_are_those_that_are_read(http: httpx.Client) -> None:
    body = {"inputs": "a warm and", "max_tokens": 9, "temperature": 0.8, "seed": 3, "logprobs": 0}
    (result,) = results(http, "/v1/complete", explain=True, **body)
    (run,) = result["explanation"]["runs"]
    assert [piece for piece in run["writes"] if piece is not None] == [token["text"] for token in result["tokens"]]


def test_others_are_answered_as_without(http: httpx.Client) -> None:
    for path, body in BODIES.values():
        (plain,) = results(http, path, **body)
        (explained,) = results(http, path, explain=True, **body)
        assert "explanation" not in plain
        assert {name: value for name, value in explained.items() if name != "explanation"} == plain


@pytest.mark.parametrize(
    ("path", "body", "kind", "part"),
    [
        ("/v1/translate", {"inputs": TEXT, "layer": 0}, "invalid-request", "set explain to true"),
        ("/v1/complete", {"inputs": "a", "units": 3}, "invalid-request", "set explain to true"),
        ("/v1/translate", {"inputs": TEXT, "explain": True, "layer": 2}, "contradictory-options", "has 2 layers"),
        ("/v1/caption", {"inputs": IMAGE, "explain": True, "layer": 7}, "contradictory-options", "has 2 layers"),
        (
            "/v1/complete",
            {"inputs": "a", "explain": True, "max_tokens": 2000},
            "input-too-long",
            f"the limit of explain is {MOST_REPLAYED}: set max_tokens to",
        ),
        (
            "/v1/complete",
            {"inputs": "- " * 700, "explain": True},
            "input-too-long",
            "shorten the input, or leave out explain",
        ),
        (
            "/v1/complete",
            {"inputs": "a", "explain": True, "return_state": True},
            "contradictory-options",
            "exclude each other",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(http: httpx.Client, path: str, body: dict[str, Any], kind: str, part: str) -> None:
    answer = http.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{kind}"), answer.text
    assert part in answer.text


def test_a_request_has_a_limit_of_numbers(http: httpx.Client) -> None:
    """A step has 14 units in six arrays and two tokens."""
    body: dict[str, Any] = {"max_tokens": 999, "explain": True}
    of_input = (999 + 1 + len("a")) * (14 * 6 + 2)
    most = AnswerLimits().numbers // of_input
    answer = http.post("/v1/complete", json={"inputs": ["a"] * (most + 1), **body})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/input-too-long")
    assert problem["limit"] == AnswerLimits().numbers
    assert "or set units to a smaller number" in problem["detail"]
    few = http.post("/v1/complete", json={"inputs": ["a"] * (most + 1), **body, "max_tokens": 20, "units": 2})
    assert few.status_code == 200
