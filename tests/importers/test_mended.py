"""Faults of imports that strangers' checkpoints showed: each is refused, asked for, or taken as the original is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import nn

from app.models.resnet import ResNet
from app.store.image_encoder import ResNet as ResNetConfig
from tests.conftest import serving_store
from tests.importers.importing import answered, asked, imported, run_import, saved
from tests.importers.originals import CVND_WORDS, WORDS, sentences
from tests.importers.test_recorded_searches import RECORDED

VOCABULARY = ["<unk>", "<pad>", *WORDS]


def _json(folder: Path, content: Any, name: str = "words.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(content))
    return file


class Student(nn.Module):
    """A network of one's own, with the names of a well-known notebook."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 6)
        self.lstm = nn.LSTM(6, 5, bidirectional=True)
        self.fc = nn.Linear(10, outputs)

    def halves(self, text: str) -> tuple[list[float], list[float]]:
        """Probabilities with the forward half first, and with the backward half first."""
        ids = torch.tensor([VOCABULARY.index(word) for word in text.split()])
        with torch.no_grad():
            _, (last, _) = self.lstm(self.embedding(ids))
            orders = (last[-2:], last[-2:].flip(0))
            forward, backward = (self.fc(order.flatten()).softmax(0).tolist() for order in orders)
        return forward, backward


