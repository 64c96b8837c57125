"""What the files of an import do not tell is asked, offered or refused: an import never guesses without a word."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved
from tests.importers.originals import WORDS, sentences
from tests.importers.test_mended import Student

VOCABULARY = ["<pad>", "<unk>", *WORDS]
TEXTS = sentences(4, seed=3)


def _ids(text: str) -> list[int]:
    return [VOCABULARY.index(word) if word in VOCABULARY else 1 for word in text.lower().split()]


def _words(folder: Path) -> str:
    (folder / "words.json").write_text(json.dumps(VOCABULARY))
    return f"--vocab={folder / 'words.json'}"


class Attentive(nn.Module):
    """An LSTM in both directions whose attention is bare parameters."""

    def __init__(self, score: Callable[["Attentive", Tensor], Tensor], **bare: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 6)
        self.lstm = nn.LSTM(6, 4, bidirectional=True)
        for name, tensor in bare.items():
            self.register_parameter(name, nn.Parameter(tensor))
        self.fc1 = nn.Linear(8, 5)
        self.fc = nn.Linear(5, 3)
        self._score = score

    def forward(self, ids: list[int]) -> Tensor:
        outputs, _ = self.lstm(self.embedding(torch.tensor(ids)))
        weights = self._score(self, outputs).flatten().softmax(0)
        answer: Tensor = self.fc(self.fc1(torch.relu(weights @ outputs))).softmax(0)
        return answer


SCORES: dict[str, tuple[Callable[[Attentive, Tensor], Tensor], dict[str, tuple[int, ...]]]] = {
    "a vector": (lambda module, outputs: torch.tanh(outputs) @ module.get_parameter("w"), {"w": (8,)}),
    "a vector in three dimensions": (
        lambda module, outputs: torch.tanh(outputs) @ module.get_parameter("att_weight")[0],
        {"att_weight": (1, 8, 1)},
    ),
    "a matrix and a vector": (
        lambda module, outputs: torch.tanh(outputs @ module.get_parameter("w_omega")) @ module.get_parameter("u_omega"),
        {"w_omega": (8, 8), "u_omega": (8, 1)},
    ),
    "a matrix, a bias and a vector": (
        lambda module, outputs: (
            torch.tanh(outputs @ module.get_parameter("weight_W") + module.get_parameter("bias_W"))
            @ module.get_parameter("weight_proj")
        ),
        {"weight_W": (8, 7), "bias_W": (7,), "weight_proj": (7, 1)},
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name.startswith("a matrix") else name for name in SCORES]
)
def test_attention_of_bare_parameters_answers_as_the_module(tmp_path: Path, name: str) -> None:
    torch.manual_seed(4)
    score, shapes = SCORES[name]
    module = Attentive(score, **{key: torch.randn(shape) for key, shape in shapes.items()}).eval()
    given = (saved(tmp_path, module), _words(tmp_path), "--labels=a,b,c", "--set=tokenizer=spaces_lower")
    assert "--set attended=" in asked(tmp_path, *given)
    imported(tmp_path, *given, "--usual", "--set=attended=relu", "--set=activation=none")
    with torch.no_grad():
        for text, result in zip(TEXTS, answered(tmp_path, TEXTS), strict=True):
            assert list(result["scores"].values()) == pytest.approx(module(_ids(text)).tolist(), abs=1e-5)


def test_a_length_asks_for_its_sides(tmp_path: Path) -> None:
    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    (tmp_path / "vocab.json").write_text(json.dumps({"word_to_idx": numbers, "max_len": 9}))
    state = nn.ModuleDict({"embedding": nn.Embedding(len(VOCABULARY), 5), "lstm": nn.LSTM(5, 4), "fc": nn.Linear(4, 2)})
    given = (saved(tmp_path, state), f"--checkpoint={tmp_path / 'vocab.json'}")
    printed = asked(tmp_path, *given)
    assert "layout: text-classifier" in printed
    assert "--set length=9" in printed
    assert "--set padding=right" in printed
    assert "--set truncating=" in printed
    assert "--set outputs=" in printed
    assert "--layout tagger" in printed
    assert "--set padding=" not in asked(tmp_path, *given, "--set=length=none")


def test_a_file_of_tags_makes_a_tagger(tmp_path: Path) -> None:
    state = nn.ModuleDict(
        {"emb": nn.Embedding(len(VOCABULARY), 5), "rnn": nn.GRU(5, 4, bidirectional=True), "fc1": nn.Linear(8, 3)}
    )
    (tmp_path / "tags.json").write_text(json.dumps({"0": "x", "1": "y", "2": "z"}))
    printed = asked(tmp_path, saved(tmp_path, state), _words(tmp_path), f"--checkpoint={tmp_path / 'tags.json'}")
    assert "layout: tagger" in printed


def test_marks_around_a_sentence_have_no_tag(tmp_path: Path) -> None:
    torch.manual_seed(5)
    words = [*VOCABULARY, "<s>", "</s>"]
    embedding, lstm, fc = nn.Embedding(len(words), 6), nn.LSTM(6, 4, bidirectional=True), nn.Linear(8, 3)
    state = nn.ModuleDict({"embedding": embedding, "lstm": lstm, "hidden2tag": fc})
    (tmp_path / "words.json").write_text(json.dumps(words))
    imported(
        tmp_path,
        saved(tmp_path, state),
        f"--vocab={tmp_path / 'words.json'}",
        "--labels=x,y,z",
        "--usual",
        "--set=tokenizer=spaces_lower",
        "--set=prepend=<s>",
        "--set=append=</s>",
    )
    for text, result in zip(TEXTS, answered(tmp_path, TEXTS), strict=True):
        ids = [words.index("<s>"), *_ids(text), words.index("</s>")]
        with torch.no_grad():
            outputs, _ = lstm(embedding(torch.tensor(ids)))
            wanted = fc(outputs)[1:-1].argmax(1).tolist()
        assert [word["label"] for word in result["tags"]] == ["xyz"[tag] for tag in wanted]


@pytest.mark.parametrize("place", ["beside the state dict", "buffers of the module"])
def test_mean_and_std_beside_the_weights_are_the_scaler(tmp_path: Path, place: str) -> None:
    torch.manual_seed(6)
    state = dict(nn.ModuleDict({"rnn": nn.GRU(2, 4), "out": nn.Linear(4, 2)}).state_dict())
    numbers = {"mean": torch.tensor([2.0, 20.0]), "std": torch.tensor([3.0, 4.0])}
    lightning = {"state_dict": state, "hyper_parameters": {"window": 7}, "epoch": 1, **numbers}
    content = lightning if place == "beside the state dict" else {**state, **numbers}
    printed = imported(tmp_path, saved(tmp_path, content), "--usual")
    assert "standard scaling of 2 columns" in printed


def test_a_mapping_that_leaves_tensors_out_is_refused(tmp_path: Path) -> None:
    state = Student().state_dict() | {"cnn.weight": torch.ones(3, 2, 2, 2)}
    mapping = tmp_path / "mapping.json"
    parts = {"encoder.embedding": "embedding", "encoder.recurrence": "lstm", "output": "fc"}
    given = (saved(tmp_path, state), "--layout=generic-classifier", f"--set=mapping={mapping}", "--usual")
    mapping.write_text(json.dumps({"parts": parts}))
    printed = asked(tmp_path, *given, _words(tmp_path))
    assert "no part of the mapping file reads cnn" in printed or "vocabulary has" in printed
    mapping.write_text(json.dumps({"parts": parts | {"output": ""}}))
    assert "names no keys for output" in asked(tmp_path, *given, _words(tmp_path))


class Normed(nn.Module):
    """A norm after the recurrence or behind the function of a layer."""

    def __init__(self, norm: str, order: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 6)
        self.lstm = nn.GRU(6, 4, bidirectional=True)
        if norm == "recurrence":
            self.bn = nn.BatchNorm1d(8)
        self.fc1 = nn.Linear(8, 5)
        if norm == "head":
            self.bn = nn.BatchNorm1d(5)
        self.fc2 = nn.Linear(5, 3)
        self._norm, self._order = norm, order
        nn.init.normal_(self.bn.weight)
        nn.init.normal_(self.bn.bias)
        self.bn.running_mean = torch.randn(len(self.bn.weight))
        self.bn.running_var = torch.rand(len(self.bn.weight)) + 0.5

    def forward(self, ids: list[int]) -> Tensor:
        outputs, last = self.lstm(self.embedding(torch.tensor(ids)))
        if self._norm == "recurrence":
            pooled = {
                "pooled last": lambda: self.bn(torch.cat((last[-1], last[-2])).unsqueeze(0)),
                "pooled max": lambda: self.bn(outputs.amax(0, keepdim=True)),
                "outputs max": lambda: self.bn(outputs).amax(0, keepdim=True),
            }[self._order]()
            answer: Tensor = self.fc2(torch.relu(self.fc1(pooled)))
            return answer[0].softmax(0)
        hidden = self.fc1(outputs.amax(0, keepdim=True))
        hidden = self.bn(torch.relu(hidden)) if self._order == "after" else torch.relu(self.bn(hidden))
        answer = self.fc2(hidden)
        return answer[0].softmax(0)


@pytest.mark.parametrize(
    ("norm", "order", "options"),
    [
        ("recurrence", "pooled last", ("--set=norm_at=pooled", "--set=pooling=last_backward_first")),
        pytest.param("recurrence", "pooled max", ("--set=norm_at=pooled", "--set=pooling=max"), marks=pytest.mark.slow),
        ("recurrence", "outputs max", ("--set=norm_at=outputs", "--set=pooling=max")),
        ("head", "after", ("--set=head_norm=after", "--set=pooling=max")),
        pytest.param("head", "before", ("--set=head_norm=before", "--set=pooling=max"), marks=pytest.mark.slow),
    ],
)
def test_the_place_of_a_norm_is_asked(tmp_path: Path, norm: str, order: str, options: tuple[str, ...]) -> None:
    torch.manual_seed(8)
    module = Normed(norm, order).eval()
    given = (saved(tmp_path, module), _words(tmp_path), "--labels=a,b,c", "--set=tokenizer=spaces_lower")
    assert options[0].replace("--set=", "--set ").rpartition("=")[0] in asked(tmp_path, *given)
    imported(tmp_path, *given, *options, "--usual")
    with torch.no_grad():
        for text, result in zip(TEXTS, answered(tmp_path, TEXTS), strict=True):
            assert list(result["scores"].values()) == pytest.approx(module(_ids(text)).tolist(), abs=1e-5)


def test_cells_in_a_row_are_layers(tmp_path: Path) -> None:
    torch.manual_seed(9)
    first, second, linear = nn.LSTMCell(1, 5), nn.LSTMCell(5, 5), nn.Linear(5, 1)
    state = nn.ModuleDict({"lstm1": first, "lstm2": second, "linear": linear})
    printed = imported(tmp_path, saved(tmp_path, state), "--usual", "--scaler=none")
    assert "layout: series-forecaster" in printed
    series = [0.1, 0.7, -0.4, 0.2]
    one = two = None
    with torch.no_grad():
        for value in series:
            one = first(torch.tensor([[value]]), one)
            two = second(one[0], two)
        assert two is not None
        wanted = linear(two[0]).item()
    (result,) = answered(tmp_path, [JsonSeries([[value] for value in series])])
    assert result["values"][0][0] == pytest.approx(wanted, abs=1e-5)


def test_thousands_of_columns_are_asked_in_short(tmp_path: Path) -> None:
    state = nn.ModuleDict({"rnn": nn.RNN(3000, 4), "fc": nn.Linear(4, 1)})
    printed = asked(tmp_path, saved(tmp_path, state))
    assert "--features x1..x3000" in printed
    assert "tf-idf" in printed
    assert len(printed) < 4000
    imported(tmp_path, saved(tmp_path, state), "--usual", "--features=x1..x3000")
