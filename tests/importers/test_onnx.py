"""Graphs of ONNX as state dicts: the walk says what the nodes are, and refuses what it does not know."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.errors import ImportFailed
from app.importers.onnx.graph import Graph, graph_of
from app.importers.reading import ForeignObject

_ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}  # from torch's gates to ONNX's


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"op": op, "name": "", "domain": "", "inputs": inputs, "outputs": outputs, "attributes": attributes}


def _rows(tensor: Tensor, kind: str) -> Tensor:
    blocks = tensor.chunk(len(_ORDERS[kind]))
    return torch.cat([blocks[place] for place in _ORDERS[kind]])


def _graph(kind: str, *after: dict[str, Any], weights: dict[str, Tensor] | None = None) -> ForeignObject:
    """A bidirectional layer of torch as an exporter writes it, and nodes after it."""
    torch.manual_seed(4)
    module = (nn.LSTM if kind == "LSTM" else nn.GRU)(3, 5, bidirectional=True)
    made = {}
    for name, keys in (("W", ("weight_ih",)), ("R", ("weight_hh",)), ("B", ("bias_ih", "bias_hh"))):
        made[name] = torch.stack(
            [
                torch.cat([_rows(module.state_dict()[f"{key}_l0{end}"], kind) for key in keys])
                for end in ("", "_reverse")
            ]
        )
    attributes = {"direction": "bidirectional", "hidden_size": 5} | (
        {"linear_before_reset": 1} if kind == "GRU" else {}
    )
    nodes = [
        _node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        _node(
            kind, ["t", "W", "R", "B", "", "zeros", "zeros"][: 6 if kind == "GRU" else 7], ["sides", "h"], **attributes
        ),
        _node("Transpose", ["sides"], ["turned"], perm=[0, 2, 1, 3]),
        _node("Reshape", ["turned", "joined"], ["y"]),
        *after,
    ]
    constants = {
        "first": torch.tensor(0),
        "last": torch.tensor(-1),
        "joined": torch.tensor([0, 0, -1]),
        "zeros": torch.zeros(2, 1, 5),
        "fc": torch.randn(2, 10),
        "bias": torch.randn(2),
        "minus": torch.tensor([-1]),
        "zero": torch.tensor([0]),
        "one": torch.tensor([1]),
        "two": torch.tensor([2]),
        "seven": torch.tensor([2**62]),
        "pairs": torch.tensor([-1, 5, 6]),
        **(weights or {}),
    }
    graph = {"inputs": {"x": ["batch", 7, 3]}, "initializers": made | constants, "nodes": nodes, "outputs": {}}
    return ForeignObject("onnx.Model", {"producer": "", "opsets": {}, "graph": graph})


BOTH = [
    _node("Gather", ["h", "first"], ["forward"]),
    _node("Gather", ["h", "last"], ["backward"]),
]
JOINED = [_node("Concat", ["forward", "backward"], ["pooled"], axis=1)]
HEAD = _node("Gemm", ["pooled", "fc"], ["answer"], transB=1)


def _read(*after: dict[str, Any], kind: str = "LSTM") -> Graph:
    return graph_of(_graph(kind, *after), "m.onnx")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_are_in_the_order_of_torch(kind: str) -> None:
    graph = _read(*BOTH, _node("Concat", ["forward", "backward"], ["pooled"], axis=1), HEAD, kind=kind)
    torch.manual_seed(4)
    module = (nn.LSTM if kind == "LSTM" else nn.GRU)(3, 5, bidirectional=True)
    for key, tensor in module.state_dict().items():
        assert torch.equal(graph.tensors[f"rnn0.{key}"], tensor), key


@pytest.mark.parametrize(
    ("nodes", "pooling"),
    [
        ([*BOTH, _node("Concat", ["forward", "backward"], ["pooled"], axis=1)], "last"),
        ([*BOTH, _node("Concat", ["backward", "forward"], ["pooled"], axis=1)], "last_backward_first"),
        ([_node("Gather", ["h", "last"], ["pooled"])], "last_backward"),
        ([_node("Gather", ["y", "last"], ["pooled"])], "last_output"),
        ([_node("ReduceMean", ["y"], ["pooled"], axes=[0])], "mean"),
        (
            [
                _node("ReduceMax", ["y"], ["most"], axes=[0]),
                _node("ReduceMean", ["y"], ["mean"], axes=[0]),
                _node("Concat", ["most", "mean"], ["pooled"], axis=1),
            ],
            "max+mean",
        ),
    ],
)
def test_what_the_head_reads(nodes: list[dict[str, Any]], pooling: str) -> None:
    assert _read(*nodes, HEAD).answers["pooling"] == pooling


def test_functions_and_window() -> None:
    graph = _read(
        _node("ReduceSum", ["y"], ["pooled"], axes=[0]), HEAD, _node("Softmax", ["answer"], ["probabilities"])
    )
    assert graph.answers["outputs"] == "softmax"
    assert graph.window == 7
    assert "classifier.weight" in graph.tensors


@pytest.mark.parametrize(
    "nodes",
    [
        [_node("Gather", ["y", "first"], ["pooled"]), HEAD],  # the first output
        [_node("Einsum", ["y"], ["pooled"]), HEAD],
        [_node("LSTM", ["y", "W", "R", "B"], ["z"], clip=3.0)],
        [_node("LSTM", ["x", "W", "R", "B"], ["z"])],  # recurs over the batch
        [_node("Slice", ["x", "zero", "seven", "one", "two"], ["every_other"])],
        [_node("Slice", ["y", "minus", "seven", "two"], ["pooled"]), HEAD],  # the last feature
        [_node("Reshape", ["x", "pairs"], ["z"])],
        [_node("Reshape", ["sides", "joined"], ["pooled"])],  # not of one step
        [_node("Gather", ["y", "last"], ["pooled"], axis=2), HEAD],
        [_node("Gather", ["sides", "last"], ["pooled"]), HEAD],  # the directions are not side by side
        [_node("ReduceMean", ["y"], ["pooled"], axes=[2]), HEAD],
        [_node("ReduceMean", ["y"], ["pooled"]), HEAD],
        [_node("Squeeze", ["y", "zero"], ["pooled"]), HEAD],
        [*BOTH, _node("Concat", ["forward", "backward"], ["pooled"], axis=0), HEAD],
        [*BOTH, *JOINED, _node("Gemm", ["pooled", "fc", "bias"], ["answer"], transB=1, beta=0.5)],
        [*BOTH, *JOINED, HEAD, _node("Gelu", ["answer"], ["z"], approximate="tanh")],
        [*BOTH, *JOINED, HEAD, _node("Softmax", ["answer"], ["z"], axis=0)],
    ],
)
def test_what_is_unknown_is_refused_with_its_name(nodes: list[dict[str, Any]]) -> None:
    with pytest.raises(ImportFailed, match=r"m\.onnx: node .* is not known here"):
        _read(*nodes)


@pytest.mark.parametrize(("shape", "order"), [(["batch", 3, 7], [2, 0, 1]), (["batch", 7, 3], [1, 0, 2])])
def test_the_window_is_the_length_of_the_steps(shape: list[Any], order: list[int]) -> None:
    stub = _graph("LSTM", _node("ReduceMean", ["y"], ["pooled"], axes=[0]), HEAD)
    stub.state["graph"]["inputs"] = {"x": shape}
    stub.state["graph"]["nodes"][0]["attributes"]["perm"] = order
    assert graph_of(stub, "m.onnx").window == 7


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_a_graph_inside_of_a_node_is_named(kind: str) -> None:
    told = rf"m\.onnx: the ONNX graph has graphs inside of its node {kind}, .* only LSTM, GRU and RNN nodes"
    with pytest.raises(ImportFailed, match=told):
        _read(_node(kind, ["y"], ["pooled"]))


def test_an_export_for_one_source_has_steps_of_any_number() -> None:
    stub = _graph("LSTM", _node("ReduceMean", ["y"], ["pooled"], axes=[0]), HEAD)
    stub.state["graph"]["inputs"] = {"x": [1, "t", 3]}
    graph = graph_of(stub, "m.onnx")
    assert (graph.window, graph.answers["pooling"]) == (None, "mean")


@pytest.mark.parametrize("shape", [["batch_size", 1, 3], ["n", 7, 3]])
def test_a_recurrence_over_the_rows_of_a_batch_is_refused(shape: list[Any]) -> None:
    stub = _graph("LSTM", _node("ReduceMean", ["y"], ["pooled"], axes=[0]), HEAD)
    stub.state["graph"]["inputs"] = {"x": shape}
    stub.state["graph"]["nodes"][0]["attributes"]["perm"] = [0, 1, 2]
    with pytest.raises(ImportFailed, match=r"node LSTM .* is not known here"):
        graph_of(stub, "m.onnx")
