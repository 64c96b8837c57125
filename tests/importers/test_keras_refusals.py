"""What a Keras model may have that is not supported is named, with the layer."""

from typing import Any

import pytest
import torch

from app.errors import ImportFailed
from app.importers.keras.classifiers import classifier
from app.importers.keras.understood import understand
from app.importers.keras.unfolding import graph_of
from app.importers.keras.weights_alone import with_usual_settings
from app.importers.keras_model import KerasModel
from tests.importers.keras_numpy import Settings
from tests.importers.keras_stacks import Stack


def _model(*layers: Settings) -> KerasModel:
    config = {"class_name": "Sequential", "config": {"layers": list(layers)}}
    arrays = {
        "ids": [torch.zeros(9, 4)],
        "lstm": [torch.zeros(4, 12), torch.zeros(3, 12), torch.zeros(12)],
        "dense": [torch.zeros(3, 2), torch.zeros(2)],
    }
    return KerasModel("3.0.0", config, arrays)


def _layer(kind: str, name: str, **config: Any) -> Settings:
    return {"class_name": kind, "config": {"name": name, **config}}


IDS = _layer("Embedding", "ids", input_dim=9, output_dim=4, batch_shape=[None, 5])
LSTM = _layer("LSTM", "lstm", units=3, activation="tanh", recurrent_activation="sigmoid")
DENSE = _layer("Dense", "dense", units=2, activation="softmax")


def test_the_model_of_these_tests_is_taken() -> None:
    assert understand(_model(IDS, LSTM, DENSE)).kind == "classifier"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([IDS, LSTM, _layer("Lambda", "twice"), DENSE], "Lambda.*code of its author"),
        ([IDS, LSTM, {**_layer("Own", "own"), "registered_name": "mine>Own"}, DENSE], "mine>Own.*code of its author"),
        ([IDS, LSTM, {**_layer("Own", "own"), "module": "__main__"}, DENSE], "'Own'.*code of its author"),
        ([IDS, LSTM, _layer("CapsuleNetwork", "caps"), DENSE], "layer 'caps' .CapsuleNetwork.*supported are .*LSTM"),
        ([IDS, _layer("LSTM", "lstm", units=3, activation="mish"), DENSE], "layer 'lstm' .LSTM.*'mish'.*softsign"),
        ([IDS, _layer("LSTM", "lstm", units=5), DENSE], "layer 'lstm'.*shapes"),
        ([IDS, LSTM, _layer("Dense", "dense", units=7)], "layer 'dense'.*shape"),
        ([IDS, _layer("ConvLSTM2D", "rows"), DENSE], "layer 'rows' .ConvLSTM2D"),
        ([IDS, _layer("TimeDistributed", "each", layer=_layer("Flatten", "flat")), LSTM], "layer 'each'.*Flatten"),
        ([IDS, _layer("Bidirectional", "both", layer=LSTM, merge_mode=None), DENSE], "merge_mode None"),
    ],
)
def test_refusals(layers: list[Settings], message: str) -> None:
    with pytest.raises(ImportFailed, match=message):
        understand(_model(*layers))


def test_a_model_that_is_code() -> None:
    model = KerasModel("3.0.0", {"class_name": "Translator", "config": {"units": 3}}, {})
    with pytest.raises(ImportFailed, match=r"describe a Translator.*Sequential and functional"):
        understand(model)


def test_a_network_without_a_recurrence() -> None:
    mean = _layer("GlobalAveragePooling1D", "mean")
    with pytest.raises(ImportFailed, match="no recurrent layer"):
        classifier(understand(_model(IDS, mean, _layer("Activation", "end", activation="softmax"))))


def test_weights_alone_are_taken_as_they_usually_are() -> None:
    stack = Stack(1, keras=3, features=None)
    stack.embed(mask=False)
    arrays = {name: [torch.from_numpy(array).float() for array in stack.arrays[0]] for name in ("embedding",)}
    cell = [torch.randn(4, 8), torch.randn(2, 8), torch.randn(8)]
    arrays |= {"bidirectional": [*cell, *cell], "dense": [torch.randn(4, 1), torch.randn(1)]}
    understood = understand(with_usual_settings(KerasModel(None, None, arrays)))
    architecture, _ = classifier(understood)
    assert architecture.describe() == "bidirectional LSTM-2 encoder over 9 tokens, last pooling, 2 labels"


def test_weights_alone_with_other_layers_need_the_settings() -> None:
    arrays = {"embedding": [torch.zeros(9, 4)], "normalization": [torch.zeros(4)]}
    with pytest.raises(ImportFailed, match=r"'normalization'.*model.to_json"):
        with_usual_settings(KerasModel(None, None, arrays))


def test_numbers_of_a_text_have_no_task() -> None:
    model = _model(IDS, LSTM, _layer("Dense", "dense", units=2))
    trained = KerasModel(model.version, model.config, model.weights, compile={"loss": "mse"})
    with pytest.raises(ImportFailed, match="makes 2 numbers of a text, trained with the loss 'mse'"):
        understand(trained).kind  # noqa: B018


def _calling(inner: Settings, times: int) -> Settings:
    """A functional model that calls another so many times."""
    source = {**_layer("InputLayer", "source", batch_shape=[None, 5]), "inbound_nodes": []}
    caller = {**inner, "name": "inner", "inbound_nodes": [[["source", 0, 0, {}]]] * times}
    ends = {"input_layers": [["source", 0, 0]], "output_layers": [["source", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": [source, caller], **ends}}


def test_models_without_layers_count_too() -> None:
    config: Settings = {"class_name": "Sequential", "config": {"layers": []}}
    for _ in range(4):
        config = _calling(config, 100)
    with pytest.raises(ImportFailed, match="more than 2,000 layers"):
        graph_of(KerasModel("2.9.0", config, {}))


def test_layers_may_stand_in_any_order() -> None:
    source = {**_layer("InputLayer", "d0", batch_shape=[None, 5]), "inbound_nodes": []}
    layers = [
        {**_layer("Dropout", f"d{number}"), "inbound_nodes": [[[f"d{number - 1}", 0, 0, {}]]]}
        for number in range(1, 1500)
    ]
    config = {"layers": [*layers[::-1], source], "input_layers": [["d0", 0, 0]], "output_layers": [["d1499", 0, 0]]}
    graph = graph_of(KerasModel("2.9.0", {"class_name": "Functional", "config": config}, {}))
    assert [call.layer.name for call in graph.calls] == [f"d{number}" for number in range(1500)]
