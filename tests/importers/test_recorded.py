"""Small checkpoints that the original repositories' own code wrote, imported by the command: they answer over HTTP like
that code, every recorded case alone and in a batch with all others. Their READMEs say how each was made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import main
from tests.conftest import serving_store

FOLDER = Path(__file__).parent / "recorded"
LAYOUTS = (
    "bentrevett_sentiment_legacy",
    "bentrevett_seq2seq_legacy",
    "cvnd_captioning",
    "pytorch_chatbot",
    "sgrvinod_captioning",
    "udacity_sentiment",
)
TOLERANCE = 1e-5


def _recordings() -> dict[str, tuple[Path, Any]]:
    """By name in the store: the folder, and the recording with its import options."""
    found = {}
    for layout in LAYOUTS:
        file = FOLDER / layout / "expected.json"
        for name, recording in json.loads(file.read_text(encoding="utf8"))["recordings"].items():
            found[name] = (file.parent, recording)
    return found


RECORDINGS = _recordings()


def _of(task: str) -> list[str]:
    return [name for name, (_, recording) in RECORDINGS.items() if recording["task"] == task]


def _import(name: str, store: Path) -> None:
    folder, recording = RECORDINGS[name]
    arguments = ["import", "--name", name, "--store", str(store), "--usual", *recording["options"]]
    for checkpoint in recording["checkpoints"]:
        arguments += ["--checkpoint", str(folder / checkpoint)]
    for vocabulary in recording["vocab"]:
        role, equals, file = vocabulary.rpartition("=")
        arguments += ["--vocab", f"{role}{equals}{folder / file}"]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with all recorded checkpoints."""
    store = tmp_path_factory.mktemp("imported")
    for name in RECORDINGS:
        _import(name, store)
    folder = tmp_path_factory.mktemp("engine")
    with serving_store(store, folder) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def _results(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def _both_ways(ask: Any, inputs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """For each input the answer to it alone and the answer in a batch."""
    return zip([ask([one])[0] for one in inputs], ask(inputs), strict=True)


def _check_sentence(case: Mapping[str, Any], answer: Any) -> None:
    assert [token["text"] for token in answer["tokens"]] == case["tokens"]
    numbers = [token["logprob"] for token in answer["tokens"]]
    if "log_probs" in case:
        assert numbers == pytest.approx(case["log_probs"], abs=TOLERANCE)
    if "score" in case:
        assert answer["score"] == pytest.approx(case["score"], abs=TOLERANCE)
    if "sum_of_log_probs" in case:
        assert sum(numbers) == pytest.approx(case["sum_of_log_probs"], abs=TOLERANCE)
    if "answer" in case:
        assert answer["text"] == case["answer"]
    for step, weights in case.get("attention", {}).items():
        looked_at = answer["attention"]["weights"][int(step)]
        flat = [weight for row in looked_at for weight in (row if isinstance(row, list) else [row])]
        assert flat == pytest.approx(weights, abs=TOLERANCE)


@pytest.mark.parametrize("name", _of("sentiment"))
def test_sentiment(service: httpx.Client, name: str) -> None:
    cases = RECORDINGS[name][1]["cases"]

    def ask(texts: Sequence[str]) -> Any:
        return _results(service.post("/v1/sentiment", json={"inputs": texts, "model": name}))

    for case, answers in zip(cases, _both_ways(ask, [case["text"] for case in cases]), strict=True):
        for answer in answers:
            for label, probability in case["scores"].items():
                assert answer["scores"][label] == pytest.approx(probability, abs=TOLERANCE)


@pytest.mark.parametrize("name", _of("translate"))
def test_translation(service: httpx.Client, name: str) -> None:
    cases = RECORDINGS[name][1]["cases"]
    assert len({tuple(case["tokens"]) for case in cases}) > 5
    options = {"model": name, "logprobs": 0, "attention": any("attention" in case for case in cases)}

    def ask(texts: Sequence[str]) -> Any:
        return _results(service.post("/v1/translate", json={"inputs": texts, **options}))

    for case, answers in zip(cases, _both_ways(ask, [case["text"] for case in cases]), strict=True):
        for answer in answers:
            _check_sentence(case, answer)


@pytest.mark.parametrize("name", _of("caption"))
def test_caption(service: httpx.Client, name: str) -> None:
    recording = RECORDINGS[name][1]
    cases = recording["cases"]
    attends = any("attention" in case for case in cases)
    options = {"model": name, "logprobs": "0", "attention": str(attends).lower()}

    def ask(images: Sequence[bytes]) -> Any:
        upload = [("images", ("image", image)) for image in images]
        return _results(service.post("/v1/caption", files=upload, data=options))

    images = [(FOLDER / "images" / case["image"]).read_bytes() for case in cases]
    for case, answers in zip(cases, _both_ways(ask, images), strict=True):
        for answer in answers:
            _check_sentence(case, answer)
