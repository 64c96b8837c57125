"""Files of Keras: arrays by name of the layer, in every form in which Keras wrote them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import ImportFailed, UnsafeCheckpoint
from app.importers.checkpoint import checkpoint_of
from app.importers.formats import parse
from app.importers.formats.bounds import Bounds
from app.importers.keras_files import is_model, is_settings, with_settings
from app.importers.reading import ForeignObject, read
from tests.importers.importing import imported
from tests.importers.keras_files import archive, by_class, by_layer, layer, model


def numbers(value: float, *shape: int) -> Any:
    return np.full(shape, value, np.float32)


def firsts(found: ForeignObject) -> dict[str, list[float]]:
    """The first number of each array, by layer."""
    return {name: [float(array.flatten()[0]) for array in arrays] for name, arrays in found.state["weights"].items()}


TWELVE = [layer("LSTM", f"mine{number}") for number in range(12)]
GROUPS = {f"lstm{f'_{number}' if number else ''}/cell/vars/0": numbers(number, 2) for number in range(12)}


def test_a_keras_file(tmp_path: Path) -> None:
    config = model(layer("TextVectorization", "words"), layer("Embedding", "emb"), layer("Dropout", "drop"), *TWELVE)
    groups = {"text_vectorization": None, "embedding/vars/0": numbers(7, 3, 2), "dropout/seed_generator/vars/0": [1, 2]}
    lookup = "layers/text_vectorization/_lookup_layer/vocabulary.txt"
    archive(tmp_path / "x.keras", config, groups | GROUPS, {lookup: "\n[UNK]\nthe\n"})
    found = read(tmp_path / "x.keras")
    assert is_model(found)
    assert (found.state["version"], found.state["named"]) == ("3.3.3", True)
    assert found.state["config"] == config
    assert found.state["compile"] == {"loss": "mse"}
    assert firsts(found) == {"emb": [7]} | {f"mine{number}": [number] for number in range(12)}
    assert found.state["assets"] == {"words": {"vocabulary.txt": "\n[UNK]\nthe\n"}}


def test_a_keras_file_that_was_written_on_windows(tmp_path: Path) -> None:
    """Its groups have names such as layers\\lstm\\cell, which are no paths in HDF5."""
    config = model(layer("Bidirectional", "both"), layer("Dropout", "drop"), *TWELVE)
    groups = {
        r"layers\bidirectional\forward_layer\cell/vars/0": numbers(7, 2),
        r"layers\bidirectional\backward_layer\cell/vars/0": numbers(8, 2),
        r"layers\dropout/vars": None,
        **{"layers/".replace("/", "\\") + path.replace("/cell", r"\cell"): array for path, array in GROUPS.items()},
        **{f"layers/lstm_{number}".replace("/", "\\") + "/vars": None for number in range(1, 12)},
    }
    archive(tmp_path / "x.keras", config, groups, root="")
    assert firsts(read(tmp_path / "x.keras")) == {"both": [7, 8]} | {f"mine{n}": [n] for n in range(12)}


def parsed(content: bytes) -> Any:
    """In this process, without the child."""
    return parse(content, Bounds(len(content)))


def test_arrays_of_both_directions_and_of_a_layer_inside() -> None:
    groups = {
        "bidirectional/backward_layer/cell/vars/0": numbers(3, 2),
        "bidirectional/backward_layer/cell/seed_generator/vars/0": numbers(9, 2),
        "bidirectional/forward_layer/cell/vars/1": numbers(2, 2),
        "bidirectional/forward_layer/cell/vars/0": numbers(1, 2),
        "time_distributed/layer/vars/0": numbers(4, 2),
        "sequential/layers/dense/vars/0": numbers(5, 2),
        "sequential/layers/dense_1/vars/10": numbers(7, 2),
        "sequential/layers/dense_1/vars/9": numbers(6, 2),
    }
    found = parsed(by_class(groups)).state["weights"]
    assert {
        name: [float(np.frombuffer(array.content(), "f4")[0]) for array in arrays] for name, arrays in found.items()
    } == {
        "bidirectional": [1, 2, 3],
        "time_distributed": [4],
        "sequential/dense": [5],
        "sequential/dense_1": [6, 7],
        "sequential": [],
    }


@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
def test_weights_take_the_settings_beside_them(root: str, tmp_path: Path) -> None:
    """TensorFlow 2.12 counts layers twice: lstm, lstm_2, lstm_4."""
    inner = model(layer("Dense", "last"), name="block")
    settings = model(layer("LSTM", "lstm_1"), inner, layer("LSTM", "lstm"), kind="Functional") | {
        "keras_version": "2.12.0"
    }
    step = 2 if root != "layers" else 1
    groups = {"lstm/cell/vars/0": numbers(1, 2), f"lstm_{step}/cell/vars/0": numbers(2, 2)}
    groups[f"sequential/{root}/dense/vars/0"] = numbers(3, 2)
    (tmp_path / "x.weights.h5").write_bytes(by_class(groups, root))
    found = read(tmp_path / "x.weights.h5")
    assert (found.state["config"], found.state["named"]) == (None, False)
    assert is_settings(settings)
    named = with_settings(found, settings)
    assert firsts(named) == {"lstm_1": [1], "block/last": [3], "lstm": [2]}
    assert named.state["version"] == "2.12.0"
    with pytest.raises(ImportFailed, match=r"3 layers of class LSTM, and it has the arrays of 2"):
        with_settings(found, model(*TWELVE[:3]))


def test_a_whole_h5_file(tmp_path: Path) -> None:
    inner = model(layer("Dense", "last"), name="block")
    config = model(layer("Bidirectional", "bi"), inner)
    both = [(f"bi/{way}/{name}:0", numbers(n, 2)) for n, (way, name) in enumerate((w, a) for w in "fb" for a in "krb")]
    layers = {"bi": both, "block": [("last/kernel:0", numbers(8, 2))], "drop": []}
    by_layer(tmp_path / "x.h5", layers, config)
    found = read(tmp_path / "x.h5")
    assert (found.state["version"], found.state["config"], found.state["compile"]) == ("2.2.4", config, {"loss": "mse"})
    assert firsts(found) == {"bi": [0, 1, 2, 3, 4, 5], "block/last": [8]}


def test_settings_without_weights_are_no_network(tmp_path: Path) -> None:
    by_layer(tmp_path / "x.h5", {}, model(layer("Embedding", "ids", input_dim=9, output_dim=4)))
    with pytest.raises(ImportFailed, match="the settings of a Keras model and no weights of any layer"):
        checkpoint_of([read(tmp_path / "x.h5")])


def test_weights_of_keras_2(tmp_path: Path) -> None:
    by_layer(tmp_path / "x.h5", {"lstm_1": [("lstm_1/kernel:0", numbers(1, 2))]})
    found = read(tmp_path / "x.h5")
    assert firsts(with_settings(found, model(layer("LSTM", "lstm_1")))) == {"lstm_1": [1]}


def test_arrays_of_other_origin_are_a_dictionary(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["rnn/weight"] = np.arange(4, dtype=">f8")
        file["count"] = np.uint16(7)
    found = read(tmp_path / "x.h5")
    assert found["rnn/weight"].tolist() == [0, 1, 2, 3]
    assert found["count"].item() == 7


def test_a_lambda_inside_another_layer_is_named(tmp_path: Path) -> None:
    config = model(layer("TimeDistributed", "each", layer=layer("Lambda", "squeeze", function={"code": "4wE="})))
    archive(tmp_path / "x.keras", config, {})
    with pytest.raises(UnsafeCheckpoint, match="'squeeze' is a Lambda, which holds a Python program"):
        read(tmp_path / "x.keras")


KITS = Path(os.environ.get("UNROLL_KITS", "/nowhere"))
REFUSED = {"clas_export.pkl", "block_rnn.pt"}


@pytest.mark.slow
@pytest.mark.skipif(not KITS.is_dir(), reason="UNROLL_KITS names the folder of the kits")
def test_every_file_of_the_kits() -> None:
    files = [path for path in KITS.glob("*/*") if path.is_file() and path.suffix not in (".md", ".json")]
    assert files
    for path in files:
        if path.name in REFUSED:
            with pytest.raises(UnsafeCheckpoint):
                read(path)
        else:
            assert read(path) is not None, path


def test_a_folder_of_a_saved_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ImportFailed, match="SavedModel of TensorFlow, which contains a program"):
        read(tmp_path / "model")


@pytest.mark.parametrize(
    ("outputs", "usual", "other"),
    [
        (1, "keras-series-forecaster", "keras-series-classifier"),
        (3, "keras-series-classifier", "keras-series-forecaster"),
    ],
)
def test_weights_alone_over_a_series_are_read_in_either_way(
    outputs: int, usual: str, other: str, tmp_path: Path
) -> None:
    cell = {"0": np.ones((1, 16)), "1": np.ones((4, 16)), "2": np.zeros(16)}
    groups = {f"lstm/cell/vars/{number}": array.astype("float32") for number, array in cell.items()}
    groups |= {"dense/vars/0": np.ones((4, outputs), "float32"), "dense/vars/1": np.zeros(outputs, "float32")}
    (tmp_path / "x.weights.h5").write_bytes(by_class(groups))
    given = (f"--checkpoint={tmp_path / 'x.weights.h5'}", "--usual")
    printed = imported(tmp_path, *given)
    assert f"layout: {usual}" in printed
    assert f"(--layout {other})" in printed.partition("check these")[2]
    printed = imported(tmp_path, *given, f"--layout={other}", name="other")
    assert f"(--layout {other})" not in printed.partition("check these")[2]