def test_ones_own_classifier_is_not_silently_taken_for_a_notebook(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, text = Student(), sentences(1, seed=2)[0]
    arguments = [saved(tmp_path, module), f"--vocab={_json(tmp_path, VOCABULARY)}", "--labels=a,b,c"]
    printed = asked(tmp_path, *arguments)
    assert "layout: bentrevett-sentiment-2024" in printed
    assert "--set pooling=last_backward_first" in printed
    assert "if it is not of this layout, choose another one that fits: --layout text-classifier" in printed
    spaces = [*arguments, "--set=tokenizer=spaces"]
    imported(tmp_path, *spaces, "--set=pooling=last", name="forward")
    imported(tmp_path, *spaces, "--set=pooling=last_backward_first", name="backward")
    for name, scores in zip(("forward", "backward"), module.halves(text), strict=True):
        (result,) = answered(tmp_path, [text], name=name)
        assert list(result["scores"].values()) == pytest.approx(scores, abs=1e-5)


def test_a_generic_mapping_says_which_half_is_first(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, text = Student(), sentences(1, seed=2)[0]
    parts = {"encoder.embedding": "embedding", "encoder.recurrence": "lstm", "output": "fc"}
    arguments = [saved(tmp_path, module), f"--vocab={_json(tmp_path, VOCABULARY)}", "--labels=a,b,c", "--usual"]
    for name, scores in zip(("last", "last_backward_first"), module.halves(text), strict=True):
        mapping = _json(tmp_path, {"parts": parts, "pooling": [name]}, "mapping.json")
        chosen = ("--layout=generic-classifier", f"--set=mapping={mapping}")
        imported(tmp_path, *arguments, *chosen, name=name.replace("_", "-"))
        (result,) = answered(tmp_path, [text], name=name.replace("_", "-"))
        assert list(result["scores"].values()) == pytest.approx(scores, abs=1e-5)


def test_an_unknown_part_of_a_mapping_is_refused(tmp_path: Path) -> None:
    parts = {"encoder.embedding": "embedding", "encoder.recurrence": "lstm", "output": "fc", "encoder.attention": "att"}
    mapping = _json(tmp_path, {"parts": parts}, "mapping.json")
    printed = asked(
        tmp_path,
        saved(tmp_path, Student()),
        f"--vocab={_json(tmp_path, VOCABULARY)}",
        "--labels=a,b,c",
        "--usual",
        "--layout=generic-classifier",
        f"--set=mapping={mapping}",
    )
    assert "unknown parts: encoder.attention" in printed


def _yunjey(folder: Path) -> list[str]:
    """Encoder and decoder as torch before 0.4.1 saved them: batch norms without `num_batches_tracked`."""
    torch.manual_seed(3)
    config = ResNetConfig(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 4, 6, 8))
    numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    encoder = {
        f"resnet.{numbers[key.partition('.')[0]]}.{key.partition('.')[2]}": tensor
        for key, tensor in ResNet(config).state_dict().items()
    }
    layers: Sequence[tuple[str, nn.Module]] = (("linear", nn.Linear(8, 6)), ("bn", nn.BatchNorm1d(6)))
    encoder |= {f"{name}.{key}": value for name, layer in layers for key, value in layer.state_dict().items()}
    encoder = {key: tensor for key, tensor in encoder.items() if not key.endswith("num_batches_tracked")}
    words = len(CVND_WORDS)
    parts = (("embed", nn.Embedding(words, 6)), ("lstm", nn.LSTM(6, 5)), ("linear", nn.Linear(5, words)))
    decoder = {f"{name}.{key}": value for name, layer in parts for key, value in layer.state_dict().items()}
    return [
        saved(folder, encoder, "encoder.pt"),
        saved(folder, decoder, "decoder.pt"),
        f"--vocab={_json(folder, CVND_WORDS)}",
    ]


def test_batch_norms_without_a_count_are_those_of_an_old_torch(tmp_path: Path) -> None:
    printed = imported(tmp_path, *_yunjey(tmp_path), "--usual", "--set=image_size=64")
    assert "layout: yunjey-captioning" in printed
    assert "answer to a grey picture" in printed


@pytest.mark.parametrize("half", [0, 1])
def test_half_of_a_pair_says_what_is_missing(tmp_path: Path, half: int) -> None:
    files = _yunjey(tmp_path)
    printed = asked(tmp_path, files[half], files[2])
    assert "--checkpoint ENCODER --checkpoint DECODER" in printed


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--set=max_tokens=0", "--set max_tokens=0: the value must be a whole number from 1 to 200"),
        pytest.param(
            "--set=max_tokens=1000",
            "--set max_tokens=1000: the value must be a whole number from 1 to 200",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "--set=max_tokens=many",
            "--set max_tokens=many: the value must be a whole number from 1 to 200",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "--set=image_size=-1",
            "--set image_size=-1: the value must be a whole number from 32 to 1024",
            marks=pytest.mark.slow,
        ),
        ("--set=colour=red", "layout yunjey-captioning has no option colour; its options: image_size, max_tokens"),
        ("--labels=a,b", "leave out --labels"),
        pytest.param("--scaler=none", "leave out --features, --targets and --scaler", marks=pytest.mark.slow),
        pytest.param("--task=knitting", "there is no task knitting", marks=pytest.mark.slow),
        ("--task=sentiment", "the task sentiment is text to label; this network is image to tokens"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, option: str, told: str) -> None:
    assert told in asked(tmp_path, *_yunjey(tmp_path), "--usual", option)
    assert not tmp_path.joinpath("store", "mine").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--labels=a,a,b"], "two labels have the same name, 'a'"),
        pytest.param(["--labels=a,b"], "the network has 3 labels, not 2", marks=pytest.mark.slow),
        (["--labels=a,b,c", "--set=tokenizer=spacy:zz"], "spacy:zz"),
        pytest.param(["--labels=a,b,c", "--set=tokenizer=words"], "the value must be one of", marks=pytest.mark.slow),
        (["--labels=a,b,c", "--set=pooling=first"], "the value must be one of last, last_backward_first, last_output"),
    ],
)
def test_labels_and_rules_that_cannot_be_are_refused(tmp_path: Path, options: list[str], told: str) -> None:
    arguments = [saved(tmp_path, Student()), f"--vocab={_json(tmp_path, VOCABULARY)}", "--usual", *options]
    assert told in asked(tmp_path, *arguments)


def test_swapped_vocabularies_are_seen_by_their_sizes(tmp_path: Path) -> None:
    torch.manual_seed(3)
    sizes = {"encoder": 7, "decoder": 9}
    content: dict[str, Any] = {}
    for side, size in sizes.items():
        layers: Sequence[tuple[str, nn.Module]] = (("embedding", nn.Embedding(size, 4)), ("rnn", nn.LSTM(4, 5)))
        content |= {
            f"{side}.{name}.{key}": value for name, layer in layers for key, value in layer.state_dict().items()
        }
    content |= {f"decoder.fc_out.{key}": value for key, value in nn.Linear(5, 9).state_dict().items()}
    words = {side: ["<unk>", "<pad>", "<sos>", "<eos>", *WORDS][:size] for side, size in sizes.items()}
    files = {side: _json(tmp_path, words[side], f"{side}.json") for side in sizes}
    checkpoint = saved(tmp_path, content)
    swapped = [f"--vocab=source={files['decoder']}", f"--vocab=target={files['encoder']}"]
    printed = asked(tmp_path, checkpoint, *swapped, "--usual", "--set=tokenizer=spaces")
    assert "the vocabularies are swapped" in printed
    assert "--vocab source=encoder.json --vocab target=decoder.json" in printed
    nameless = [f"--vocab={files['decoder']}", f"--vocab={files['encoder']}"]  # told apart by their sizes
    imported(tmp_path, checkpoint, *nameless, "--usual", "--set=tokenizer=spaces")


