"""Versions as ONNX: our own reader reads the graph, and onnxruntime, where it is installed, answers as the network."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import main
from app.errors import ExportFailed
from app.export.comparison import onnx_difference
from app.export.onnx.network import write_onnx
from app.importers.reading import read
from tests.export.test_pytorch import MODELS, WRITTEN, network_of

STEPWISE = {"forecast-state", "forecast-window", "forecast-decoder", "tag-crf"}
GRAPHS = [name for name in WRITTEN if name not in STEPWISE and MODELS[name].task != "translation"]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_answers_as_the_network(tmp_path: Path, name: str) -> None:
    network = network_of(MODELS[name])
    write_onnx(MODELS[name], network, tmp_path)
    differs = onnx_difference(MODELS[name], network, tmp_path)
    if find_spec("onnxruntime") is None:
        assert differs is None
        pytest.skip("NOT COMPARED: onnxruntime is not installed")
    assert differs is not None
    assert differs < 1e-4


def test_a_graph_is_what_a_reader_of_onnx_expects(tmp_path: Path) -> None:
    """Read as a foreign file, in the confined process."""
    draft = MODELS["classify-convolutions"]
    write_onnx(draft, network_of(draft), tmp_path)
    model = read(tmp_path / "model.onnx")
    assert model.name == "onnx.Model"
    graph = model.state["graph"]
    assert model.state["opsets"] == {"": 17}
    assert [node["op"] for node in graph["nodes"]].count("LSTM") == 1
    (lstm,) = (node for node in graph["nodes"] if node["op"] == "LSTM")
    assert lstm["attributes"]["direction"] in ("bidirectional", b"bidirectional")
    weights = graph["initializers"][lstm["inputs"][1]]
    assert tuple(weights.shape) == (2, 32, 8)
    assert list(graph["inputs"]) == ["ids"]
    assert list(graph["outputs"]) == ["scores"]


@pytest.mark.parametrize(
    "name", [*sorted(STEPWISE), "translate-en-ko", "caption-en", "classify-digits-motion", "tag-stages"]
)
def test_what_is_no_graph_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportFailed, match=r"one pass|CRF|images|masked"):
        write_onnx(MODELS[name], network_of(MODELS[name]), tmp_path)


def test_the_command(tiny_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    ran = CliRunner().invoke(main, ["export", "lm-en", str(folder), "--format", "onnx", "--store", str(tiny_store)])
    assert ran.exit_code == 0, ran.output
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "manifest.json", "tokenizer.json"}
