"""Whole networks against one row at a time, and invalid configurations."""

from typing import Any, Literal, TypeVar

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from app.models.encoders import Encoded, ImageEncoder
from app.models.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, EncoderDecoder, build_network
from app.models.resnet import ResNet
from app.store.architecture import Architecture
from app.store.attention import Attention
from app.store.classifier import Classifier as ClassifierConfig
from app.store.decoder import Decoder
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.encoder_part import Pooling
from app.store.encoders import TextEncoder
from app.store.image_encoder import ImageEncoder as ImageEncoderConfig
from app.store.image_encoder import ResNet as ResNetConfig
from app.store.language_model import LanguageModel as LanguageModelConfig
from app.store.recurrence import CellKind, Recurrence
from tests.models.references import decode, encode_row

VOCABULARY, EMBEDDING, HIDDEN, LABELS, SOURCE, TARGET = 13, 4, 5, 3, 8, 4
LENGTHS = torch.tensor([3, SOURCE, 1, 6])
BATCH = len(LENGTHS)
Network = TypeVar("Network", bound=torch.nn.Module)

MEAN, STD = [0.1, 0.4, 0.7], [0.2, 0.3, 0.5]

POOLINGS: list[tuple[Pooling, ...]] = [("last",), ("max",), ("mean",), ("mean", "last", "max")]

every_cell = pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
every_direction = pytest.mark.parametrize("directions", [1, 2])
every_pooling = pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)


def text_encoder(cell: CellKind, directions: Literal[1, 2], layers: int = 2) -> TextEncoder:
    recurrence = Recurrence(cell=cell, input_size=EMBEDDING, hidden_size=HIDDEN, layers=layers, directions=directions)
    return TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)


def image_encoder(output: Literal["grid", "pooled"]) -> ImageEncoderConfig:
    thin = ResNetConfig(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 4, 6, 8))
    return ImageEncoderConfig(resnet=thin, image_size=96, output=output)


def decoder_of(**changes: Any) -> Decoder:
    return Decoder.model_validate(
        {
            "vocabulary_size": VOCABULARY,
            "embedding_size": EMBEDDING,
            "cell": "lstm",
            "hidden_size": HIDDEN,
            "attention": {"kind": "additive", "size": 4},
            "readout": ("hidden", "context"),
            **changes,
        }
    )