def test_the_length_penalty_of_opennmt_counts_a_token_more(tmp_path: Path) -> None:
    """GNMT's penalty as `onmt.translate.penalties.PenaltyBuilder` computes it: the first input is counted, too."""
    file = RECORDED / "opennmt" / "m_step_1200.pt"
    for name, alpha in (("plain", "0"), ("wu", "0.9")):
        imported(tmp_path, f"--checkpoint={file}", "--usual", f"--set=alpha={alpha}", name=name)
    folder = tmp_path / "engine"
    folder.mkdir()
    with serving_store(tmp_path / "store", folder) as address, httpx.Client(base_url=address, timeout=60) as client:

        def ask(name: str) -> dict[tuple[str, ...], float]:
            body = {"inputs": ["a b c"], "model": name, "n_best": 5, "beams": 5, "logprobs": 0}
            (result,) = client.post("/v1/translate", json=body).json()["results"]
            return {tuple(token["text"] for token in one["tokens"]): one["score"] for one in result["hypotheses"]}

        plain, wu = ask("plain"), ask("wu")
    both = plain.keys() & wu.keys()
    assert both
    for tokens in both:
        assert wu[tokens] == pytest.approx(plain[tokens] / ((5 + len(tokens) + 1) / 6) ** 0.9, abs=1e-5)


def test_no_file_ends_in_a_traceback(tmp_path: Path) -> None:
    """Structures that no layout has are named, with a mapping to fill in."""
    strange = {
        "no recurrence": {"layer.weight": torch.ones(3, 4)},
        "a projection": nn.LSTM(3, 4, proj_size=2).state_dict(),
        "transformer": nn.TransformerEncoderLayer(8, 2, 8).state_dict(),
        "numbers": {"weight": torch.tensor(1.0), "bias": torch.ones(2, 3, 4, 5, 6)},
        "empty tensors": {"rnn.weight_ih_l0": torch.ones(0, 0), "rnn.weight_hh_l0": torch.ones(0, 0)},
        "half a recurrence": {"rnn.weight_ih_l0": torch.ones(8, 3)},
    }
    for name, content in strange.items():
        printed = asked(tmp_path, saved(tmp_path, content), "--usual")
        assert printed.startswith("Error: "), name
        assert "Traceback" not in printed, name


