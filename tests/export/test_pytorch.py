"""Versions as plain PyTorch: the model file answers as the network, and needs torch alone."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from app.cli.in_process import answers
from app.cli.main import main
from app.errors import ExportFailed
from app.export.comparison import answers_of, loaded, source_of
from app.export.pytorch import program_of, write_pytorch
from app.models.networks import Network, build_network
from app.store.attention import Attention
from app.store.classifier import Classifier
from app.store.decoding import Decoding
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.text_input import TokenizerUse
from app.tasks.sources.raw_series import JsonSeries
from app.text.tokenizer import TextTokenizer
from tests.tiny_kinds import MASK, kind_drafts
from tests.tiny_numbers import number_drafts
from tests.tiny_store import all_drafts, drafts, publish_tiny, tiny_tokenizer

EXACT = 1e-5


def _decoder(kind: str, **members: Any) -> Manifest:
    """A translator with another decoder."""
    draft = next(draft for draft in drafts() if draft.task == "translation")
    architecture = draft.architecture
    assert isinstance(architecture, EncoderDecoder)
    given = architecture.decoder.model_dump() | members
    decoder = type(architecture.decoder).model_validate(given)
    return draft.model_copy(
        update={
            "name": f"translate-{kind}",
            "architecture": EncoderDecoder(encoder=architecture.encoder, decoder=decoder),
        }
    )


def _translators() -> list[Manifest]:
    encoder = TextEncoder(
        vocabulary_size=30, recurrence=Recurrence(cell="lstm", input_size=6, hidden_size=7, directions=2)
    )
    joined = _decoder("joined", bridge="zeros", readout_size=9, input_feeding=True)
    architecture = joined.architecture
    assert isinstance(architecture, EncoderDecoder)
    decoder = architecture.decoder.model_copy(update={"layers": 1, "bridge": "join", "vocabulary_size": 40})
    layerwise = decoder.model_copy(update={"bridge": "layerwise_tanh"})
    return [
        _decoder("zeros", bridge="zeros"),
        _decoder(
            "gated",
            attention=Attention(kind="gated", size=5),
            context="input",
            readout=("hidden", "context", "embedding"),
        ),
        _decoder("additive", attention=Attention(kind="additive", size=5, activation="relu")),
        _decoder("fixed", attention=Attention(kind="fixed"), context="input"),
        _decoder("location", attention=Attention(kind="location", size=9), context="input", input_size=8),
        _decoder("tied", readout_size=12, tied_output=True, embedding_activation="relu"),
        _decoder("feeding", readout_size=9, input_feeding=True, bridge="linear"),
        joined.model_copy(update={"architecture": EncoderDecoder(encoder=encoder, decoder=decoder)}),
        joined.model_copy(
            update={"name": "translate-layerwise", "architecture": EncoderDecoder(encoder=encoder, decoder=layerwise)}
        ),
    ]


def _masked() -> list[Manifest]:
    """Classifiers whose answer is that to a text without the masked ids."""
    (draft,) = (draft for draft in kind_drafts() if draft.name == "classify-keras")
    poolings: dict[str, dict[str, Any]] = {
        "mean": {"pooling": ("mean", "last")},
        "attention": {
            "pooling": ("attention", "sum"),
            "attention": {"kind": "additive", "size": 3, "activation": "tanh"},
        },
        "backward": {"pooling": ("last",)},
    }
    made = []
    for name, values in poolings.items():
        config = draft.architecture.model_dump() | values
        config["encoder"]["recurrence"] |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        if name == "backward":
            config["encoder"]["front"] = ()
            config["encoder"]["recurrence"] |= {"input_size": 6, "reverse": True}
        architecture = Classifier.model_validate(config)
        made.append(draft.model_copy(update={"name": f"classify-masked-{name}", "architecture": architecture}))
    return made


def _models() -> dict[str, Manifest]:
    made = [*all_drafts(), *number_drafts(), *kind_drafts(), *_translators(), *_masked()]
    return {draft.name: draft for draft in made}


MODELS = _models()
REFUSED = [
    name
    for name, draft in MODELS.items()
    if draft.source in ("image", "frames")
    or (
        getattr(draft.architecture.encoder, "is_masked", False)
        and name not in ("classify-masked-mean", "classify-masked-attention")
    )
]
WRITTEN = [name for name in MODELS if name not in REFUSED]


def network_of(draft: Manifest) -> Network:
    """Random weights, wide enough for answers that differ."""
    torch.manual_seed(1)
    network = build_network(draft.architecture, mean=[0.5] * 3, std=[0.5] * 3).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_var", "scale", "shift")):
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif name.endswith("running_mean"):
                tensor.copy_(torch.randn_like(tensor) / 4)
            elif tensor.is_floating_point() and tensor.dim() > 1:
                tensor.mul_(1.5)
    return network


@pytest.mark.parametrize("name", WRITTEN)
@torch.no_grad()
def test_the_model_file_answers_as_the_network(tmp_path: Path, name: str) -> None:
    draft = MODELS[name]
    network = network_of(draft)
    write_pytorch(draft, network, tmp_path)
    model = loaded(tmp_path)
    seen = []
    for seed, steps in enumerate((9, 12)):
        for ours, theirs in answers_of(draft, network, model, source_of(draft, steps=steps, seed=seed)):
            torch.testing.assert_close(theirs, ours, rtol=EXACT, atol=EXACT)
            seen.append(ours.flatten()[:1])
    assert len(set(torch.cat(seen).tolist())) > 1
    _check_file(tmp_path / "model.py")


def _check_file(file: Path) -> None:
    """It imports torch and the standard library, and reads like code of a person."""
    text = file.read_text(encoding="utf8")
    imports = {
        name.name.partition(".")[0] if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imports == {"sys", "pathlib", "torch"}
    assert len(text.splitlines()) < 125


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_alone_cannot_answer_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportFailed, match=r"images|masked"):
        write_pytorch(MODELS[name], network_of(MODELS[name]), tmp_path)


def test_masked_ids_are_left_out_by_the_command(tmp_path: Path) -> None:
    draft = MODELS["classify-masked-mean"]
    write_pytorch(draft, network_of(draft), tmp_path)
    plain, padded, other = _run([(tmp_path, ids.split()) for ids in ("3 7 9", f"{MASK} 3 7 {MASK} 9 {MASK}", "3 7 8")])
    assert plain == padded != other
    assert f"The id {MASK} is masked" in (tmp_path / "model.py").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("classify-keras", "pooling max"),
        ("classify-masked-backward", "reads backward"),
        ("tag-stages", "does not label"),
        ("forecast-masked", "does not label"),
    ],
)
def test_why_a_network_with_masked_steps_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ExportFailed, match=rf"{reason}.* train it without a mask"):
        program_of(MODELS[name])


def test_text_of_a_manifest_stays_text(tmp_path: Path) -> None:
    """Export runs the file that it writes: a name in a manifest must not be code."""
    attack = '"""\nimport pathlib; pathlib.Path("ran").touch()\n"""\\\0'
    draft = MODELS["forecast-tiny"]
    assert draft.series is not None
    features = tuple(feature.model_copy(update={"name": attack + feature.name}) for feature in draft.series.features)
    series = draft.series.model_copy(update={"features": features})
    draft = draft.model_copy(update={"licence": attack, "series": series})
    write_pytorch(draft, network_of(draft), tmp_path)
    loaded(tmp_path)
    assert not Path("ran").exists()


def test_a_continuation_is_that_of_the_network(tmp_path: Path) -> None:
    """The loop of `main`, for a language model."""
    architecture = LanguageModel(vocabulary_size=20, recurrence=Recurrence(cell="gru", input_size=6, hidden_size=9))
    draft = MODELS["lm-en"].model_copy(
        update={
            "architecture": architecture,
            "tokenizer": TokenizerUse(),
            "decoding": Decoding(bos=1, eos=2, suppress=(0, 1), min_tokens=2, max_tokens=8),
        }
    )
    network: Any = network_of(draft)
    write_pytorch(draft, network, tmp_path)
    (printed,) = _run([(tmp_path, ["4", "7"])])
    state = network.encode(torch.tensor([[4]]), torch.tensor([1]))
    wanted: list[int] = []
    token = 7
    while len(wanted) < 8:
        logits, state, _ = network.step(torch.tensor([token]), state)
        logits[0, [0, 1] + [2] * (len(wanted) < 2)] = -torch.inf
        token = int(logits.argmax())
        if token == 2:
            break
        wanted.append(token)
    assert [int(word) for word in printed.split()] == wanted


@pytest.fixture(scope="module")
def exact_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions that the service computes in float32."""
    folder = tmp_path_factory.mktemp("exact")
    tokenizer = tiny_tokenizer(folder)
    for name in ("sentiment-en", "tag-en", "forecast-weather"):
        publish_tiny(MODELS[name].model_copy(update={"precision": "float32"}), folder / "store", tokenizer)
    return folder / "store"


