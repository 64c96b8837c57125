"""Layer norms behind a pooling, and heads over hidden and cell state: imported, they answer over HTTP as the module."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
from torch import Tensor, nn

from tests.conftest import serving_store
from tests.importers.importing import asked, imported, saved
from tests.importers.originals import WORDS, enlarge, sentences

VOCABULARY = ["<pad>", "<unk>", *WORDS]
TEXTS = sentences(7, seed=5)
Pool = Callable[[Tensor, Tensor, Tensor], Tensor]


class Mine(nn.Module):
    """Embedding, recurrence, and a head over what `pool` makes of outputs and last states (directions, hidden)."""

    def __init__(self, recurrence: nn.RNNBase, pool: Pool, width: int, *, norm: bool, inner: bool = False) -> None:
        super().__init__()
        self.emb = nn.Embedding(len(VOCABULARY), recurrence.input_size)
        self.rnn = recurrence
        if norm:
            self.ln = nn.LayerNorm(width)
            nn.init.normal_(self.ln.weight)
            nn.init.normal_(self.ln.bias)
        if inner:
            self.fc1, width = nn.Linear(width, 6), 6
        self.out = nn.Linear(width, 3)
        self._pool, self._norm, self._inner = pool, norm, inner

    def forward(self, text: str) -> list[float]:
        """The probability of each label."""
        outputs, state = self.rnn(self.emb(torch.tensor([VOCABULARY.index(word) for word in text.split()])))
        hidden, cell = state if isinstance(state, tuple) else (state, state)
        features = self._pool(outputs, hidden[-1 - self.rnn.bidirectional :], cell[-1 - self.rnn.bidirectional :])
        if self._norm:
            features = self.ln(features)
        if self._inner:
            features = torch.relu(self.fc1(features))
        answer: Tensor = self.out(features)
        return answer.softmax(0).tolist()


NETWORKS: dict[str, tuple[Callable[[], Mine], tuple[str, ...]]] = {
    "mean": (lambda: Mine(nn.LSTM(6, 5), lambda o, h, c: o.mean(0), 5, norm=True), ("pooling=mean",)),
    "max": (lambda: Mine(nn.GRU(6, 5), lambda o, h, c: o.amax(0), 5, norm=True, inner=True), ("pooling=max",)),
    "sum": (
        lambda: Mine(nn.GRU(6, 5, bidirectional=True), lambda o, h, c: o.sum(0), 10, norm=True),
        ("pooling=sum",),
    ),
    "last": (lambda: Mine(nn.LSTM(6, 5, 2), lambda o, h, c: h[0], 5, norm=True), ("pooling=last",)),
    "both": (lambda: Mine(nn.GRU(6, 5, bidirectional=True), lambda o, h, c: h.flatten(), 10, norm=True), ()),
    "backward-first": (
        lambda: Mine(nn.LSTM(6, 5, bidirectional=True), lambda o, h, c: h.flip(0).flatten(), 10, norm=True),
        ("pooling=last_backward_first",),
    ),
    "mean-and-max": (
        lambda: Mine(nn.GRU(6, 5), lambda o, h, c: torch.cat((o.mean(0), o.amax(0))), 10, norm=True),
        ("pooling=mean+max",),
    ),
    "hidden-and-cell": (
        lambda: Mine(nn.LSTM(6, 5), lambda o, h, c: torch.cat((h[0], c[0])), 10, norm=False),
        ("pooling=last+last_cell",),
    ),
    "cell-and-hidden": (
        lambda: Mine(nn.LSTM(6, 5, 2), lambda o, h, c: torch.cat((c[0], h[0])), 10, norm=True, inner=True),
        ("pooling=last_cell+last",),
    ),
    "cells-of-both": (
        lambda: Mine(
            nn.LSTM(6, 5, bidirectional=True), lambda o, h, c: torch.cat((h.flatten(), c.flatten())), 20, norm=False
        ),
        ("pooling=last+last_cell",),
    ),
    "cell": (lambda: Mine(nn.LSTM(6, 5), lambda o, h, c: c[0], 5, norm=False), ("pooling=last_cell",)),
}


def _given(folder: Path, module: Mine) -> tuple[str, ...]:
    words = folder / "words.json"
    words.write_text(json.dumps(VOCABULARY))
    return saved(folder, module), f"--vocab={words}", "--labels=a,b,c", "--set=tokenizer=spaces_lower"


@pytest.fixture(scope="module")
def modules() -> dict[str, Mine]:
    torch.manual_seed(2)
    made = {name: make() for name, (make, _) in NETWORKS.items()}
    for module in made.values():
        enlarge(module)
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, modules: dict[str, Mine]) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    for name, module in modules.items():
        options = [f"--set={value}" for value in NETWORKS[name][1]]
        imported(folder, *_given(folder, module), *options, "--usual", name=name)
    return folder / "store"


@pytest.fixture(scope="module")
def service(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving_store(store, tmp_path_factory.mktemp("engine")) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield http


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_service_answers_as_the_module(service: httpx.Client, modules: dict[str, Mine], name: str) -> None:
    """All texts in one request, and each beginning of one by an explanation."""
    results = service.post("/v1/classify", json={"model": name, "inputs": TEXTS}).raise_for_status().json()["results"]
    for text, result in zip(TEXTS, results, strict=True):
        assert list(result["scores"].values()) == pytest.approx(modules[name](text), abs=1e-5)
    body = {"model": name, "inputs": TEXTS[0], "explain": True}
    (result,) = service.post("/v1/classify", json=body).raise_for_status().json()["results"]
    words = TEXTS[0].split()
    steps = result["explanation"]["probabilities"]
    assert len(steps) == len(words)
    for count, step in enumerate(steps, 1):
        assert step == pytest.approx(modules[name](" ".join(words[:count])), abs=1e-4)


def test_where_a_norm_is_and_what_the_head_reads_are_asked(tmp_path: Path, modules: dict[str, Mine]) -> None:
    printed = asked(tmp_path, *_given(tmp_path, modules["mean"]))
    assert "whether this norm is before or after the pooling is not in the file" in printed
    assert "--set norm_at=" in printed
    printed = asked(tmp_path, *_given(tmp_path, modules["hidden-and-cell"]))
    assert "last+last_cell: hidden and cell state, cat(h[-1], c[-1])" in printed
    printed = asked(tmp_path, *_given(tmp_path, modules["mean-and-max"]))
    assert "norm after the recurrence: ln" in printed
    assert "norm_at" not in printed  # by its size it is behind the pooling


def test_readings_differ_by_the_place_of_a_norm(tmp_path: Path, modules: dict[str, Mine]) -> None:
    """Each reading is one that the network answers with."""
    printed = imported(
        tmp_path, *_given(tmp_path, modules["mean"]), "--set=pooling=mean", "--usual", f"--try={TEXTS[0]}"
    )
    assert "--set norm_at=outputs" in printed
    assert "not supported" not in printed


def test_a_layer_norm_over_half_of_the_states_is_refused_with_its_reason(tmp_path: Path) -> None:
    module = Mine(nn.GRU(6, 5, bidirectional=True), lambda o, h, c: h[0], 5, norm=True)
    printed = asked(tmp_path, *_given(tmp_path, module), "--set=pooling=last_forward", "--usual")
    assert "a layer norm after pooling last_forward is not supported: it is over half of the states" in printed
