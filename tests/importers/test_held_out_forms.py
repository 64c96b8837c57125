"""Forms of networks that nobody wrote Unroll for: one round asks for what the file does not tell, and the version
answers as the module. Each is small, and made here."""

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.importers.importing import answered, asked, imported, saved
from tests.importers.originals import WORDS, enlarge, sentences

VOCABULARY = ["<pad>", "<unk>", *WORDS]
TEXTS = sentences(4, seed=7)
NUMBERS = {word: number for number, word in enumerate(VOCABULARY)}


class Net(nn.Module):
    """An embedding, recurrences, perhaps other parts, and how they are joined."""

    def __init__(self, forward: Callable[["Net", Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._forward = forward

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)

    def forward(self, ids: Tensor) -> Tensor:
        return self._forward(self, ids)


def _embedding(size: int = 6) -> nn.Embedding:
    return nn.Embedding(len(VOCABULARY), size)


def _ids(text: str) -> list[int]:
    return [NUMBERS.get(word, 1) for word in text.lower().split()]


def _padded(text: str) -> list[int]:
    return [*_ids(text), *[0] * 20][:20]


def _kaggle(net: Net, ids: Tensor) -> Tensor:
    outputs, _ = net.lstm(net.embedding(ids))
    outputs, _ = net.gru(outputs)
    pooled = torch.cat((outputs.mean(0), outputs.amax(0)))
    return net.out(torch.relu(net.linear(pooled))).sigmoid()  # type: ignore[no-any-return]


def _attending(net: Net, ids: Tensor) -> Tensor:
    outputs, (last, _) = net.lstm(net.emb(ids))
    weights = (outputs @ last.flatten()).softmax(0)
    return net.out(weights @ outputs).softmax(0)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Form:
    """`said` are questions that the user must see, `options` the answers that are not the usual ones. `beside` is what
    the checkpoint has next to the weights."""

    make: Callable[[], Net]
    options: Sequence[str] = ()
    said: Sequence[str] = ()
    beside: Mapping[str, Any] = field(default_factory=lambda: {"vocab": NUMBERS, "classes": ["a", "b", "c"]})
    ids: Callable[[str], list[int]] = _ids


FORMS = {
    "the last output of both directions, classes beside the weights": Form(
        lambda: Net(
            lambda net, ids: net.hidden2label(net.bilstm(net.word_embeddings(ids))[0][-1]).softmax(0),
            word_embeddings=_embedding(),
            bilstm=nn.LSTM(6, 4, bidirectional=True),
            hidden2label=nn.Linear(8, 3),
        ),
        ("--set=pooling=last_output",),
        ("--set pooling=last ",),
        {"model_state_dict": ..., "vocab": NUMBERS, "label2id": {"a": 0, "b": 1, "c": 2}, "epoch": 7},
    ),
    "the mean over a text that is padded on the right": Form(
        lambda: Net(
            lambda net, ids: net.out(net.rnn(net.emb(ids))[0].mean(0)).softmax(0),
            emb=_embedding(),
            rnn=nn.GRU(6, 4, 2),
            out=nn.Linear(4, 3),
        ),
        ("--set=pooling=mean", "--set=length=20"),
        ("--set length=none", "--set padding=right", "--set truncating=right"),
        ids=_padded,
    ),
    "the sum over outputs, a head with dropouts": Form(
        lambda: Net(
            lambda net, ids: net.head(net.rnn(net.emb(ids))[0].sum(0)).softmax(0),
            emb=_embedding(),
            rnn=nn.LSTM(6, 4),
            head=nn.Sequential(nn.Dropout(), nn.Linear(4, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)),
        ),
        ("--set=pooling=sum",),
        ("--set pooling=last ", "--set activation=relu"),
        {"net": ..., "args": {"hidden": 4}, "stoi": NUMBERS, "classes": ["a", "b", "c"]},
    ),
    "independent labels over a mean and a maximum": Form(
        lambda: Net(
            _kaggle,
            embedding=_embedding(),
            lstm=nn.LSTM(6, 4, bidirectional=True),
            gru=nn.GRU(8, 3, bidirectional=True),
            linear=nn.Linear(12, 5),
            out=nn.Linear(5, 3),
        ),
        ("--set=outputs=sigmoid",),
        ("--set outputs=softmax", "--set pooling=mean+max", "--set activation=relu"),
    ),
    "the backward half first, through DataParallel": Form(
        lambda: Net(
            lambda net, ids: net.linear(net.gru(net.embed(ids))[1].flip(0).flatten()).softmax(0),
            embed=_embedding(),
            gru=nn.GRU(6, 4, bidirectional=True),
            linear=nn.Linear(8, 3),
        ),
        ("--set=pooling=last_backward_first",),
        ("which of the two directions the head reads first",),
    ),
    "a function before a norm, as the places in a Sequential say": Form(
        lambda: Net(
            lambda net, ids: net.head(net.rnn(net.emb(ids))[1][0][-1:])[0].softmax(0),
            emb=_embedding(),
            rnn=nn.LSTM(6, 4),
            head=nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 3)),
        ),
        (),
        ("--set head_norm=after",),
    ),
    "attention of the last states, which has no weights": Form(
        lambda: Net(
            lambda net, ids: _attending(net, ids),
            emb=_embedding(),
            lstm=nn.LSTM(6, 4, bidirectional=True),
            out=nn.Linear(8, 3),
        ),
        ("--set=pooling=attention_dot",),
        ("softmax(outputs @ last state)",),
    ),
    "weights of layers as lengths and directions": Form(
        lambda: Net(
            lambda net, ids: net.fc2(net.fc1(net.lstm(net.emb(ids))[1][0][-1]).relu()).softmax(0),
            emb=_embedding(),
            lstm=nn.LSTM(6, 4),
            fc1=nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)),
            fc2=nn.utils.parametrizations.weight_norm(nn.Linear(5, 3), dim=1),
        ),
    ),
    "the outputs of every step side by side": Form(
        lambda: Net(
            lambda net, ids: net.fc(net.rnn(net.emb(ids))[0].flatten()).softmax(0),
            emb=_embedding(),
            rnn=nn.GRU(6, 4),
            fc=nn.Linear(80, 3),
        ),
        (),
        ("--set length=20", "The head reads 20 steps side by side", "--set padding=right"),
        ids=_padded,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_one_round_and_the_answers_of_the_module(tmp_path: Path, name: str) -> None:
    torch.manual_seed(3)
    form = FORMS[name]
    module = form.make()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    enlarge(module)
    prefix = "module." if "DataParallel" in name else ""
    state = {f"{prefix}{key}": tensor for key, tensor in module.state_dict().items()}
    keys = [key for key, value in form.beside.items() if value is ...] or ["model"]
    given = saved(tmp_path, {**form.beside, keys[0]: state})
    printed = asked(tmp_path, given)
    for part in form.said:
        assert part in printed, part
    imported(tmp_path, given, *form.options, "--usual", "--set=tokenizer=spaces_lower")
    with torch.no_grad():
        for text, result in zip(TEXTS, answered(tmp_path, TEXTS), strict=True):
            wanted = dict(zip("abc", module(torch.tensor(form.ids(text))).tolist(), strict=True))
            assert result["scores"] == pytest.approx(wanted, abs=1e-5), text


def test_a_head_over_all_steps_takes_no_other_length(tmp_path: Path) -> None:
    parts = {"emb": _embedding(), "rnn": nn.GRU(6, 4), "fc": nn.Linear(8, 3)}
    content = {"model": nn.ModuleDict(parts).state_dict(), "vocab": NUMBERS, "classes": ["a", "b", "c"]}
    told = asked(tmp_path, saved(tmp_path, content), "--usual", "--set=pooling=flatten", "--set=length=5")
    assert "--set length=5: pooling flatten reads 2 steps side by side: use --set length=2" in told
    wide = {**content, "model": nn.ModuleDict({**parts, "fc": nn.Linear(80, 3)}).state_dict()}
    told = asked(tmp_path, saved(tmp_path, wide), "--usual", "--set=length=5")
    assert "--set length=5: the value must be one of 20" in told


def test_words_without_one_for_unknown_ones_leave_them_out(tmp_path: Path) -> None:
    """`vocab_to_int` counts from 1: the embedding's first row is that of padding."""
    parts = {"emb": nn.Embedding(len(WORDS) + 1, 6), "rnn": nn.GRU(6, 4), "fc": nn.Linear(4, 2)}
    numbers = {word: number for number, word in enumerate(WORDS, 1)}
    content = {"model": nn.ModuleDict(parts).state_dict(), "vocab_to_int": numbers}
    assert "--set unknown=skip" in asked(tmp_path, saved(tmp_path, content))


def test_tags_in_a_pair_of_dictionaries_are_the_labels(tmp_path: Path) -> None:
    tags = {"B": 0, "I": 1, "O": 2, "<START>": 3, "<STOP>": 4}
    parts = {"word_embeds": _embedding(), "lstm": nn.LSTM(6, 4), "hidden2tag": nn.Linear(4, 5)}
    transitions = torch.randn(5, 5)
    transitions[3, :] = transitions[:, 4] = -10_000.0
    state = {**nn.ModuleDict(parts).state_dict(), "transitions": transitions}
    (tmp_path / "maps.pkl").write_bytes(pickle.dumps((NUMBERS, tags)))
    given = (saved(tmp_path, state), f"--checkpoint={tmp_path / 'maps.pkl'}")
    assert "--labels 'B,I,O,<START>,<STOP>'" in asked(tmp_path, *given)
    imported(tmp_path, *given, "--usual")
    assert {word["label"] for word in answered(tmp_path, TEXTS[:1])[0]["tags"]} <= {"B", "I", "O"}


def test_what_was_guessed_is_said_at_the_end(tmp_path: Path) -> None:
    parts = {"lstm1": nn.LSTM(6, 6), "lstm2": nn.LSTM(6, 6), "gate": nn.Linear(6, 6), "fc": nn.Linear(6, 3)}
    content = {
        "model": nn.ModuleDict({"emb": _embedding(), **parts}).state_dict(),
        "vocab": NUMBERS,
        "classes": ["a", "b", "c"],
    }
    printed = imported(tmp_path, saved(tmp_path, content), "--usual")
    _, _, guessed = printed.partition("check these: each was guessed")
    guessed = guessed.partition("wrote ")[0]
    usual = "taken as usual: pooling=last, activation=relu, outputs=softmax, tokenizer=spaces_lower, unknown=found"
    for doubt in ("(pooling)", "the order of lstm1 and lstm2", "the place of gate", "--layout tagger", usual):
        assert doubt in guessed, doubt
    settled = ("--layout=text-classifier", "--set=pooling=last", "--set=activation=relu")
    printed = imported(tmp_path, saved(tmp_path, content), "--usual", *settled, name="other")
    _, _, guessed = printed.partition("check these: each was guessed")
    assert "(pooling)" not in guessed
    assert "--layout tagger" not in guessed
    assert "the order of lstm1 and lstm2" in guessed, "no option says it"
    assert "assumed: cleaning=none, stop_words=none, prepend=none, append=none\n" in printed
    assert "padding" not in printed, "there is no length"


def test_marks_of_a_target_are_shown_if_asked_for(tmp_path: Path) -> None:
    torch.manual_seed(2)
    words = ["<pad>", "<sos>", "<eos>", *WORDS]
    parts = {
        "src_embed": nn.Embedding(len(words), 6),
        "tgt_embed": nn.Embedding(len(words), 6),
        "enc_rnn": nn.GRU(6, 5),
        "dec_rnn": nn.GRU(6, 5),
        "generator": nn.Linear(5, len(words)),
    }
    state = nn.ModuleDict(parts).state_dict()
    state["generator.bias"] = torch.eye(len(words))[0] * 100  # every word is <pad>
    (tmp_path / "words.json").write_text(json.dumps(words))
    vocabularies = [f"--vocab={role}={tmp_path / 'words.json'}" for role in ("source", "target")]
    given = (saved(tmp_path, state), *vocabularies, "--usual", "--set=max_tokens=3")
    imported(tmp_path, *given)
    imported(tmp_path, *given, "--set=marks=show", name="other")
    assert [answered(tmp_path, ["film"], name=name)[0]["text"] for name in ("mine", "other")] == [
        "",
        "<pad> <pad> <pad>",
    ]