def test_an_unknown_structure_is_written_as_a_mapping(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = Student().state_dict() | {"gate.scale": torch.ones(3, 2, 2, 2, 2)}
    printed = asked(tmp_path, saved(tmp_path, state))
    assert '"gate.scale": "(3, 2, 2, 2, 2)"' in printed
    assert "gate.scale" in printed.partition("no layout matches")[2].partition(".")[0] or "gate" in printed
    mapping = tmp_path / "mapping.json"
    ran = run_import(tmp_path, saved(tmp_path, state), f"--write-mapping={mapping}")
    assert ran.exit_code == 0, ran.output
    written = json.loads(mapping.read_text())
    assert written["parts"] == {"encoder.embedding": "embedding", "encoder.recurrence": "lstm", "output": "fc"}
    assert set(written["keys"]) == set(state)
    chosen = (f"--layout={written['layout']}", f"--set=mapping={mapping}", "--labels=a,b,c", "--usual")
    given = (saved(tmp_path, state), f"--vocab={_json(tmp_path, VOCABULARY)}", *chosen)
    assert "no part of the mapping file reads gate" in asked(tmp_path, *given)
    mapping.write_text(json.dumps(written | {"leave_out": ["gate"]}))
    imported(tmp_path, *given)


def test_replace_unk_of_opennmt_puts_words_of_the_source(tmp_path: Path) -> None:
    """`-replace_unk` of its `translate.py`: the source token at the maximum of the attention."""
    file = RECORDED / "opennmt" / "m_step_1200.pt"
    for name, value in (("plain", "no"), ("replaced", "yes")):
        imported(tmp_path, f"--checkpoint={file}", "--usual", f"--set=replace_unk={value}", name=name)
    folder = tmp_path / "engine"
    folder.mkdir()
    texts = ["a b c", "xyzzy b Quux", "c zz a yy b", "b a qq"]
    with serving_store(tmp_path / "store", folder) as address, httpx.Client(base_url=address, timeout=60) as client:
        body = {"inputs": texts, "attention": True, "prefix": "<unk> <unk>", "split_sentences": False, "beams": 2}
        plain, replaced = (
            client.post("/v1/translate", json=body | {"model": name}).json()["results"]
            for name in ("plain", "replaced")
        )
    for text, one, other in zip(texts, plain, replaced, strict=True):
        rows = one["attention"]["weights"]
        words = one["text"].split()
        assert words[:2] == ["<unk>", "<unk>"]
        for place, word in enumerate(words):
            if word == "<unk>":
                words[place] = text.split()[rows[place].index(max(rows[place]))]
        assert other["text"] == " ".join(words)
        assert other["attention"] == one["attention"]


def test_a_half_of_a_classifier_of_clips_asks_for_the_other(tmp_path: Path) -> None:
    """Its decoder has no embedding."""
    encoder, _, _ = _yunjey(tmp_path)
    printed = asked(tmp_path, encoder)
    assert "over frames of a clip, or with an embedding over words" in printed
    decoder = nn.ModuleDict({"LSTM": nn.LSTM(64, 4), "fc1": nn.Linear(4, 3), "fc2": nn.Linear(3, 2)})
    told = "features that another network makes of images"
    assert told in asked(tmp_path, saved(tmp_path, decoder))
    decoder = nn.ModuleDict({"LSTM": nn.LSTM(24, 4), "fc1": nn.Linear(4, 3), "fc2": nn.Linear(3, 2)})
    assert told not in asked(tmp_path, saved(tmp_path, decoder))
    assert told in asked(tmp_path, saved(tmp_path, decoder, "rnn_decoder.pth"))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"lstm": nn.LSTM(6, 5, proj_size=3), "fc": nn.Linear(3, 2)}, "lstm.weight_hr_l0 projects the outputs"),
        ({"cell": nn.Conv2d(9, 24, 3), "fc": nn.Linear(5, 2)}, "A ConvLSTM is not supported"),
        ({"lstm": nn.LSTM(6, 5), "fc": nn.Linear(11, 2)}, "fc reads 11 numbers, and the outputs of lstm have 5: emb"),
        ({"lstm": nn.LSTM(6, 5), "fc": nn.Linear(8, 2)}, "have 5: other numbers beside them"),
        ({"lstm": nn.LSTM(9, 5), "fc": nn.Linear(5, 2)}, "lstm reads 9 numbers a step, and emb has 6 columns"),
        (
            {"emb_2": nn.Embedding(9, 6), "lstm": nn.LSTM(6, 5), "fc": nn.Linear(5, 2)},
            "several embeddings (emb, emb_2)",
        ),
        ({"features": nn.Conv2d(3, 6, 3), "lstm": nn.LSTM(6, 5), "fc": nn.Linear(5, 2)}, "have no place: features"),
        (
            {"letters": nn.GRU(4, 3), "words": nn.GRU(9, 5), "fc": nn.Linear(5, 2)},
            "letters reads 4 numbers and gives 3",
        ),
    ],
)
def test_why_a_structure_is_unknown(tmp_path: Path, parts: dict[str, nn.Module], told: str) -> None:
    assert told in asked(tmp_path, saved(tmp_path, nn.ModuleDict({"emb": nn.Embedding(16, 6), **parts})))


def test_two_networks_of_the_same_parts_are_named(tmp_path: Path) -> None:
    state = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "fc": nn.Linear(4, 2)}).state_dict()
    printed = asked(tmp_path, saved(tmp_path, {"model": state, "ema": state}))
    assert "2 networks of the same parts: model.pt: model, model.pt: ema" in printed