def test_an_exported_version_answers_as_the_service(exact_store: Path, tmp_path: Path) -> None:
    """By the command, in a process that has torch alone."""
    text, rows = "the plot makes no sense", [[step % 3, 20 + step, 10 + step, 3.0] for step in range(6)]
    ids = TextTokenizer(exact_store / "tag-en" / "1", TokenizerUse()).encode(text)
    arguments = {
        "sentiment-en": [str(token) for token in ids],
        "tag-en": [str(token) for token in ids],
        "forecast-weather": [",".join(map(str, row)) for row in rows],
    }
    for name in arguments:
        ran = CliRunner().invoke(main, ["export", name, str(tmp_path / name), "--store", str(exact_store)])
        assert ran.exit_code == 0, ran.output
        assert "answers differ by" in ran.output
    sentiment, tags, forecast = _run([(tmp_path / name, given) for name, given in arguments.items()])
    (label,), (tagged,) = answers([exact_store / "sentiment-en" / "1", exact_store / "tag-en" / "1"], [text])
    scores = dict(line.split("\t") for line in sentiment.splitlines())
    assert {name: float(score) for name, score in scores.items()} == pytest.approx(label["scores"], abs=1e-5)
    by_token = [line.split("\t")[1] for line in tags.splitlines()]
    assert len(by_token) == len(ids)
    assert tagged["tags"][-1]["label"] == by_token[-1]
    ((values,),) = answers([exact_store / "forecast-weather" / "1"], [JsonSeries(rows)])
    head, *lines = forecast.splitlines()
    assert head == "temp_max,temp_min"
    numbers = [[float(number) for number in line.split(",")] for line in lines]
    assert numbers == [pytest.approx(row, rel=1e-4) for row in _rows_of(values)]


