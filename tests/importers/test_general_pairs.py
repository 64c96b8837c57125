"""Encoder-decoders that no repository wrote: recognised by their structure, they decode as the module does."""

from collections.abc import Mapping

import pytest
import torch

from app.importers.checkpoint import checkpoint_of
from app.importers.layout import Converted, Given
from app.importers.layouts.general_translation import GeneralTranslation
from app.importers.options import OptionValues
from app.importers.recognition import recognise
from app.models.networks import EncoderDecoder, build_network
from tests.importers.originals import WORDS
from tests.importers.pair_modules import Form, Pair

SOURCE = ["<pad>", "<unk>", "<sos>", "<eos>", *WORDS]
TARGET = ["<pad>", "<unk>", "<sos>", "<eos>", *reversed(WORDS), "extra"]
START, STOP, MOST = 2, 3, 12
LUONG = {"readout": ("hidden", "context"), "readout_layer": True}
BAHDANAU = {"attention": "concat", "before": True, "readout": ("hidden", "context", "embedding")}
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
    "dot, outputs added": (Form("lstm", both=True, summed=True, attention="dot", bridge="sum", **LUONG), {"bridge": "sum"}),
    "general after the step": (Form(attention="general", **LUONG, both=True, bridge="join", hidden=12), {}),
    "general without a layer after it": (Form("lstm", attention="general", readout=("context", "hidden")), {"readout": "context_hidden"}),
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
    "an energy with relu": (Form("lstm", attention="energy", before=True, both=True, bridge="linear", context_first=True), {"input_order": "context_embedding"}),
    "projections": (Form(attention="projected", **LUONG), {}),
    "a layer before the recurrence": (Form(attention="concat", before=True, combine=True), {}),
    "the same context in each step": (Form(attention="fixed", before=True, readout=("embedding", "hidden", "context")), {"readout": "embedding_hidden_context"}),
    "a cell": (Form("lstm", attention="concat", before=True, cells=True), {}),
    "tied output": (Form(attention="dot", tied=True, **LUONG), {}),
    "one embedding": (Form("lstm", shared=True), {}),
}  # fmt: skip


def _made(form: Form) -> Pair:
    torch.manual_seed(5)
    return Pair(form, len(SOURCE), len(SOURCE) if form.shared else len(TARGET)).eval()


def _converted(networks: list[dict[str, torch.Tensor]], settings: Mapping[str, str], target: list[str]) -> Converted:
    checkpoint = checkpoint_of(networks)
    layout = recognise(checkpoint, None).layout
    assert isinstance(layout, GeneralTranslation), layout.name
    options = {option.name: option.usual or "" for option in layout.options(checkpoint)}
    assert settings.keys() <= options.keys()
    values = OptionValues(options | {"unknown": "found", "tokenizer": "spaces"} | settings)
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
