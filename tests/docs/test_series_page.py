"""docs/series.md: its network is trained, written, checked and served as printed, and answers as PyTorch does."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from click.testing import CliRunner

from app.cli.main import main
from tests.conftest import serving_store

PAGE = (Path(__file__).parents[2] / "docs" / "series.md").read_text(encoding="utf8")
TRAINING, WRITING, CLASSIFYING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CALLS = re.findall(r"^(curl .*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
ANSWERS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """A service with the model of the page, and the names that the page defines."""
    folder = tmp_path_factory.mktemp("series")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(TRAINING, "training", "exec"), names)  # noqa: S102 - our own page
        exec(compile(WRITING, "writing", "exec"), names)  # noqa: S102
        exec(compile(CLASSIFYING, "classifying", "exec"), names)  # noqa: S102
        checked = CliRunner().invoke(main, ["verify", "--store", "store"])
        assert checked.exit_code == 0, checked.output
    with serving_store(folder / "store", folder) as address:
        yield address, {**names, "folder": folder}


def expected(names: dict[str, Any], series: list[float]) -> list[float]:
    """The forecast of the page's network, with the scaling by hand."""
    low, high = names["low"], names["high"]
    with torch.no_grad():
        scaled = (torch.tensor(series[-12:], dtype=torch.float64) - low) / (high - low)
        outputs: torch.Tensor = names["network"](scaled.float().view(1, 12, 1))[0]
    return [output * (high - low) + low for output in outputs.tolist()]


def run(call: str, address: str, folder: Path) -> tuple[Any, httpx.Response]:
    """Send what a curl command sends; returns its data, too."""
    arguments = shlex.split(call.replace("\\\n", " "))[1:]
    url = next(one for one in arguments if one.startswith("http")).replace("http://127.0.0.1:8000", address)
    header = arguments[arguments.index("-H") + 1].split(": ")
    data = arguments[-1]
    content = (folder / data[1:]).read_bytes() if data.startswith("@") else data.encode()
    return content, httpx.post(url, content=content, headers=[(header[0], header[1])])


def test_the_training_has_30_lines() -> None:
    assert len([line for line in TRAINING.splitlines() if line.strip()]) <= 30


def test_a_forecast(example: tuple[str, dict[str, Any]]) -> None:
    address, names = example
    content, answer = run(CALLS[0], address, names["folder"])
    (result,) = answer.json()["results"]
    forecast = [row[0] for row in result["values"]]
    assert forecast == pytest.approx(expected(names, json.loads(content)["inputs"]), rel=1e-6)
    assert result["interval"] == "1 month"
    assert 300 < forecast[0] < 380  # the season goes on


def test_a_csv(example: tuple[str, dict[str, Any]]) -> None:
    address, names = example
    content, answer = run(CALLS[1], address, names["folder"])
    series = [float(line.split(",")[1]) for line in content.decode().splitlines()[1:]]
    (result,) = answer.json()["results"]
    assert result["values"] == [[pytest.approx(expected(names, series)[0], rel=1e-6)]]


def test_a_label(example: tuple[str, dict[str, Any]]) -> None:
    address, names = example
    content, answer = run(CALLS[2], address, names["folder"])
    scaled = (torch.tensor(json.loads(content)["inputs"]) - names["low"]) / (names["high"] - names["low"])
    with torch.no_grad():
        less, more = names["direction"](scaled.view(1, 12, 1)).softmax(1)[0].tolist()
    (result,) = answer.json()["results"]
    assert result["scores"] == {"less": pytest.approx(less, abs=1e-6), "more": pytest.approx(more, abs=1e-6)}


def test_windows(example: tuple[str, dict[str, Any]]) -> None:
    address, names = example
    content, answer = run(CALLS[3], address, names["folder"])
    series = json.loads(content)["inputs"]
    windows = answer.json()["results"][0]["windows"]
    assert [(window["first"], window["last"]) for window in windows] == [(0, 11), (1, 12), (2, 13)]
    for window in windows:
        read = series[window["first"] : window["last"] + 1]
        assert [row[0] for row in window["values"]] == pytest.approx(expected(names, read), rel=1e-6)


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_the_printed_answer(example: tuple[str, dict[str, Any]], number: int) -> None:
    address, names = example
    _, answer = run(CALLS[number], address, names["folder"])
    assert answer.json() == nearly(ANSWERS[number])


def nearly(value: Any) -> Any:
    """Numbers within 10 %: each processor trains a little differently."""
    if isinstance(value, dict):
        return {name: nearly(item) for name, item in value.items()}
    if isinstance(value, list):
        return [nearly(item) for item in value]
    return pytest.approx(value, rel=0.1, abs=0.05) if isinstance(value, float) else value


def test_each_command_is_run() -> None:
    assert len(CALLS) == len(ANSWERS) == 4
