"""Encoder-decoders that no repository wrote: recognised by their structure, they decode as the module does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import nn

from app.importers.checkpoint import checkpoint_of
from app.importers.layout import Converted, Given
from app.importers.layouts.general_translation import GeneralTranslation, pair_in
from app.importers.options import OptionValues
from app.importers.recognition import recognise
from app.models.networks import EncoderDecoder, build_network
from tests.conftest import serving_store
from tests.importers.importing import asked, imported, saved
from tests.importers.originals import WORDS, sentences
from tests.importers.pair_modules import Form, Pair

SOURCE = ["<pad>", "<unk>", "<sos>", "<eos>", *WORDS]
TARGET = ["<pad>", "<unk>", "<sos>", "<eos>", *reversed(WORDS), "extra"]
START, STOP, MOST = 2, 3, 12
LUONG: dict[str, Any] = {"readout": ("hidden", "context"), "readout_layer": True}
BAHDANAU: dict[str, Any] = {"attention": "concat", "before": True, "readout": ("hidden", "context", "embedding")}
FORMS: dict[str, tuple[Form, Mapping[str, str]]] = {
    "plain LSTM of two layers": (Form("lstm", layers=2), {}),
    "RNN with relu after the embedding": (Form("rnn", relu=True), {"embedding_activation": "relu"}),
    "directions side by side": (Form("lstm", both=True, layers=2, hidden=12, bridge="join"), {}),
    "directions added": (Form("gru", both=True, layers=2, bridge="sum"), {"bridge": "sum"}),
    "first states": (Form("gru", both=True, layers=2, bridge="first"), {}),
    "layers for hidden and cell": (Form("lstm", both=True, bridge="linear"), {}),
    "a layer with tanh": (Form("gru", layers=2, both=True, hidden=5, bridge="tanh"), {}),
    "zeros": (Form("gru", bridge="zeros"), {"bridge": "zeros"}),
    "dot after the step": (Form(attention="dot", **LUONG), {}),
    "dot, outputs added": (
        Form("lstm", both=True, summed=True, attention="dot", bridge="sum", **LUONG),
        {"bridge": "sum"},
    ),
    "general after the step": (Form(attention="general", **LUONG, both=True, bridge="join", hidden=12), {}),
    "general without a layer after it": (
        Form("lstm", attention="general", readout=("context", "hidden")),
        {"readout": "context_hidden"},
    ),
    "input feeding": (Form("lstm", attention="general", feeds=True, of_encoder=6, **LUONG), {"input": "fed"}),
    "additive before the step": (Form(**BAHDANAU, both=True, bridge="tanh", hidden=8), {}),
    "additive, context first": (
        Form("lstm", attention="vector", before=True, context_first=True, both=True, bridge="linear"),
        {"input_order": "context_embedding"},
    ),
    "additive of two layers": (
        Form("lstm", attention="separate", before=True, readout=("hidden",)),
        {"attention_layer": "memory"},
    ),
    "additive of two layers after the step": (Form(attention="separate", **LUONG, both=True, bridge="tanh"), {}),
    "an energy with relu": (
        Form("lstm", attention="energy", before=True, both=True, bridge="linear", context_first=True),
        {"input_order": "context_embedding"},
    ),
    "projections": (Form(attention="projected", **LUONG), {}),
    "a layer before the recurrence": (Form(attention="concat", before=True, combine=True), {}),
    "the same context in each step": (
        Form(attention="fixed", before=True, readout=("embedding", "hidden", "context")),
        {"readout": "embedding_hidden_context"},
    ),
    "a cell": (Form("lstm", attention="concat", before=True, cells=True), {}),
    "tied output": (Form(attention="dot", tied=True, **LUONG), {}),
    "one embedding": (Form("lstm", shared=True), {}),
}


def _made(form: Form) -> Pair:
    torch.manual_seed(5)
    return Pair(form, len(SOURCE), len(SOURCE) if form.shared else len(TARGET)).eval()


def _converted(networks: list[dict[str, torch.Tensor]], settings: Mapping[str, str], target: list[str]) -> Converted:
    checkpoint = checkpoint_of(networks)
    layout = recognise(checkpoint, None).layout
    assert isinstance(layout, GeneralTranslation), layout.name
    options = {option.name: option.usual or "" for option in layout.options(checkpoint)}
    assert settings.keys() <= options.keys()
    values = OptionValues({**options, "unknown": "found", "tokenizer": "spaces", **settings})
    return layout.convert(checkpoint, Given(values, {"source": SOURCE, "target": target}))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("is_split", [False, True], ids=["one state dict", "two"])
def test_a_pair_decodes_as_the_module(name: str, is_split: bool) -> None:
    form, settings = FORMS[name]
    if form.shared and is_split:
        pytest.skip("one embedding for both is in one state dict")
    module = _made(form)
    networks = [dict(module.state_dict())]
    if is_split:
        networks = [dict(module.decoder.state_dict()), dict(module.encoder.state_dict())]
    converted = _converted(networks, settings, SOURCE if form.shared else TARGET)
    network = build_network(converted.architecture, mean=[0.0] * 3, std=[1.0] * 3).eval()
    assert isinstance(network, EncoderDecoder)
    network.load_state_dict(dict(converted.tensors))
    for ids in ([4, 9, 6, 7], [5], [8, 8, 4, 10, 6, 11]):
        tokens, log_probs, attended = module.greedy(ids, start=START, stop=STOP, most=MOST)
        state = network.encode(torch.tensor([ids]), torch.tensor([len(ids)]))
        for place, wanted in enumerate(log_probs):
            fed = torch.tensor([START if not place else tokens[place - 1]])
            logits, state, weights = network.step(fed, state)
            ours = logits[0].log_softmax(0)
            assert torch.allclose(ours, wanted, atol=1e-5), name
            assert int(ours.argmax()) == int(wanted.argmax())
            theirs = attended[place]
            if theirs is not None:
                assert weights is not None
                assert torch.allclose(weights[0], theirs, atol=1e-5)


def _vocabularies(folder: Path) -> list[str]:
    arguments = []
    for role, words in (("source", SOURCE), ("target", TARGET)):
        file = folder / f"{role}.json"
        file.write_text(json.dumps(words))
        arguments.append(f"--vocab={role}={file}")
    return arguments


def _attentive() -> Pair:
    """Its answers have unknown words."""
    module = _made(Form("lstm", **BAHDANAU, both=True, bridge="linear"))
    with torch.no_grad():
        module.decoder.fc_out.bias[1] += 2
        module.decoder.fc_out.bias[STOP] -= 3
        module.decoder.attention.v.weight.mul_(6)
    return module


def test_an_import_asks_for_what_no_tensor_shows(tmp_path: Path) -> None:
    printed = asked(tmp_path, saved(tmp_path, _attentive()), *_vocabularies(tmp_path))
    assert "layout: encoder-decoder" in printed
    assert "understood: additive attention (decoder.attention.attn, decoder.attention.v) before each step" in printed
    assert "unsure: whether the decoder reads the embedding first (input_order)" in printed
    for question in ("'start=<sos>'", "'stop=<eos>'", "attention_order=hidden_memory", "'prepend=<sos>'"):
        assert f"--set {question}" in printed


def _words(ids: list[int], source: list[str], attended: list[torch.Tensor | None]) -> str:
    """The answer with the source word of the highest attention in place of the unknown one."""
    shown = []
    for token, weights in zip(ids, attended, strict=False):
        assert weights is not None
        shown.append(TARGET[token] if token != 1 else source[int(weights[1:-1].argmax())])
    return " ".join(shown)


def test_unknown_words_of_an_answer_are_those_of_the_source(tmp_path: Path) -> None:
    """Whole, in beams, and streamed: in a stream every delta has the words already."""
    module = _attentive()
    arguments = [saved(tmp_path, module), *_vocabularies(tmp_path), "--usual", "--set=tokenizer=spaces"]
    imported(tmp_path, *arguments, "--set=replace_unk=yes", "--set=max_tokens=12")
    imported(tmp_path, *arguments, "--set=max_tokens=12", name="plain")
    texts = [*sentences(4, seed=3), f"xyzzy {WORDS[2]} Quux"]
    wanted, plain = [], []
    for text in texts:
        words = text.split()
        ids = [2, *(SOURCE.index(word) if word in SOURCE else 1 for word in words), 3]
        tokens, _, attended = module.greedy(ids, start=START, stop=STOP, most=MOST)
        wanted.append(_words(tokens, words, attended))
        plain.append(" ".join(TARGET[token] for token in tokens))
    assert any("<unk>" in text for text in plain)
    assert any("xyzzy" in text or "Quux" in text for text in wanted)
    folder = tmp_path / "engine"
    folder.mkdir()
    with serving_store(tmp_path / "store", folder) as address, httpx.Client(base_url=address, timeout=60) as client:

        def texts_of(name: str, **options: Any) -> list[str]:
            body = {"inputs": texts, "model": name, "split_sentences": False, **options}
            return [result["text"] for result in client.post("/v1/translate", json=body).json()["results"]]

        assert texts_of("plain") == plain
        assert texts_of("mine") == wanted
        assert texts_of("mine", attention=True, logprobs=1) == wanted
        assert not any("<unk>" in text for text in texts_of("mine", beams=3))
        body = {"inputs": texts, "model": "mine", "split_sentences": False, "stream": True}
        deltas = [""] * len(texts)
        for line in client.post("/v1/translate", json=body).text.splitlines():
            if line.startswith("data: ") and "text" in (event := json.loads(line[6:])) and "score" not in event:
                deltas[event["input"]] += event["text"]
        assert deltas == wanted


def test_unknown_words_are_replaced_only_with_attention_that_chooses(tmp_path: Path) -> None:
    module = _made(Form("lstm"))
    printed = asked(tmp_path, saved(tmp_path, module), *_vocabularies(tmp_path), "--usual", "--set=replace_unk=yes")
    assert "decoding.replace_unknown needs attention that chooses among the tokens of a text" in printed


def _flat(**parts: nn.Module) -> nn.Module:
    module = nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "a language model of two layers": lambda: _flat(
        emb=nn.Embedding(20, 6), lstm1=nn.LSTM(6, 6), lstm2=nn.LSTM(6, 6), fc=nn.Linear(6, 20)
    ),
    "a tagger over characters and words": lambda: _flat(
        char_emb=nn.Embedding(15, 4),
        char_lstm=nn.LSTM(4, 5, bidirectional=True),
        word_emb=nn.Embedding(30, 7),
        lstm=nn.LSTM(17, 8, bidirectional=True),
        out=nn.Linear(16, 9),
    ),
    "a pair over numbers": lambda: _flat(encoder=nn.LSTM(3, 8), decoder=nn.LSTM(8, 8), fc=nn.Linear(8, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_are_no_pairs(name: str) -> None:
    assert pair_in(checkpoint_of([OTHERS[name]().state_dict()])) is None


def test_sides_without_names_are_told_apart_by_their_order() -> None:
    tables, units = (nn.Embedding(15, 4), nn.Embedding(18, 4)), (nn.GRU(4, 8), nn.GRU(12, 8))
    module = _flat(e1=tables[0], r1=units[0], e2=tables[1], r2=units[1], proj=nn.Linear(8, 18))
    pair = pair_in(checkpoint_of([module.state_dict()]))
    assert pair is not None
    assert pair.encoder is not None
    assert (pair.encoder.rows, pair.decoder.rows, pair.gets) == (15, 18, ["context"])


def test_characters_may_be_one_hot() -> None:
    parts = {"encoder": nn.LSTM(18, 8), "decoder": nn.LSTM(19, 8), "fc": nn.Linear(8, 19)}
    checkpoint = checkpoint_of([_flat(**parts).state_dict()])
    pair = pair_in(replace(checkpoint, given=[SOURCE, TARGET]))
    assert pair is not None
    assert torch.equal(pair.decoder.table, torch.eye(19))
