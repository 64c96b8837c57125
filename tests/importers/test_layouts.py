"""Layouts and variants without recorded answers: an import answers over HTTP like the network that was saved."""

import copy
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from app.cli.main import main
from app.models.resnet import ResNet
from app.store.image_encoder import ResNet as ResNetConfig
from tests.conftest import serving_store
from tests.importers import originals
from tests.importers.originals import WORDS, sentences
from tests.importers.torchtext_fields import fields_of, foreign_modules

SPECIAL = ["<unk>", "<pad>", "<sos>", "<eos>"]
LEGACY_WORDS = ["<unk>", "<pad>", *WORDS]


class Made:
    """The saved networks, by their names in the store."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder, self._store = folder, store
        torch.manual_seed(3)
        pair = {"source": [*SPECIAL, *WORDS], "target": [*SPECIAL, *reversed(WORDS)]}
        self.legacy_pair = originals.LegacySeq2Seq(pair["source"], pair["target"])
        options = ("--set", "tokenizer=spaces", "--set", "max_tokens=50", "--set", "reverse=yes")
        self._import("legacy-pair", [self.legacy_pair.state_dict()], [], *options, roles=pair)
        self.opennmt = originals.OpenNMT()
        self._import("opennmt", [self.opennmt.checkpoint()], [], "--set", "beams=1", "--set", "max_tokens=15")
        with foreign_modules() as modules:
            fields = {
                "src": fields_of(modules, "src", self.opennmt.source),
                "tgt": fields_of(modules, "tgt", self.opennmt.target),
            }
            checkpoint = self.opennmt.checkpoint() | {"vocab": fields}
            self._import("opennmt-fields", [checkpoint], [], "--set", "beams=1", "--set", "max_tokens=15")
        config = ResNetConfig(block="bottleneck", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 4, 6, 8))
        torch.manual_seed(3)  # a seed with different captions
        self.resnet = originals.enlarge(ResNet(config))
        names = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
        encoder = {}
        for key, tensor in self.resnet.state_dict().items():
            child, _, rest = key.partition(".")
            encoder[f"resnet.{names[child]}.{rest}"] = tensor
        torch.manual_seed(1)  # the student's
        self.cvnd = originals.Cvnd(config.output_size)
        linear = {f"embed.{key}": tensor for key, tensor in self.cvnd.embed.state_dict().items()}
        decoder = {key: tensor for key, tensor in self.cvnd.state_dict().items() if not key.startswith("embed.")}
        self._import("cvnd", [encoder | linear, decoder], [originals.CVND_WORDS])
        self.normalised = copy.deepcopy(self.cvnd)  # as in many copies of the project
        norm = originals.enlarge(nn.BatchNorm1d(6)).eval()
        nn.init.uniform_(norm.get_buffer("running_mean"), -0.5, 0.5)
        self.normalised.embed = nn.Sequential(self.normalised.embed, norm)
        with_norm = encoder | linear | {f"bn.{key}": tensor for key, tensor in norm.state_dict().items()}
        self._import("cvnd-normalised", [with_norm, decoder], [originals.CVND_WORDS])
        self.own = originals.Own()
        mapping = self._folder / "mapping.json"
        mapping.write_text(
            json.dumps({"parts": {"encoder.embedding": "emb", "encoder.recurrence": "net.gru", "output": "head"}})
        )
        own = ("--layout", "generic-classifier", "--set", f"mapping={mapping}", "--labels", "bad,so-so,good")
        self._import("own", [self.own.state_dict()], [LEGACY_WORDS], *own)
        self.own_pair = originals.OwnPair()
        mapping = self._folder / "pair.json"
        mapping.write_text(json.dumps(originals.OwnPair.MAPPING))
        layout = ("--layout", "generic-encoder-decoder", "--set", f"mapping={mapping}")
        self._import("own-pair", [self.own_pair.state_dict()], [], *layout, roles=self.own_pair.words)

    def _import(
        self,
        name: str,
        checkpoints: list[Any],
        vocabularies: list[Any],
        *options: str,
        roles: Mapping[str, list[str]] = MappingProxyType({}),
    ) -> None:
        arguments = ["import", "--name", name, "--store", str(self._store), "--usual", *options]
        for number, checkpoint in enumerate(checkpoints):
            file = self._folder / f"{name}-{number}.pt"
            torch.save(checkpoint, file)
            arguments += ["--checkpoint", str(file)]
        for number, vocabulary in enumerate(vocabularies):
            file = self._folder / f"{name}-{number}.json"
            file.write_text(json.dumps(vocabulary))
            arguments += ["--vocab", str(file)]
        for role, words in roles.items():
            file = self._folder / f"{name}-{role}.json"
            file.write_text(json.dumps(words))
            arguments += ["--vocab", f"{role}={file}"]
        ran = CliRunner().invoke(main, arguments)
        assert ran.exit_code == 0, ran.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("saved"), tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def service(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("engine")
    with serving_store(made._store, folder) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def _both_ways(service: httpx.Client, path: str, name: str, inputs: list[str], **options: Any) -> list[tuple[Any, Any]]:
    def ask(inputs: list[str]) -> Any:
        answer = service.post(path, json={"inputs": inputs, "model": name, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return list(zip([ask([text])[0] for text in inputs], ask(inputs), strict=True))


def test_legacy_seq2seq_reads_in_reverse(made: Made, service: httpx.Client) -> None:
    texts = [text.title() for text in sentences(8, seed=8)]
    wanted = [made.legacy_pair.answer(text) for text in texts]
    assert len({tuple(answer.words) for answer in wanted}) > 2
    answered = _both_ways(service, "/v1/translate", "legacy-pair", texts, logprobs=0)
    for original, answers in zip(wanted, answered, strict=True):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(original.log_probs, abs=1e-5)


@pytest.mark.parametrize("name", ["opennmt", "opennmt-fields"])
def test_opennmt(made: Made, service: httpx.Client, name: str) -> None:
    texts = [*sentences(8, seed=5), "xyzzy was fine"]
    originals_ = [made.opennmt.answer(text, steps=15) for text in texts]
    assert len({tuple(answer.words) for answer in originals_}) > 2
    for original, answers in zip(
        originals_, _both_ways(service, "/v1/translate", name, texts, logprobs=0), strict=True
    ):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(original.log_probs, abs=1e-5)


def _picture(seed: int) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 256, (4, 5, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(small.numpy()).resize((300, 200), Image.Resampling.NEAREST)


def _normalised(image: Image.Image) -> torch.Tensor:
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(image.height, image.width, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((pixels / 255 - mean) / std).permute(2, 0, 1).unsqueeze(0)


def _captions(service: httpx.Client, name: str, pictures: list[Image.Image]) -> list[tuple[Any, Any]]:
    files = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())

    def ask(images: list[bytes]) -> Any:
        upload = [("images", ("image", image)) for image in images]
        answer = service.post("/v1/caption", files=upload, data={"model": name, "logprobs": "0"})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return list(zip([ask([file])[0] for file in files], ask(files), strict=True))


@pytest.mark.parametrize("name", ["cvnd", "cvnd-normalised"])
def test_cvnd(made: Made, service: httpx.Client, name: str) -> None:
    student = made.cvnd if name == "cvnd" else made.normalised
    pictures = [_picture(seed) for seed in range(6)]
    wanted = []
    for picture in pictures:
        middle = picture.resize((384, 256), Image.Resampling.BILINEAR).crop((80, 16, 304, 240))
        with torch.no_grad():
            wanted.append(student.answer(made.resnet(_normalised(middle)).mean((2, 3))))
    assert len({tuple(answer.words) for answer in wanted}) > 2
    for original, answers in zip(wanted, _captions(service, name, pictures), strict=True):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(original.log_probs, abs=1e-5)


def test_ones_own_classifier(made: Made, service: httpx.Client) -> None:
    texts = sentences(8, seed=6)
    for text, answers in zip(texts, _both_ways(service, "/v1/sentiment", "own", texts), strict=True):
        for answer in answers:
            assert list(answer["scores"].values()) == pytest.approx(made.own.answer(text, LEGACY_WORDS), abs=1e-5)


def test_ones_own_encoder_decoder(made: Made, service: httpx.Client) -> None:
    texts = sentences(8, seed=7)
    wanted = [made.own_pair.answer(text) for text in texts]
    assert len({tuple(answer.words) for answer in wanted}) > 2
    answered = _both_ways(service, "/v1/translate", "own-pair", texts, logprobs=0)
    for original, answers in zip(wanted, answered, strict=True):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(original.log_probs, abs=1e-5)


def test_several_files_of_nothing_known(tmp_path: Path) -> None:
    torch.save({"mystery.weight": torch.ones(3, 4)}, tmp_path / "model.pt")
    arguments = [
        "import",
        "--name",
        "x",
        "--store",
        str(tmp_path / "store"),
        "--checkpoint",
        str(tmp_path / "model.pt"),
    ]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 1
    assert '"mystery.weight": "(3, 4)"' in ran.output
    assert "unroll layouts" in ran.output
    assert not (tmp_path / "store").exists()
