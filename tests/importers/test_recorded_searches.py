"""Small checkpoints that the original packages trained answer over HTTP like those packages, greedily and with beams:
every recorded sentence, alone and in a batch with all others; tokens exactly, numbers to 1e-5."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import main
from tests.conftest import serving_store

RECORDED = Path(__file__).parent / "recorded"
TOLERANCE = 1e-5
JOEYNMT: Mapping[str, Sequence[str]] = {
    "lstm_luong": ["init_hidden=zero", "beam_alpha=1.0"],
    "gru_bahdanau": ["beam_alpha=0.6"],
    "lstm_last": ["init_hidden=last", "level=char", "lowercase=yes", "scale=yes", "beam_alpha=1.0"],
}  # values of their config.yaml that are not the usual ones


def _import(name: str, store: Path, checkpoint: Path, options: Sequence[str]) -> None:
    arguments = ["import", "--name", name, "--store", str(store), "--usual", "--checkpoint", str(checkpoint), *options]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with all recorded checkpoints, imported by the command."""
    store = tmp_path_factory.mktemp("recorded")
    for name, settings in JOEYNMT.items():
        folder = RECORDED / "joeynmt" / name
        options = [f"--vocab={role}={folder / file}" for role, file in _VOCABULARIES.items()]
        _import(name, store, folder / "best.ckpt", [*options, *(f"--set={setting}" for setting in settings)])
    _import("opennmt", store, RECORDED / "opennmt" / "m_step_1200.pt", [])
    folder = tmp_path_factory.mktemp("engine")
    with serving_store(store, folder) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


_VOCABULARIES = {"source": "src_vocab.txt", "target": "trg_vocab.txt"}


def _runs(*folders: str) -> list[dict[str, Any]]:
    content = json.loads(RECORDED.joinpath(*folders, "expected.json").read_text(encoding="utf8"))
    runs: list[dict[str, Any]] = content["runs"]
    return runs


def _ask(service: httpx.Client, inputs: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer = service.post("/v1/translate", json={"inputs": inputs, "logprobs": 0, **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def _answers(service: httpx.Client, cases: Sequence[Any], options: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Each case with the answer to it in a batch, and then alone."""
    inputs = [case["input"] for case in cases]
    for case, among_all in zip(cases, _ask(service, inputs, options), strict=True):
        yield case, among_all
        yield case, _ask(service, [case["input"]], options)[0]


@pytest.mark.parametrize("name", JOEYNMT)
@pytest.mark.parametrize("number", range(4))
def test_joeynmt(service: httpx.Client, name: str, number: int) -> None:
    run = _runs("joeynmt", name)[number]
    options = {"model": name, "beams": run["beams"], "max_tokens": run["max_output_length"]}
    if run["beams"] > 1:
        options |= {"n_best": run["n_best"], "length_penalty": run["alpha"]}
    for case, answer in _answers(service, run["cases"], options):
        recorded = [one for one in case["hypotheses"] if one["tokens"] != ["<unk>"]]  # which fills up what is missing
        found = answer.get("hypotheses") or [answer]
        assert [[token["text"] for token in one["tokens"]] for one in found] == [one["tokens"] for one in recorded]
        assert [one["text"] for one in found] == [one["text"] for one in recorded]
        if run["beams"] == 1:
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(recorded[0]["scores"], abs=TOLERANCE)
        else:
            assert [one["score"] for one in found] == pytest.approx(
                [score for one in recorded for score in one["scores"]], abs=TOLERANCE
            )


@pytest.mark.parametrize("number", range(4))
def test_opennmt(service: httpx.Client, number: int) -> None:
    """In greedy decoding OpenNMT reports the log-probability of the last token, so that one is compared."""
    run = _runs("opennmt")[number]
    options = {"model": "opennmt", "beams": run["beams"], "n_best": run["n_best"], "max_tokens": run["max_length"]}
    for case, answer in _answers(service, run["cases"], options):
        recorded = case["hypotheses"]
        found = answer.get("hypotheses") or [answer]
        assert [one["text"] for one in found] == [one["text"] for one in recorded]
        numbers = [answer["tokens"][-1]["logprob"]] if run["beams"] == 1 else [one["score"] for one in found]
        assert numbers == pytest.approx([one["score"] for one in recorded], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["init_hidden=zero", "version=1"], "--set beams=1"),
        pytest.param(["init_hidden=zero", "activation=relu"], "only tanh is supported", marks=pytest.mark.slow),
        pytest.param(
            ["init_hidden=last"],
            "a decoder of size 24 cannot start from the 32 outputs of the encoder",
            marks=pytest.mark.slow,
        ),
        ([], "--set init_hidden=...  model: decoder: init_hidden (last, zero)"),
        pytest.param(["init_hidden=zero", "beam_alpha=much"], "the value must be a number", marks=pytest.mark.slow),
    ],
)
def test_what_joeynmt_has_and_this_has_not(tmp_path: Path, settings: Sequence[str], told: str) -> None:
    folder = RECORDED / "joeynmt" / "lstm_luong"
    arguments = ["import", "--name", "x", "--store", str(tmp_path), "--usual", f"--checkpoint={folder / 'best.ckpt'}"]
    arguments += [f"--vocab={role}={folder / file}" for role, file in _VOCABULARIES.items()]
    ran = CliRunner().invoke(main, [*arguments, *(f"--set={setting}" for setting in settings)])
    assert ran.exit_code == 1
    assert told in ran.output
