"""Networks over texts that no repository wrote: recognised by their structure, they answer as the module does."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.importers.importing import answered, asked, imported, run_import, saved
from tests.importers.originals import WORDS, sentences

VOCABULARY = ["<PAD>", "<UNK>", *WORDS]


class Mine(nn.Module):
    """Embedding, recurrence, and a head over what `pool` makes of its outputs; without `pool` over each output."""

    def __init__(
        self,
        recurrence: nn.RNNBase,
        head: nn.Module,
        pool: Callable[["Mine", Tensor, Tensor], Tensor] | None = lambda module, outputs, last: last,
        attention: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(len(VOCABULARY), recurrence.input_size)
        self.encoder = recurrence
        if attention is not None:
            self.attention = attention
        self.classifier = head
        self._pool = pool

    def forward(self, ids: Sequence[int]) -> Tensor:
        outputs, state = self.encoder(self.word_embeddings(torch.tensor(ids)))
        last = state[0] if isinstance(state, tuple) else state
        directions = 2 if self.encoder.bidirectional else 1
        if self._pool is None:
            answer: Tensor = self.classifier(outputs)
            return answer
        pooled = self._pool(self, outputs, torch.cat(list(last[-directions:])))
        answer = self.classifier(pooled.unsqueeze(0))
        return answer[0]


def _ids(text: str) -> list[int]:
    return [VOCABULARY.index(word) if word in VOCABULARY else 1 for word in text.lower().split()]


def _vocabulary(folder: Path, words: Any = VOCABULARY) -> str:
    file = folder / "words.json"
    file.write_text(json.dumps(words))
    return f"--vocab={file}"


def _attend(module: Mine, outputs: Tensor, last: Tensor) -> Tensor:
    weights = torch.softmax(module.attention(outputs), 0)
    return (weights * outputs).sum(0)


USUAL = ("--usual", "--labels=bad,so-so,good", "--set=tokenizer=spaces_lower")
CLASSIFIERS: dict[str, tuple[Callable[[], Mine], tuple[str, ...]]] = {
    "the usual one": (lambda: Mine(nn.LSTM(6, 5), nn.Linear(5, 3)), ()),
    "both directions, forward first": (lambda: Mine(nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 3)), ()),
    "both directions, backward first": (
        lambda: Mine(
            nn.LSTM(6, 5, bidirectional=True),
            nn.Linear(10, 3),
            lambda module, outputs, last: torch.cat((last[5:], last[:5])),
        ),
        ("--set=pooling=last_backward_first",),
    ),
    "a score for each output": (
        lambda: Mine(nn.GRU(6, 5, bidirectional=True), nn.Linear(10, 3), _attend, attention=nn.Linear(10, 1)),
        (),
    ),
    "additive attention": (
        lambda: Mine(
            nn.GRU(6, 5),
            nn.Linear(5, 3),
            _attend,
            attention=nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1, bias=False)),
        ),
        (),
    ),
    "three poolings and a head of two layers": (
        lambda: Mine(
            nn.GRU(6, 5),
            nn.Sequential(nn.Linear(15, 4), nn.ReLU(), nn.Linear(4, 3)),
            lambda module, outputs, last: torch.cat((outputs[-1], outputs.amax(0), outputs.mean(0))),
        ),
        (),
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_answers_as_the_module(tmp_path: Path, name: str) -> None:
    torch.manual_seed(2)
    make, options = CLASSIFIERS[name]
    module = make().eval()
    imported(tmp_path, saved(tmp_path, module), _vocabulary(tmp_path), *USUAL, *options)
    texts = [*sentences(5, seed=3), "xyzzy was here"]
    with torch.no_grad():
        wanted = [module(_ids(text)).softmax(0).tolist() for text in texts]
    for scores, result in zip(wanted, answered(tmp_path, texts), strict=True):
        assert list(result["scores"].values()) == pytest.approx(scores, abs=1e-5)


def test_one_output_is_a_sigmoid_of_the_second_label(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5), nn.Linear(5, 1)).eval()
    printed = imported(tmp_path, saved(tmp_path, module), _vocabulary(tmp_path), "--usual")
    assert "usual: --labels negative,positive" in printed
    (text,) = sentences(1, seed=3)
    (result,) = answered(tmp_path, [text])
    with torch.no_grad():
        assert result["scores"]["positive"] == pytest.approx(module(_ids(text)).sigmoid().item(), abs=1e-5)


def test_what_the_checkpoint_contains_is_found(tmp_path: Path) -> None:
    """Vocabulary, labels and settings beside the weights: nothing of it is asked for."""
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5), nn.Linear(5, 3)).eval()
    content = {
        "model_state_dict": module.state_dict(),
        "vocab": {word: token for token, word in enumerate(VOCABULARY)},
        "idx_to_label": {0: "negative", 1: "neutral", 2: "positive"},
        "epoch": 3,
        "config": {"hidden": 5, "layers": 2},
    }
    printed = imported(tmp_path, saved(tmp_path, content), "--usual")
    assert f"found: source vocabulary: {len(VOCABULARY)} words of model.pt: vocab" in printed
    assert "found: labels: negative, neutral, positive of model.pt: idx_to_label" in printed
    (text,) = sentences(1, seed=3)
    (result,) = answered(tmp_path, [text])
    with torch.no_grad():
        assert list(result["scores"].values()) == pytest.approx(module(_ids(text)).softmax(0).tolist(), abs=1e-5)


def test_labels_are_found_in_a_file_beside_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5), nn.Linear(5, 3))
    labels = tmp_path / "LABEL_vocab.pkl"
    labels.write_bytes(pickle.dumps({"no, never": 0, "perhaps": 1, "yes": 2}))
    arguments = (saved(tmp_path, module), _vocabulary(tmp_path), "--usual")
    assert "labels: no, never, perhaps, yes of LABEL_vocab.pkl" in imported(
        tmp_path, *arguments, f"--checkpoint={labels}"
    )
    imported(tmp_path, *arguments, f"--labels={labels}", name="by-file")
    imported(tmp_path, *arguments, '--labels="no, never",perhaps,yes', name="by-hand")
    for name in ("mine", "by-file", "by-hand"):
        (result,) = answered(tmp_path, ["the film"], name=name)
        assert list(result["scores"]) == ["no, never", "perhaps", "yes"]


def test_a_last_row_is_that_of_unknown_words(tmp_path: Path) -> None:
    """An embedding of one row more than the vocabulary has words."""
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5), nn.Linear(5, 3)).eval()
    imported(tmp_path, saved(tmp_path, module), _vocabulary(tmp_path, [*VOCABULARY[2:], "zebra"]), *USUAL)
    (result,) = answered(tmp_path, [f"{VOCABULARY[3]} xyzzy"])
    with torch.no_grad():
        wanted = module([1, len(VOCABULARY) - 1]).softmax(0).tolist()
    assert list(result["scores"].values()) == pytest.approx(wanted, abs=1e-5)


def test_one_round_asks_for_everything_and_its_command_works(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 3))
    printed = asked(tmp_path, saved(tmp_path, module))
    for part in (
        "layout: text-classifier",
        "--set pooling=last",
        "--set tokenizer=",
        "--vocab source=",
        "--labels 0,1,2",
    ):
        assert part in printed, part
    line = printed.strip().splitlines()[-1].split()
    assert line[:2] == ["unroll", "import"]
    _vocabulary(tmp_path)
    words = [word.replace("SOURCE_VOCABULARY_FILE", str(tmp_path / "words.json")) for word in line[4:]]
    assert "answer to" in imported(tmp_path, *words)


def test_prompts_ask_for_the_same(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 3))
    _vocabulary(tmp_path)
    typed = "\n".join(["last_output", "", "spaces_lower", "", "", str(tmp_path / "words.json"), "bad,so-so,good", ""])
    ran = run_import(tmp_path, saved(tmp_path, module), "--interactive", typed=typed)
    assert ran.exit_code == 0, ran.output
    assert "pooling: last_output" in ran.output
    assert "\nlayout: " in ran.output.partition("labels")[2], "the summary begins a line"
    (result,) = answered(tmp_path, ["the film"])
    assert list(result["scores"]) == ["bad", "so-so", "good"]


def test_readings_are_shown_on_a_text_of_the_users(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Mine(nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 3)).eval()
    text = sentences(1, seed=3)[0]
    printed = asked(
        tmp_path,
        saved(tmp_path, module),
        _vocabulary(tmp_path),
        "--labels=bad,so-so,good",
        "--set=tokenizer=spaces_lower",
        f"--try={text}",
    )
    lines = {line.split(":")[0].strip(): line for line in printed.splitlines() if line.startswith("  --set pooling=")}
    forward, backward = lines["--set pooling=last"], lines["--set pooling=last_backward_first"]
    assert forward.partition(": ")[2] != backward.partition(": ")[2]
    with torch.no_grad():
        score = module(_ids(text)).softmax(0)[0].item()
    assert json.loads(forward.partition(": ")[2])["scores"]["bad"] == pytest.approx(score, abs=1e-4)


TAGS = ["B-PER", "I-PER", "O"]


@pytest.mark.parametrize("kind", ["plain", "pytorch-crf", "tutorial"])
def test_a_tagger_answers_as_the_module(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(2)
    tags = [*TAGS, "<START>", "<STOP>"] if kind == "tutorial" else TAGS
    module = Mine(nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, len(tags)), None).eval()
    state = module.state_dict()
    if kind == "pytorch-crf":
        shapes = {"transitions": (3, 3), "start_transitions": (3,), "end_transitions": (3,)}
        state |= {f"crf.{name}": torch.randn(*shape) * 2 for name, shape in shapes.items()}
    if kind == "tutorial":
        matrix = torch.randn(5, 5)
        matrix[3, :] = matrix[:, 4] = -10000
        state["transitions"] = matrix
    content = {"state_dict": state, "word_to_ix": dict(zip(VOCABULARY, range(99), strict=False)), "tag_to_ix": tags}
    printed = imported(tmp_path, saved(tmp_path, content), "--usual", "--set=tokenizer=spaces_lower")
    assert "layout: tagger" in printed
    text = sentences(1, seed=3)[0]
    (result,) = answered(tmp_path, [text])
    with torch.no_grad():
        logits = module(_ids(text))
    wanted = _best(kind, logits, state, len(tags))
    assert [word["label"] for word in result["tags"]] == [tags[tag] for tag in wanted]


def _best(kind: str, logits: Tensor, state: dict[str, Tensor], tags: int) -> list[int]:
    """The best sequence, by trying all of them for the CRFs."""
    if kind == "plain":
        return logits.argmax(1).tolist()
    if kind == "pytorch-crf":
        start, end = state["crf.start_transitions"], state["crf.end_transitions"]
        pairs = state["crf.transitions"]
    else:
        matrix = state["transitions"]
        start, end, pairs = matrix[:, 3], matrix[4], matrix.T
    paths = torch.cartesian_prod(*[torch.arange(tags)] * len(logits)).view(-1, len(logits))
    scores = start[paths[:, 0]] + end[paths[:, -1]] + logits[torch.arange(len(logits)), paths].sum(1)
    scores = scores + pairs[paths[:, :-1], paths[:, 1:]].sum(1)
    return paths[scores.argmax()].tolist()


class Model(nn.Module):
    """A language model, over an embedding or one-hot rows."""

    def __init__(self, recurrence: nn.RNNBase, words: int, *, one_hot: bool = False) -> None:
        super().__init__()
        self.encoder: nn.Module = nn.Identity() if one_hot else nn.Embedding(words, recurrence.input_size)
        self.lstm = recurrence
        self.decoder = nn.Linear(recurrence.hidden_size, words)
        self._words = words

    def greedy(self, ids: Sequence[int], steps: int, window: int | None = None) -> list[int]:
        made = list(ids)
        with torch.no_grad():
            for _ in range(steps):
                read = torch.tensor(made if window is None else made[-window:])
                rows = nn.functional.one_hot(read, self._words).float() if self._is_one_hot else self.encoder(read)
                outputs, _ = self.lstm(rows)
                made.append(int(self.decoder(outputs[-1]).argmax()))
        return made[len(ids) :]

    @property
    def _is_one_hot(self) -> bool:
        return isinstance(self.encoder, nn.Identity)


@pytest.mark.parametrize("text", ["d", "a bad cab"])
def test_a_model_of_one_hot_characters_continues_as_the_module(tmp_path: Path, text: str) -> None:
    """Udacity's checkpoint has its characters inside. A text begins without a start."""
    letters = ["c", "a", "b", "d", " ", "e"]
    torch.manual_seed(5)
    model = Model(nn.LSTM(6, 8, num_layers=2), 6, one_hot=True)
    content = {"state_dict": model.state_dict(), "tokens": tuple(letters), "n_hidden": 8}
    printed = imported(tmp_path, saved(tmp_path, content), "--usual", "--set=max_tokens=12")
    assert "layout: language-model" in printed
    assert "tokenizer=characters" in printed
    (result,) = answered(tmp_path, [text])
    wanted = "".join(letters[token] for token in model.greedy([letters.index(letter) for letter in text], 12))
    assert result["text"] == wanted.rstrip()


@pytest.mark.parametrize("window", [None, 3])
def test_a_model_of_words_continues_as_the_module(tmp_path: Path, window: int | None) -> None:
    torch.manual_seed(5)
    model = Model(nn.GRU(4, 8), len(VOCABULARY))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    options = [] if window is None else [f"--set=window={window}"]
    imported(tmp_path, saved(tmp_path, model), _vocabulary(tmp_path), "--usual", "--set=max_tokens=8", *options)
    texts = sentences(4, seed=4)
    for text, result in zip(texts, answered(tmp_path, texts), strict=True):
        assert result["text"].split() == [VOCABULARY[token] for token in model.greedy(_ids(text), 8, window)]