def randomised(network: Network) -> Network:
    """Embeddings and batch statistics of the size that training gives."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if "embedding" in name:
                values.normal_()
            elif name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                values.normal_(std=0.5)
    return network.eval()


def under(prefix: str, network: torch.nn.Module) -> dict[str, Tensor]:
    weights = network.state_dict()
    return {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}


def random_sources() -> Tensor:
    return torch.randint(VOCABULARY, (BATCH, SOURCE))


def other_padding(tokens: Tensor) -> Tensor:
    """The same sources with other tokens in the padding, and more of it."""
    changed = torch.cat(((tokens + 5) % VOCABULARY, torch.randint(VOCABULARY, (BATCH, 3))), 1)
    for row, length in enumerate(LENGTHS.tolist()):
        changed[row, :length] = tokens[row, :length]
    return changed


@every_cell
@every_direction
@every_pooling
@torch.no_grad()
def test_classifier_equals_a_loop(cell: CellKind, directions: Literal[1, 2], pooling: tuple[Pooling, ...]) -> None:
    config = ClassifierConfig(encoder=text_encoder(cell, directions), pooling=pooling, labels=LABELS)
    network = randomised(Classifier(config))
    tokens = random_sources()
    logits = network(tokens, LENGTHS)
    assert logits.shape == (BATCH, LABELS)
    weight, bias = network.output.weight.tolist(), network.output.bias.tolist()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encode_row(config.encoder.recurrence, under("encoder.", network), tokens[row, :length])
        outputs = alone.memory[0].tolist()
        pooled: list[float] = []
        for name in pooling:
            if name == "last":
                pooled += alone.summary[0].tolist()
            elif name == "max":
                pooled += [max(column) for column in zip(*outputs, strict=True)]
            else:
                pooled += [sum(column) / length for column in zip(*outputs, strict=True)]
        for label in range(LABELS):
            expected = bias[label] + sum(w * p for w, p in zip(weight[label], pooled, strict=True))
            assert logits[row, label].item() == pytest.approx(expected, abs=1e-5)


@every_cell
@every_direction
@every_pooling
@torch.no_grad()
def test_padding_changes_no_classification(
    cell: CellKind, directions: Literal[1, 2], pooling: tuple[Pooling, ...]
) -> None:
    config = ClassifierConfig(encoder=text_encoder(cell, directions), pooling=pooling, labels=LABELS)
    network = randomised(Classifier(config))
    tokens = random_sources()
    logits = network(tokens, LENGTHS)
    torch.testing.assert_close(network(other_padding(tokens), LENGTHS), logits, rtol=0, atol=1e-5)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = network(tokens[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], logits[row], rtol=0, atol=1e-5)


@every_cell
@every_direction
@pytest.mark.parametrize("context", ["input", "output"])
@torch.no_grad()
def test_text_to_text_equals_one_row_at_a_time(cell: CellKind, directions: Literal[1, 2], context: str) -> None:
    config = EncoderDecoderConfig(
        encoder=text_encoder(cell, directions), decoder=decoder_of(cell=cell, context=context, layers=2)
    )
    network = randomised(EncoderDecoder(config))
    sources, targets = random_sources(), torch.randint(VOCABULARY, (BATCH, TARGET))
    logits = network(sources, LENGTHS, targets)
    assert logits.shape == (BATCH, TARGET, VOCABULARY)
    torch.testing.assert_close(network(other_padding(sources), LENGTHS, targets), logits, rtol=0, atol=1e-5)
    assert isinstance(config.encoder, TextEncoder)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encode_row(config.encoder.recurrence, under("encoder.", network), sources[row, :length])
        expected = decode(config.decoder, under("decoder.", network), alone, targets[row : row + 1])
        torch.testing.assert_close(logits[row], expected[0], rtol=0, atol=1e-5)


@every_cell
@torch.no_grad()
def test_copied_state_is_each_rows_own(cell: CellKind) -> None:
    plain: dict[str, Any] = {"attention": {}, "readout": ("hidden",), "bridge": "copy"}
    config = EncoderDecoderConfig(encoder=text_encoder(cell, 1), decoder=decoder_of(cell=cell, layers=2, **plain))
    network = randomised(EncoderDecoder(config))
    sources, targets = random_sources(), torch.randint(VOCABULARY, (BATCH, TARGET))
    logits = network(sources, LENGTHS, targets)
    assert isinstance(config.encoder, TextEncoder)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encode_row(config.encoder.recurrence, under("encoder.", network), sources[row, :length])
        expected = decode(config.decoder, under("decoder.", network), alone, targets[row : row + 1])
        torch.testing.assert_close(logits[row], expected[0], rtol=0, atol=1e-5)


@every_cell
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@torch.no_grad()
def test_language_model_goes_on_as_it_reads(cell: CellKind, tied: bool) -> None:
    """The prefix as the source and as the first inputs: the same logits after it, by the formulas too."""
    recurrence = Recurrence(cell=cell, input_size=5, hidden_size=6, layers=2)
    config = LanguageModelConfig(
        vocabulary_size=VOCABULARY, recurrence=recurrence, readout_size=5 if tied else None, tied_output=tied
    )
    network = randomised(EncoderDecoder(config))
    tokens, prefix = random_sources(), 2
    every = network.decoder.unroll(tokens, network.decoder.start_at_zero(tokens))
    after = network(tokens[:, :prefix], torch.full((BATCH,), prefix), tokens[:, prefix:])
    torch.testing.assert_close(after, every[:, prefix:], rtol=0, atol=1e-5)
    for row in range(BATCH):
        alone = encode_row(recurrence, under("encoder.", network), tokens[row, :prefix])
        expected = decode(config.decoder, under("decoder.", network), alone, tokens[row : row + 1, prefix:])
        torch.testing.assert_close(after[row], expected[0], rtol=0, atol=1e-5)


def encode_image(config: ImageEncoderConfig, resnet: ResNet, image: Tensor) -> Encoded:
    """One image (height, width, 3): pixels scaled to 0..1 and normalised per colour, the map read row by row."""
    pixels = torch.empty(1, 3, *image.shape[:2])
    for colour in range(3):
        pixels[0, colour] = (image[:, :, colour].float() / 255 - MEAN[colour]) / STD[colour]
    grid = resnet(pixels)[0]
    cells = [grid[:, y, x] for y in range(grid.shape[1]) for x in range(grid.shape[2])]
    summary = sum(cells, torch.zeros_like(cells[0])) / len(cells)
    memory = torch.stack(cells if config.output == "grid" else [summary])
    return Encoded(memory.unsqueeze(0), torch.ones(1, len(memory), dtype=torch.bool), summary.unsqueeze(0), None)


@pytest.mark.parametrize("output", ["grid", "pooled"])
@pytest.mark.parametrize("context", ["input", "output"])
@torch.no_grad()
def test_image_to_text_equals_one_image_at_a_time(output: Literal["grid", "pooled"], context: str) -> None:
    encoder = image_encoder(output)
    config = EncoderDecoderConfig(encoder=encoder, decoder=decoder_of(context=context))
    network = randomised(EncoderDecoder(config, mean=MEAN, std=STD))
    images = torch.randint(256, (2, 96, 64, 3), dtype=torch.uint8)
    targets = torch.randint(VOCABULARY, (2, TARGET))
    lengths = torch.ones(2, dtype=torch.long)
    logits = network(images, lengths, targets)
    assert logits.shape == (2, TARGET, VOCABULARY)
    assert isinstance(network.encoder, ImageEncoder)
    for row in range(2):
        alone = encode_image(encoder, network.encoder.resnet, images[row])
        actual = network.encoder(images, lengths)
        torch.testing.assert_close(actual.memory[row], alone.memory[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(actual.summary[row], alone.summary[0], rtol=1e-4, atol=1e-4)
        expected = decode(config.decoder, under("decoder.", network), alone, targets[row : row + 1])
        torch.testing.assert_close(logits[row], expected[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("output", ["grid", "pooled"])
def test_memory_of_an_image_has_the_promised_shape(output: Literal["grid", "pooled"]) -> None:
    config = image_encoder(output)
    with torch.no_grad():
        encoded = ImageEncoder(config, mean=MEAN, std=STD).eval()(
            torch.zeros(1, 96, 96, 3, dtype=torch.uint8), torch.ones(1, dtype=torch.long)
        )
    assert encoded.memory.shape == (1, config.memory_length, config.memory_size)
    assert encoded.memory_mask.shape == (1, config.memory_length)
    assert encoded.memory_mask.all()


@pytest.mark.parametrize("image", [False, True], ids=["text", "image"])
@torch.no_grad()
def test_forward_is_consume_and_steps(image: bool) -> None:
    encoder = image_encoder("grid") if image else text_encoder("gru", 2)
    network = randomised(EncoderDecoder(EncoderDecoderConfig(encoder=encoder, decoder=decoder_of())))
    sources = torch.randint(256, (BATCH, 64, 64, 3), dtype=torch.uint8) if image else random_sources()
    targets = torch.randint(VOCABULARY, (BATCH, TARGET))
    logits = network(sources, LENGTHS, targets)
    state = network.encode(sources, LENGTHS)
    for position in range(TARGET):
        step_logits, state, _ = network.step(targets[:, position], state)
        torch.testing.assert_close(step_logits, logits[:, position], rtol=0, atol=1e-5)


@pytest.mark.usefixtures("torch_convolutions")
@pytest.mark.parametrize("image", [False, True], ids=["text", "image"])
def test_every_parameter_learns(image: bool) -> None:
    encoder = image_encoder("grid") if image else text_encoder("lstm", 2)
    decoder = decoder_of(attention={"kind": "gated", "size": 4}, layers=2, context="input")
    network = randomised(EncoderDecoder(EncoderDecoderConfig(encoder=encoder, decoder=decoder)))
    sources = torch.randint(256, (BATCH, 64, 64, 3), dtype=torch.uint8) if image else random_sources()
    targets = torch.randint(VOCABULARY, (BATCH, TARGET))
    (network(sources, LENGTHS, targets) * torch.randn(BATCH, TARGET, VOCABULARY)).sum().backward()
    for name, values in network.named_parameters():
        assert values.grad is not None, name
        assert values.grad.any(), name


@torch.no_grad()
def test_build_network_makes_what_the_architecture_names() -> None:
    classifier = ClassifierConfig(encoder=text_encoder("gru", 2), pooling=("max",), labels=LABELS)
    built = build_network(classifier, mean=MEAN, std=STD)
    assert isinstance(built, Classifier)
    Classifier(classifier).load_state_dict(built.state_dict())
    config = EncoderDecoderConfig(encoder=image_encoder("grid"), decoder=decoder_of())
    captioner = randomised(build_network(config, mean=MEAN, std=STD))
    assert isinstance(captioner, EncoderDecoder)
    same = EncoderDecoder(config, mean=MEAN, std=STD).eval()
    other = EncoderDecoder(config).eval()
    for network in (same, other):
        network.load_state_dict(captioner.state_dict())  # mean and std belong to the manifest, not to the weights
    images = torch.randint(256, (1, 64, 64, 3), dtype=torch.uint8)
    arguments = images, torch.ones(1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.long)
    assert torch.equal(captioner(*arguments), same(*arguments))
    assert not torch.equal(captioner(*arguments), other(*arguments))
    by_default = build_network(config, mean=IMAGENET_MEAN, std=IMAGENET_STD).eval()
    by_default.load_state_dict(captioner.state_dict())
    assert torch.equal(by_default(*arguments), other(*arguments))


def document(**changes: Any) -> dict[str, Any]:
    """A manifest's valid encoder-decoder; `changes` go to the parts they name."""
    recurrence = {"cell": "lstm", "input_size": EMBEDDING, "hidden_size": HIDDEN} | changes.get("recurrence", {})
    encoder: dict[str, Any] = {"kind": "text", "vocabulary_size": VOCABULARY, "recurrence": recurrence}
    decoder: dict[str, Any] = {
        "vocabulary_size": VOCABULARY,
        "embedding_size": EMBEDDING,
        "cell": "lstm",
        "hidden_size": HIDDEN,
    }
    if "attention" in changes.get("decoder", {}):
        decoder["readout"] = ["hidden", "context"]
    return {
        "kind": "encoder_decoder",
        "encoder": changes.get("encoder", encoder),
        "decoder": decoder | changes.get("decoder", {}),
    }


