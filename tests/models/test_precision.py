"""`prepare` on every architecture of the tiny store: results near float32, with and without fast paths."""

import copy
from typing import Literal, assert_never, get_args

import pytest
import torch
from torch import Tensor, nn

from app.models.forecaster import Forecaster
from app.models.networks import EncoderDecoder, Network, Tagger, build_network
from app.models.recurrent import Recurrent
from app.models.serving import precision
from app.models.serving.flat import FlatRecurrent
from app.models.serving.folded import FoldedConvolution
from app.models.serving.one_by_one import OneByOne
from app.models.serving.precision import (
    Capability,
    Precision,
    image_encoder_of,
    precision_of,
    prepare,
    prepare_for_gpu,
    rounding,
)
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.image_encoder import ImageEncoder
from app.store.manifest import Manifest
from tests.tiny_numbers import number_drafts
from tests.tiny_store import IMAGE_SIZE, VOCABULARY, drafts

CPU = torch.device("cpu")
ALL = Capability(
    packed_float16=True,
    fused_lstm=True,
    bfloat16=True,
    native=("float16", "bfloat16", "int8"),
    bfloat16_pays=("onednn", "native"),
    resnet_int8=True,
)
NONE = Capability(packed_float16=False, fused_lstm=False, bfloat16=False)
needs_everything = pytest.mark.skipif(
    precision.capability()._replace(bfloat16_pays=ALL.bfloat16_pays) != ALL, reason="needs a processor with everything"
)

NUMBERS = [draft for draft in number_drafts() if draft.source in ("series", "frames")]
TOKENS = [*drafts(), *(draft for draft in number_drafts() if draft not in NUMBERS)]
every_draft = pytest.mark.parametrize("draft", [*TOKENS, *NUMBERS], ids=lambda draft: draft.name)
every_packed_draft = pytest.mark.parametrize("draft", TOKENS, ids=lambda draft: draft.name)


