"""Layouts without a kit of recorded answers: imported ones answer over HTTP as the network that was saved does."""

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

from app.cli import main
from app.models.resnet import ResNet
from app.store.architecture import ResNet as ResNetConfig
from tests.importers import originals
from tests.importers.originals import WORDS, sentences
from tests.importers.torchtext_fields import fields_of, foreign_modules
from tests.service.serving import serving

SPECIAL = ["<unk>", "<pad>", "<sos>", "<eos>"]
LEGACY_WORDS = ["<unk>", "<pad>", *WORDS]
BEAMS, WORD_MAP = 4, {"<pad>": 0} | {w: n for n, w in enumerate([*WORDS, "<unk>", "<start>", "<end>"], 1)}


class Made:
    """What was saved, by the name that it was imported under."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder, self._store = folder, store
        torch.manual_seed(3)
        self.udacity = originals.Udacity()
        self._import("udacity", [self.udacity.state_dict()], [self.udacity.vocab_to_int], "--set", "seq_length=12")
        self.legacy = {}
        for name, bidirectional in (("legacy-1", False), ("legacy-2", True)):
            network = self.legacy[name] = originals.LegacySentiment(LEGACY_WORDS, bidirectional=bidirectional)
            said = ("--set", "tokenizer=spaces", "--labels", "neg,pos")
            self._import(name, [network.state_dict()], [LEGACY_WORDS], *said)
        pair = {"source": [*SPECIAL, *WORDS], "target": [*SPECIAL, *reversed(WORDS)]}
        self.legacy_pair = originals.LegacySeq2Seq(pair["source"], pair["target"])
        options = ("--set", "tokenizer=spaces", "--set", "max_tokens=50", "--set", "reverse=yes")
        self._import("legacy-pair", [self.legacy_pair.state_dict()], [], *options, roles=pair)
        self.chatbots = {}
        for method in ("dot", "general", "concat"):
            self.chatbots[method] = originals.Chatbot(method)
            self._import(f"chatbot-{method}", [self.chatbots[method].checkpoint()], [])
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
        torch.manual_seed(3)  # whose captions differ, whatever was made before
        self.resnet = originals.enlarge(ResNet(config))
        torch.manual_seed(0)
        self.teller = originals.ShowAttendTell(config.output_size)
        names = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
        encoder = {}
        for key, tensor in self.resnet.state_dict().items():
            child, _, rest = key.partition(".")
            encoder[f"resnet.{names[child]}.{rest}"] = tensor
        self.cvnd = originals.Cvnd(config.output_size)
        linear = {f"embed.{key}": tensor for key, tensor in self.cvnd.embed.state_dict().items()}
        decoder = {key: tensor for key, tensor in self.cvnd.state_dict().items() if not key.startswith("embed.")}
        self._import("cvnd", [encoder | linear, decoder], [originals.CVND_WORDS])
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
        checkpoint = {"epoch": 3, "encoder": encoder, "decoder": self.teller.state_dict()}
        self._import("teller", [checkpoint], [WORD_MAP], "--set", f"beams={BEAMS}", "--set", "grid=5")

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
def service(made: Made) -> Iterator[httpx.Client]:
    with serving(made._store, "--engines", "1") as served, httpx.Client(base_url=served.address, timeout=60) as client:
        yield client


def _both_ways(service: httpx.Client, path: str, name: str, inputs: list[str], **options: Any) -> list[tuple[Any, Any]]:
    def ask(inputs: list[str]) -> Any:
        answer = service.post(path, json={"inputs": inputs, "model": name, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return list(zip([ask([text])[0] for text in inputs], ask(inputs), strict=True))


def test_udacity(made: Made, service: httpx.Client) -> None:
    texts = [*sentences(8, seed=1), "Great, GREAT film!!! not-bad xyzzy", "the " * 30 + "bad"]
    values = [made.udacity.positive(text) for text in texts]
    assert max(values) - min(values) > 0.1
    for value, answers in zip(values, _both_ways(service, "/v1/sentiment", "udacity", texts), strict=True):
        for answer in answers:
            assert answer["scores"]["positive"] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("name", ["legacy-1", "legacy-2"])
def test_legacy_sentiment(made: Made, service: httpx.Client, name: str) -> None:
    texts = [*sentences(8, seed=2), "xyzzy film"]
    values = [made.legacy[name].positive(text) for text in texts]
    assert max(values) - min(values) > 0.1
    for value, answers in zip(values, _both_ways(service, "/v1/sentiment", name, texts), strict=True):
        for answer in answers:
            assert answer["scores"]["pos"] == pytest.approx(value, abs=1e-5)


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


@pytest.mark.parametrize("method", ["dot", "general", "concat"])
def test_chatbot(made: Made, service: httpx.Client, method: str) -> None:
    texts = sentences(8, seed=4)
    originals_ = [made.chatbots[method].answer(text) for text in texts]
    assert len({tuple(answer.words) for answer in originals_}) > 2
    answered = _both_ways(service, "/v1/translate", f"chatbot-{method}", texts, logprobs=0)
    for original, answers in zip(originals_, answered, strict=True):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            assert answer["text"] == " ".join(word for word in original.words if word not in ("EOS", "PAD"))
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


@torch.no_grad()
def _memory(made: Made, image: Image.Image) -> torch.Tensor:
    normalised = _normalised(image.resize((256, 256), Image.Resampling.BILINEAR))
    grid = torch.nn.functional.adaptive_avg_pool2d(made.resnet(normalised), 5)
    return grid.permute(0, 2, 3, 1).reshape(25, -1)


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


def test_cvnd(made: Made, service: httpx.Client) -> None:
    pictures = [_picture(seed) for seed in range(6)]
    wanted = []
    for picture in pictures:
        middle = picture.resize((384, 256), Image.Resampling.BILINEAR).crop((80, 16, 304, 240))
        with torch.no_grad():
            wanted.append(made.cvnd.answer(made.resnet(_normalised(middle)).mean((2, 3))))
    assert len({tuple(answer.words) for answer in wanted}) > 2
    for original, answers in zip(wanted, _captions(service, "cvnd", pictures), strict=True):
        for answer in answers:
            assert [token["text"] for token in answer["tokens"]] == original.words
            numbers = [token["logprob"] for token in answer["tokens"]]
            # weights that are enlarged twice enlarge what float32 rounds in the ResNet, too
            assert numbers == pytest.approx(original.log_probs, abs=4e-5)


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


def test_show_attend_and_tell(made: Made, service: httpx.Client) -> None:
    pictures = [_picture(seed) for seed in range(6)]
    found = [made.teller.search(_memory(made, picture), WORD_MAP, BEAMS, 50) for picture in pictures]
    ended = [item for item in found if item is not None]
    assert len({tuple(words) for words, _ in ended}) >= 4
    for expected, answers in zip(found, _captions(service, "teller", pictures), strict=True):
        for answer in answers:
            if expected is not None:
                assert [token["text"] for token in answer["tokens"]] == expected[0]
                assert answer["score"] == pytest.approx(expected[1], abs=2e-5)


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
    assert "mystery.weight (3, 4)" in ran.output
    assert "unroll layouts" in ran.output
    assert not (tmp_path / "store").exists()