COPY = {"bridge": "copy"}
IMAGE = {"kind": "image", "resnet": {"block": "basic", "blocks": [1, 1, 1, 1], "widths": [4, 4, 4, HIDDEN]}}

VALID: dict[str, dict[str, Any]] = {
    "plain": {},
    "additive": {"decoder": {"attention": {"kind": "additive", "size": 4}, "readout": ["hidden", "context"]}},
    "dot": {"decoder": {"attention": {"kind": "dot"}, "readout": ["hidden", "context"]}},
    "dot on an image": {"encoder": IMAGE, "decoder": {"attention": {"kind": "dot"}, "readout": ["context"]}},
    "tied": {"decoder": {"tied_output": True, "readout_size": EMBEDDING}},
    "copied": {"decoder": COPY},
    "two copied layers": {"recurrence": {"layers": 2}, "decoder": {**COPY, "layers": 2}},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "additive without size": ({"decoder": {"attention": {"kind": "additive"}}}, "attention.size"),
    "gated without size": ({"decoder": {"attention": {"kind": "gated"}}}, "attention.size"),
    "attention that nothing reads": (
        {"decoder": {"attention": {"kind": "general"}, "readout": ["hidden"]}},
        "needs 'context' in readout",
    ),
    "empty readout": ({"decoder": {"readout": []}}, "at least 1 item"),
    "dot with size": ({"decoder": {"attention": {"kind": "dot", "size": 4}}}, "attention.size"),
    "general with size": ({"decoder": {"attention": {"kind": "general", "size": 4}}}, "attention.size"),
    "no attention with size": ({"decoder": {"attention": {"size": 4}}}, "attention.size"),
    "context without attention": ({"decoder": {"readout": ["hidden", "context"]}}, "attention.kind is 'none'"),
    "tied without readout": ({"decoder": {"tied_output": True}}, "readout_size equal to embedding_size"),
    "tied, other size": (
        {"decoder": {"tied_output": True, "readout_size": EMBEDDING + 1}},
        "readout_size equal to embedding_size",
    ),
    "dot on a wider memory": (
        {"recurrence": {"directions": 2}, "decoder": {"attention": {"kind": "dot"}}},
        "dot attention needs",
    ),
    "dot on a wider image": (
        {
            "encoder": {
                **IMAGE,
                "resnet": {"block": "bottleneck", "blocks": [1, 1, 1, 1], "widths": [4, 4, 4, HIDDEN]},
            },
            "decoder": {"attention": {"kind": "dot"}},
        },
        "dot attention needs",
    ),
    "copy of an image": ({"encoder": IMAGE, "decoder": COPY}, "bridge 'copy'"),
    "copy, other cell": ({"recurrence": {"cell": "gru"}, "decoder": COPY}, "bridge 'copy'"),
    "copy, other size": ({"recurrence": {"hidden_size": HIDDEN + 1}, "decoder": COPY}, "bridge 'copy'"),
    "copy, other layers": ({"recurrence": {"layers": 2}, "decoder": COPY}, "bridge 'copy'"),
    "copy of two directions": ({"recurrence": {"directions": 2}, "decoder": COPY}, "bridge 'copy'"),
    "unknown key": ({"decoder": {"hiden_size": HIDDEN}}, "Extra inputs are not permitted"),
    "unknown cell": ({"recurrence": {"cell": "mgu"}}, "'rnn_tanh', 'rnn_relu', 'gru' or 'lstm'"),
    "three directions": ({"recurrence": {"directions": 3}}, "1 or 2"),
    "no layers": ({"recurrence": {"layers": 0}}, "greater than 0"),
    "unknown encoder": ({"encoder": {"kind": "audio"}}, "does not match any of the expected tags"),
    "three stages": ({"encoder": {"kind": "image", "resnet": {"block": "basic", "blocks": [1, 1, 1]}}}, "blocks"),
}


