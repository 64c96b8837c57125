"""Imported checkpoints answer over HTTP like the original repositories' own code: every recorded case, alone and in a
batch with all others; tokens exactly, numbers to 1e-5."""

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from app.cli.main import main
from tests.importers.asking import ask, both_ways, import_into, service_of
from tests.importers.kits import KITS, expected, needs_kits
from tests.service.serving import serving

pytestmark = [needs_kits, pytest.mark.slow]
TOLERANCE = 1e-5

SENTIMENT = "bentrevett_sentiment_2024"
SEQ2SEQ = "bentrevett_seq2seq_2024"
TUTORIAL = "pytorch_tutorial_seq2seq"
CAPTIONING = "yunjey_image_captioning"
LANGS = ("--vocab", "source=input_lang.pkl", "--vocab", "target=output_lang.pkl")
VOCABS = ("--vocab", "source=de_vocab.pt", "--vocab", "target=en_vocab.pt")
ENTRIES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "lstm": (SENTIMENT, ["lstm.pt"], ["--vocab", "vocab.pt", "--labels", "neg,pos"]),
    "lstm-uni": (SENTIMENT, ["lstm_uni.pt"], ["--vocab", "vocab.pkl", "--labels", "neg,pos"]),
    "lstm-list": (SENTIMENT, ["lstm.pt"], ["--vocab", "vocab_itos.json", "--labels", "neg,pos"]),
    "tut1": (SEQ2SEQ, ["tut1-model.pt"], VOCABS),
    "tut2": (SEQ2SEQ, ["tut2-model.pt"], VOCABS),
    "tut2-cuda": (SEQ2SEQ, ["tut2-model-cuda.pt"], VOCABS),
    "tut3": (
        SEQ2SEQ,
        ["tut3-model.pt"],
        ["--vocab", "source=de_vocab_itos.json", "--vocab", "target=en_vocab_itos.json"],
    ),
    "attention": (TUTORIAL, ["encoder.pt", "decoder_attn.pt"], LANGS),
    "plain": (TUTORIAL, ["decoder_plain.pt", "encoder_plain.pt"], LANGS),
    "one-file": (TUTORIAL, ["checkpoint_plain.tar"], []),
    "whole": (TUTORIAL, ["whole_objects.pt"], []),
    "of-2017": (TUTORIAL, ["old_encoder.pt", "old_attn_decoder.pt"], LANGS),
    "yunjey": (CAPTIONING, ["encoder-5-3000.ckpt", "decoder-5-3000.ckpt"], ["--vocab", "vocab.pkl"]),
    "yunjey-module": (CAPTIONING, ["encoder-5-3000.ckpt", "decoder-5-3000.ckpt"], ["--vocab", "vocab_module.pkl"]),
}  # by name in the store: the kit, checkpoints, and the other options


