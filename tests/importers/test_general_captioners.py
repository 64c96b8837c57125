"""Captioners that no repository wrote: recognised by their structure, they decode as the module does."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from app.importers.checkpoint import checkpoint_of
from app.importers.layout import Given
from app.importers.layouts.general_captioning import GeneralCaptioning
from app.importers.options import OptionValues
from app.importers.recognition import recognise
from app.models.networks import IMAGENET_MEAN, IMAGENET_STD, EncoderDecoder, build_network
from app.models.resnet import ResNet
from app.store.image_encoder import ResNet as ResNetConfig
from tests.importers.importing import answered, imported, saved
from tests.importers.originals import WORDS, enlarge

TARGET = ["<pad>", "<start>", "<end>", "<unk>", *WORDS]
CONFIG = ResNetConfig(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 4, 6, 8))
SIZE, HIDDEN, FEATURES = 5, 6, CONFIG.output_size


class Captioner(nn.Module):
    """`form`: `first` reads the projected image first; `state` starts from it; `context` reads it in each step;
    `attention` attends to the positions of the image."""

    def __init__(self, form: str, cell: str = "lstm") -> None:
        super().__init__()
        self.form = form
        self.backbone = ResNet(CONFIG)
        if form in ("first", "context"):
            self.project = nn.Linear(FEATURES, SIZE)
            self.project_bn = nn.BatchNorm1d(SIZE)
        else:
            self.start_hidden = nn.Linear(FEATURES, HIDDEN)
            if cell == "lstm":
                self.start_cell = nn.Linear(FEATURES, HIDDEN)
        self.word_embedding = nn.Embedding(len(TARGET), SIZE)
        if form == "attention":
            self.att_image = nn.Linear(FEATURES, 7)
            self.att_hidden = nn.Linear(HIDDEN, 7)
            self.att_score = nn.Linear(7, 1)
        inputs = SIZE + {"context": SIZE, "attention": FEATURES}.get(form, 0)
        self.decoder = (nn.LSTM if cell == "lstm" else nn.GRU)(inputs, HIDDEN)
        self.to_words = nn.Linear(HIDDEN, len(TARGET))

    @torch.no_grad()
    def greedy(self, image: Tensor, most: int) -> list[Tensor]:
        """image (height, width, 3) of uint8 to the log-probabilities of each step."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        grid = self.backbone(((image.permute(2, 0, 1) / 255 - mean) / std).unsqueeze(0))[0]
        memory = grid.flatten(1).t()  # positions x features
        pooled = memory.mean(0)
        state: Any = None
        given = torch.zeros(0)
        if self.form in ("first", "context"):
            given = self.project_bn(self.project(pooled).unsqueeze(0))[0]
        else:
            hidden = self.start_hidden(pooled).unsqueeze(0)
            state = (hidden, self.start_cell(pooled).unsqueeze(0)) if isinstance(self.decoder, nn.LSTM) else hidden
        token, steps = 1, []
        for step in range(most):
            embedded = self.word_embedding(torch.tensor(token))
            if self.form == "first" and not step:
                embedded = given
            inputs = torch.cat((embedded, given)) if self.form == "context" else embedded
            if self.form == "attention":
                before = state[0][-1] if isinstance(state, tuple) else state[-1]
                scores = self.att_score(torch.relu(self.att_image(memory) + self.att_hidden(before)))[:, 0]
                inputs = torch.cat((embedded, scores.softmax(0) @ memory))
            output, state = self.decoder(inputs.unsqueeze(0), state)
            steps.append(self.to_words(output[0]).log_softmax(0))
            token = int(steps[-1].argmax())
        return steps


FORMS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "features first": ("first", "lstm", {}),
    "first state": ("state", "lstm", {}),
    "first state of a GRU": ("state", "gru", {}),
    "context in each step": ("context", "gru", {}),
    "attention": ("attention", "lstm", {"attention_activation": "relu"}),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("is_split", [False, True], ids=["one state dict", "two"])
def test_a_captioner_decodes_as_the_module(name: str, is_split: bool) -> None:
    form, cell, settings = FORMS[name]
    torch.manual_seed(4)
    module = Captioner(form, cell)
    enlarge(module).eval()
    networks = [dict(module.state_dict())]
    if is_split:
        encoder = {key: tensor for key, tensor in networks[0].items() if key.startswith(("backbone", "project"))}
        networks = [{key: tensor for key, tensor in networks[0].items() if key not in encoder}, encoder]
    checkpoint = checkpoint_of(networks)
    layout = recognise(checkpoint, None).layout
    assert isinstance(layout, GeneralCaptioning), layout.name
    options = {option.name: option.usual or "" for option in layout.options(checkpoint)}
    assert settings.keys() <= options.keys()
    marks = {"start": "<start>", "stop": "<end>", "image_size": "64"}
    converted = layout.convert(checkpoint, Given(OptionValues({**options, **marks, **settings}), {"target": TARGET}))
    network = build_network(converted.architecture, mean=IMAGENET_MEAN, std=IMAGENET_STD).eval()
    assert isinstance(network, EncoderDecoder)
    network.load_state_dict(dict(converted.tensors))
    for seed in (1, 2):
        image = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
        steps = module.greedy(image, 6)
        state = network.encode(image.unsqueeze(0), torch.tensor([1]))
        token = 1
        for wanted in steps:
            logits, state, _ = network.step(torch.tensor([token]), state)
            ours = logits[0].log_softmax(0)
            assert torch.allclose(ours, wanted, atol=1e-5)
            token = int(wanted.argmax())
            assert int(ours.argmax()) == token


def test_an_imported_captioner_answers(tmp_path: Path) -> None:
    torch.manual_seed(4)
    (tmp_path / "words.json").write_text(json.dumps(TARGET))
    content = saved(tmp_path, enlarge(Captioner("attention")))
    printed = imported(tmp_path, content, f"--vocab={tmp_path / 'words.json'}", "--usual", "--set=grid=3")
    assert "understood: images through a" in printed
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 90)).save(buffer, "PNG")
    (result,) = answered(tmp_path, [buffer.getvalue()])
    assert result["text"]
    assert "<start>" not in result["text"]