def _rows_of(result: dict[str, Any]) -> list[list[float]]:
    rows = result.get("rows") or result.get("forecast") or result.get("values")
    assert rows, result
    return [list(row.values()) if isinstance(row, dict) else row for row in rows]


def _run(runs: list[tuple[Path, list[str]]]) -> list[str]:
    """What each model file prints, all in one process: torch takes a second to import."""
    code = f"""
import runpy, sys
for folder, arguments in {[(str(folder), arguments) for folder, arguments in runs]!r}:
    sys.argv = ["model.py", *arguments]
    runpy.run_path(folder + "/model.py", run_name="__main__")
    print("END OF RUN")
assert not {{"app", "tokenizers", "pydantic"}} & set(sys.modules)
"""
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split("END OF RUN\n")[:-1]


def test_messages(tiny_store: Path, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        ran = CliRunner().invoke(main, ["export", *arguments, "--store", str(tiny_store)])
        assert ran.exit_code == 1, ran.output
        return ran.output

    assert "has no nobody/" in refused("nobody", str(tmp_path / "new"))
    assert "has no sentiment-en/7" in refused("sentiment-en", str(tmp_path / "new"), "--version", "7")
    assert "network over images" in refused("caption-en", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").write_text("x")
    assert "not an empty folder" in refused("sentiment-en", str(tmp_path))