def _import(name: str, store: Path) -> None:
    kit, checkpoints, options = ENTRIES[name]
    arguments = []
    for option in options:
        role, equals, file = option.rpartition("=")
        is_file = "." in option
        arguments.append(f"{role}{equals}{KITS / kit / file}" if is_file else option)
    import_into(name, store, [KITS / kit / one for one in checkpoints], arguments)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with all checkpoints of the kits, imported by the command."""
    store = tmp_path_factory.mktemp("imported")
    for name in ENTRIES:
        _import(name, store)
    with service_of(store) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "file"),
    [("lstm", "expected_lstm.json"), ("lstm-list", "expected_lstm.json"), ("lstm-uni", "expected_lstm_uni.json")],
)
def test_sentiment(service: httpx.Client, name: str, file: str) -> None:
    kit = expected(SENTIMENT, file)
    cases = kit["cases"]
    texts = [case["text"] for case in cases]
    for case, answers in zip(cases, both_ways(service, "/v1/sentiment", name, texts), strict=True):
        for answer in answers:
            assert answer["label"] == kit["class_names"][case["predicted_class"]]
            scores = [answer["scores"][label] for label in kit["class_names"]]
            assert scores == pytest.approx(case["probabilities"], abs=TOLERANCE)
            assert answer["polarity"] == pytest.approx(scores[1] - scores[0], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tut1", "expected_tut1.json"),
        ("tut2", "expected_tut2.json"),
        ("tut2-cuda", "expected_tut2.json"),
        ("tut3", "expected_tut3.json"),
    ],
)
def test_bentrevett_seq2seq(service: httpx.Client, name: str, file: str) -> None:
    cases = expected(SEQ2SEQ, file)["cases"]
    texts = [case["text"] for case in cases]
    attends = name == "tut3"
    answered = both_ways(service, "/v1/translate", name, texts, logprobs=0, attention=attends)
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert ["<sos>", *(token["text"] for token in answer["tokens"])] == case["output_tokens"]
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(case["token_logprobs"], abs=TOLERANCE)
            if attends:
                first = answer["attention"]["weights"][0]
                assert first == pytest.approx(case["attention_first_step"], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("attention", "expected_attn.json"),
        ("plain", "expected_plain.json"),
        ("of-2017", "expected_old_attn.json"),
    ],
)
def test_pytorch_tutorial(service: httpx.Client, name: str, file: str) -> None:
    cases = expected(TUTORIAL, file)["cases"]
    texts = [case["text"] for case in cases]
    attends = name != "plain"
    answered = both_ways(service, "/v1/translate", name, texts, logprobs=0, attention=attends)
    for case, answers in zip(cases, answered, strict=True):
        words = case["output_words"]
        for answer in answers:
            ended = ["EOS" if word == "<EOS>" else word for word in words]
            assert [token["text"] for token in answer["tokens"]] == ended
            assert answer["text"] == " ".join(word for word in words if word != "<EOS>")
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(case["logprobs_of_greedy"][: len(numbers)], abs=TOLERANCE)
            if attends:
                first = answer["attention"]["weights"][0]
                assert first == pytest.approx(case["attention_first_step"][: len(first)], abs=TOLERANCE)


def test_text_is_normalised_as_in_the_tutorial(service: httpx.Client) -> None:
    raw, normalised = "Je   vais BIEN", "je vais bien"
    assert ask(service, "/v1/translate", "attention", [raw]) == ask(service, "/v1/translate", "attention", [normalised])


@pytest.mark.parametrize("name", ["one-file", "whole"])
def test_one_file_with_everything(service: httpx.Client, name: str) -> None:
    """Readers of the tutorial save everything in one file in several ways. Other files have the same weights."""
    texts = [case["text"] for case in expected(TUTORIAL, "expected_attn.json")["cases"]]
    answers = ask(service, "/v1/translate", name, texts)
    others = [ask(service, "/v1/translate", other, texts) for other in ("plain", "attention")]
    assert any(
        [answer["text"] for answer in answers] == [answer["text"] for answer in other]
        and [answer["score"] for answer in answers]
        == pytest.approx([answer["score"] for answer in other], abs=TOLERANCE)
        for other in others
    )


@pytest.mark.parametrize("name", ["yunjey", "yunjey-module"])
def test_captions(service: httpx.Client, name: str) -> None:
    """The processor decides in which order the convolutions of 152 layers sum: with AVX2 alone the same code is 2.3e-5
    from the recorded numbers, and 1.3e-5 on another processor with AVX-512 than the one that recorded them."""
    cases = expected(CAPTIONING, "expected.json")["cases"]
    files = [(KITS / CAPTIONING / case["image"]).read_bytes() for case in cases]

    def ask(images: Sequence[bytes]) -> Any:
        answer = service.post(
            "/v1/caption",
            files=[("images", ("image", image)) for image in images],
            data={"model": name, "logprobs": "0"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    alone = [ask([image])[0] for image in files]
    for case, answers in zip(cases, zip(alone, ask(files), strict=True), strict=True):
        for answer in answers:
            printed = case["printed_sentence"]
            assert " ".join(token["text"] for token in answer["tokens"]) == printed
            assert answer["text"] == printed.removeprefix("<start> ").removesuffix(" <end>")
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(case["token_logprobs_20"][: len(numbers)], abs=5e-5)


def _value(name: str, shape: Sequence[int]) -> torch.Tensor:
    """A weight of the full-size network, computed from its name by the kit's rule."""
    source = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1000)
    if name.endswith("running_var"):
        array = source.uniform(0.8, 1.2, shape)
    elif name.endswith("running_mean"):
        array = source.standard_normal(shape) * 0.05
    elif len(shape) == 4:
        array = source.standard_normal(shape) * (2.0 / (shape[0] * shape[2] * shape[3])) ** 0.5
    elif len(shape) == 1 and name.endswith("weight"):
        array = source.uniform(0.8, 1.2, shape) * (0.2 if ".bn3." in name else 1.0)
    elif len(shape) == 1:
        array = source.standard_normal(shape) * 0.05
    else:
        array = source.standard_normal(shape) * (1.5 / shape[1] ** 0.5)
    return torch.from_numpy(array.astype("float32"))


def test_captions_at_full_size(tmp_path: Path) -> None:
    """ResNet-152, and a decoder of usual size."""
    arguments = ["import", "--name", "full", "--store", str(tmp_path / "store"), "--usual"]
    for file, keys in expected(CAPTIONING, "full_size_keys.json").items():
        prefix = file.partition("-")[0] + "/"
        torch.save({key: _value(prefix + key, shape) for key, shape in keys}, tmp_path / file)
        arguments += ["--checkpoint", str(tmp_path / file)]
    ran = CliRunner().invoke(main, [*arguments, "--vocab", str(KITS / CAPTIONING / "vocab.pkl")])
    assert ran.exit_code == 0, ran.output
    kit = expected(CAPTIONING, "expected_full_size.json")
    files = [(KITS / CAPTIONING / case["image"]).read_bytes() for case in kit["cases"]]
    with serving(tmp_path / "store", "--engines", "1") as served:
        options = {"model": "full", "logprobs": "0"}
        upload = [("images", ("image", image)) for image in files]
        answer = httpx.post(f"{served.address}/v1/caption", files=upload, data=options, timeout=120)
    assert answer.status_code == 200, answer.text
    tokenizer = json.loads((tmp_path / "store/full/1/tokenizer.json").read_text(encoding="utf8"))
    words = {number: word for word, number in tokenizer["model"]["vocab"].items()}
    for case, result in zip(kit["cases"], answer.json()["results"], strict=True):
        numbers = [token["logprob"] for token in result["tokens"]]
        ids = case["sampled_ids_20"][: len(numbers)]
        assert [token["text"] for token in result["tokens"]] == [words[number] for number in ids]
        assert numbers == pytest.approx(case["token_logprobs_20"][: len(numbers)], abs=5e-5)