def network_of(draft: Manifest) -> Network:
    image = draft.image
    network = build_network(
        draft.architecture, mean=list(image.mean if image else ()), std=list(image.std if image else ())
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    return network.eval()


def answer(network: Network, *, tokens: int = 3) -> Tensor:
    """Logits of three sources, or the rows that follow them; of an encoder-decoder after a few steps."""
    source, lengths = sources(network.config.encoder)
    with torch.inference_mode():
        if not isinstance(network, EncoderDecoder):
            more = (
                (torch.ones(3, network.config.targets),) if isinstance(network, Forecaster) else ()
            )  # the last targets of each series
            found: Tensor = network(source, lengths, *more)
            return found[:, :2] if isinstance(network, Tagger) else found  # no row ends before
        state = network.encode(source, lengths)
        for token in range(tokens):
            logits, state, _ = network.step(torch.full((3,), token), state)
        return logits


def sources(encoder: TextEncoder | ImageEncoder | SeriesEncoder | FramesEncoder) -> tuple[Tensor, Tensor]:
    """Three sources and their lengths."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([5, 9, 2])
    match encoder:
        case TextEncoder():
            return torch.randint(0, VOCABULARY, (3, 9), generator=generator), lengths
        case SeriesEncoder():
            return torch.randn((3, 9, encoder.features), generator=generator), lengths
        case ImageEncoder():
            return _images((3,), IMAGE_SIZE, generator), torch.ones_like(lengths)
        case FramesEncoder():
            return _images((3, 9), encoder.image.image_size, generator), lengths
        case _:
            assert_never(encoder)


def _images(count: tuple[int, ...], size: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (*count, size, size, 3), generator=generator, dtype=torch.uint8)


@every_draft
@pytest.mark.parametrize("chosen", get_args(Precision))
def test_answers_stay(draft: Manifest, chosen: Precision) -> None:
    network = network_of(draft)
    expected = answer(network)
    chosen = precision_of(network, chosen)
    words = prepare(network, chosen, CPU)
    exact = "bfloat16" not in words and "int8" not in words
    torch.testing.assert_close(answer(network), expected, rtol=0, atol=1e-5 if exact else 5e-2)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@every_draft
def test_float32_changes_nothing(draft: Manifest) -> None:
    network = network_of(draft)
    plain = copy.deepcopy(network)
    assert prepare(network, "float32", CPU) == "float32"
    kinds = [type(module) for module in network.modules() if not isinstance(module, OneByOne)]
    assert kinds == [type(module) for module in plain.modules()]
    torch.testing.assert_close(answer(network), answer(plain), rtol=0, atol=1e-6 if draft.image is None else 1e-5)


@pytest.mark.parametrize("draft", NUMBERS, ids=lambda draft: draft.name)
@pytest.mark.parametrize("chosen", get_args(Precision))
def test_networks_over_numbers_and_frames_compute_in_float32(draft: Manifest, chosen: Precision) -> None:
    assert precision_of(network_of(draft), chosen) == "float32"


@pytest.mark.parametrize("chosen", get_args(Precision))
def test_other_networks_compute_as_wanted(chosen: Precision) -> None:
    assert [precision_of(network_of(draft), chosen) for draft in TOKENS] == [chosen] * len(TOKENS)


@pytest.mark.parametrize(
    ("wanted", "of_model", "expected"),
    [
        ("auto", "auto", "auto"),
        ("auto", "int8", "int8"),
        ("float16", "int8", "float16"),
        ("int8", "auto", "int8"),
        ("int8", "float32", "float32"),
    ],
)
def test_a_manifest_may_allow_8_bits_or_demand_float32(
    wanted: Precision, of_model: Literal["auto", "float32", "int8"], expected: Precision
) -> None:
    assert precision_of(network_of(TOKENS[0]), wanted, of_model) == expected


@pytest.mark.skipif("int8" not in precision.capability().native, reason="this processor has no native kernels")
@every_packed_draft
def test_8_bits_are_those_of_recurrences_and_linear_layers(draft: Manifest) -> None:
    words = prepare(network_of(draft), "int8", CPU)
    assert words.endswith("native recurrences and linear layers int8")
    assert "int8" not in prepare(network_of(draft), "auto", CPU)


@every_packed_draft
def test_a_plain_processor_runs_it_too(draft: Manifest) -> None:
    network = network_of(draft)
    expected = answer(network)
    words = prepare(network, "auto", CPU, able=NONE)
    assert "no FBGEMM" in words
    assert "bfloat16" not in words
    assert "float16" not in words
    torch.testing.assert_close(answer(network), expected, rtol=0, atol=1e-5)


@every_packed_draft
def test_float16_has_no_bfloat16_in_it(draft: Manifest) -> None:
    assert "bfloat16" not in prepare(network_of(draft), "float16", CPU)


@needs_everything
@every_packed_draft
def test_words_say_what_was_chosen(draft: Manifest) -> None:
    network = network_of(draft)
    words = prepare(copy.deepcopy(network), "float16", CPU)
    assert words.endswith("native recurrences and linear layers float16 weights")
    assert words == prepare(copy.deepcopy(network), "float16", CPU)
    words = prepare(copy.deepcopy(network), "bfloat16", CPU)
    assert words == prepare(network, "auto", CPU, able=ALL)
    assert words.endswith("native recurrences and linear layers bfloat16")
    assert ("ResNet bfloat16" in words) == (draft.image is not None)
    plain = [module for module in network.modules() if isinstance(module, nn.Embedding | Recurrent)]
    assert not plain  # float32 weights are let go


@needs_everything
@every_packed_draft
def test_auto_takes_bfloat16_only_where_it_pays(draft: Manifest) -> None:
    network = network_of(draft)
    slow = ALL._replace(bfloat16_pays=())
    plain = prepare(copy.deepcopy(network), "auto", CPU, able=slow)
    assert plain.endswith("native recurrences and linear layers float16 weights")
    assert ("ResNet float32" in plain) == (draft.image is not None)
    assert prepare(copy.deepcopy(network), "bfloat16", CPU, able=slow).endswith("linear layers bfloat16")
    matrix_units = prepare(network, "auto", CPU, able=ALL._replace(bfloat16_pays=("onednn",)))
    assert matrix_units == plain.replace("ResNet float32", "ResNet bfloat16")


@needs_everything
@every_packed_draft
def test_a_resnet_is_in_8_bits_where_the_rest_is(draft: Manifest) -> None:
    network = network_of(draft)
    for able, words in ((ALL, "ResNet int8"), (ALL._replace(resnet_int8=False), "ResNet bfloat16")):
        found = prepare(copy.deepcopy(network), "int8", CPU, able=able)
        assert (words in found) == (draft.image is not None)
        assert found.endswith("native recurrences and linear layers int8")


@needs_everything
@every_packed_draft
def test_a_resnet_is_not_in_8_bits_where_a_byte_does_not_stand_for_0(draft: Manifest) -> None:
    network = network_of(draft)
    if (image := image_encoder_of(network)) is not None:
        image.normalisation.mean.sub_(1)
    assert "ResNet int8" not in prepare(network, "int8", CPU, able=ALL)


@needs_everything
@every_packed_draft
def test_without_bfloat16_kernels_onednn_has_it(draft: Manifest) -> None:
    able = ALL._replace(native=("float16", "int8"))
    network = network_of(draft)
    words = prepare(copy.deepcopy(network), "auto", CPU, able=able)
    assert words.endswith("native recurrences and linear layers float16 weights")
    words = prepare(network, "bfloat16", CPU, able=able)
    encoder = draft.architecture.encoder
    assert ("encoder LSTM bfloat16" in words) == (encoder.kind == "text" and encoder.recurrence.cell == "lstm")
    assert "native" not in words


@pytest.mark.skipif(not precision.capability().packed_float16, reason="this processor has no FBGEMM")
def test_rounded_weights_are_reported_and_those_that_do_not_fit_are_kept() -> None:
    draft = drafts()[0]
    network = network_of(draft)
    weight = network.get_parameter("encoder.embedding.weight")
    assert rounding(network) == 0
    with torch.no_grad():
        weight.mul_(1.0001)
    assert 0 < rounding(network) < 5e-4
    assert "(rounded by up to" in prepare(copy.deepcopy(network), "float16", CPU)
    with torch.no_grad():
        weight[0, 0] = 1e6
    expected = answer(network)
    assert "do not fit float16" in prepare(network, "float16", CPU)
    torch.testing.assert_close(answer(network), expected, rtol=0, atol=1e-5)


@every_draft
@pytest.mark.parametrize("chosen", get_args(Precision))
def test_the_form_for_a_gpu_answers_the_same(draft: Manifest, chosen: Precision) -> None:
    """On a CPU, which computes the same."""
    network = network_of(draft)
    expected = answer(network)
    chosen = precision_of(network, chosen)
    words = prepare_for_gpu(network, chosen, CPU)
    exact = chosen in ("float32", "auto", "int8")
    assert words.startswith("float32" if exact else chosen)
    torch.testing.assert_close(answer(network).float(), expected, rtol=0, atol=1e-5 if exact else 0.2)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_crf_stays_as_it_is_stored() -> None:
    """A number that was rounded on its way to float32 has lost its digits."""
    network = network_of(next(draft for draft in number_drafts() if draft.name == "tag-crf"))
    assert isinstance(network, Tagger)
    assert network.crf is not None
    before = {name: weight.clone() for name, weight in network.crf.state_dict().items()}
    prepare_for_gpu(network, "bfloat16", CPU)
    assert network.output.weight.dtype == torch.bfloat16
    assert all(torch.equal(weight, before[name]) for name, weight in network.crf.state_dict().items())


@every_draft
def test_a_gpu_gets_folded_convolutions_and_flat_weights(draft: Manifest) -> None:
    network = network_of(draft)
    prepare_for_gpu(network, "auto", CPU)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    convolutions = [module for module in network.modules() if isinstance(module, FoldedConvolution)]
    assert bool(convolutions) == (draft.image is not None)
    assert all(one.weight.is_contiguous(memory_format=torch.channels_last) for one in convolutions)
    if draft.source != "image":
        assert isinstance(network.encoder.recurrence, FlatRecurrent)
    if draft.task == "completion":
        assert isinstance(network, EncoderDecoder)
        assert network.decoder.recurrence is network.encoder.recurrence