@pytest.mark.parametrize("changes", VALID.values(), ids=VALID.keys())
def test_consistent_architectures_load_and_build(changes: dict[str, Any]) -> None:
    adapter: TypeAdapter[Architecture] = TypeAdapter(Architecture)
    config = adapter.validate_python(document(**changes))
    assert isinstance(config, EncoderDecoderConfig)
    assert adapter.validate_json(config.model_dump_json()) == config
    network = build_network(config, mean=MEAN, std=STD).eval()
    image = isinstance(config.encoder, ImageEncoderConfig)
    source = torch.zeros(2, 32, 32, 3, dtype=torch.uint8) if image else torch.zeros(2, 3, dtype=torch.long)
    logits = network(source, torch.tensor([3, 2]), torch.zeros(2, TARGET, dtype=torch.long))
    assert logits.shape == (2, TARGET, VOCABULARY)


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_inconsistent_architectures_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(Architecture).validate_python(document(**changes))
    assert message in str(refusal.value)
    assert refusal.value.error_count() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": []}, "at least 1 item"),
        ({"pooling": ["last", "median"]}, "'attention' or 'flatten'"),
        ({"labels": 1}, "greater than or equal to 2"),
    ],
    ids=["no pooling", "unknown pooling", "one label"],
)
def test_inconsistent_classifiers_are_refused(changes: dict[str, Any], message: str) -> None:
    valid = {"kind": "classifier", "encoder": text_encoder("gru", 1), "pooling": ["last"], "labels": 2}
    ClassifierConfig.model_validate(valid)
    with pytest.raises(ValidationError, match=message) as refusal:
        ClassifierConfig.model_validate(valid | changes)
    assert refusal.value.error_count() == 1


def test_architectures_are_frozen() -> None:
    part = Attention(kind="dot")
    for name in Attention.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, None)
