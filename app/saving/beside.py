"""The answers of a converted network beside those of the module that it was made from."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from app.importers.layout import Converted
from app.models.forecaster import Forecaster as ForecasterNetwork
from app.models.networks import Classifier as ClassifierNetwork
from app.models.networks import EncoderDecoder as EncoderDecoderNetwork
from app.models.networks import Network
from app.saving.calls import Answers
from app.store.classifier import Classifier
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import FramesEncoder, SeriesEncoder
from app.store.language_model import LanguageModel
from app.store.tagger import Tagger

EXACT = 1e-4  # the largest difference by rounding, relative to numbers above 1
_SOURCES = 2
_STEPS = 12
_MOST_STEPS = 2000


def can_compare(converted: Converted) -> bool:
    """Whether a module can be expected to answer with what the network computes. How an encoder-decoder is called is
    its own affair, and images are prepared outside of it."""
    architecture = converted.architecture
    return not isinstance(architecture, EncoderDecoder) and not isinstance(architecture.encoder, FramesEncoder)


def difference(answers: Answers, converted: Converted, network: Network) -> float:
    """The largest difference of their answers to some random sources; infinite if the module cannot be called, or
    answers with other things."""
    sources = sources_of(converted) if answers.example is None else [answers.example]
    return max(_nearest(answers, converted, network, source) for source in sources)


def sources_of(converted: Converted) -> Iterator[Tensor]:
    """Sources of one row: ids (1, steps), or scaled numbers (1, steps, features)."""
    architecture = converted.architecture
    generator = torch.Generator().manual_seed(1)
    for number in range(_SOURCES):
        steps = _steps(converted, number)
        if isinstance(architecture.encoder, SeriesEncoder):
            yield torch.randn(1, steps, architecture.encoder.features, generator=generator)
        else:
            words = architecture.encoder.vocabulary_size  # type: ignore[union-attr]  # see `can_compare`
            yield (
                torch.randint(1, words, (1, steps), generator=generator) if words > 1 else torch.zeros(1, steps).long()
            )


def _steps(converted: Converted, number: int) -> int:
    architecture = converted.architecture
    if not isinstance(architecture, Tagger | LanguageModel | EncoderDecoder) and architecture.window is not None:
        return architecture.window
    if converted.series is not None and converted.series.window is not None:
        return converted.series.window
    length = converted.source.use.length if converted.source is not None else None
    if length is not None and length.pad is not None:
        return min(length.to, _MOST_STEPS)
    return max(_STEPS + number, architecture.least_steps)


def _nearest(answers: Answers, converted: Converted, network: Network, source: Tensor) -> float:
    encoder = converted.architecture.encoder
    width = encoder.vocabulary_size if encoder.kind == "text" else 0
    return _nearest_of(answers.of(source, width), converted, network, source)


def _nearest_of(tensors: Iterable[Tensor], converted: Converted, network: Network, source: Tensor) -> float:
    with torch.no_grad():
        ours = list(_forms(converted, network, source))
    nearest = math.inf
    for tensor in tensors:
        theirs = tensor.double().flatten() if not tensor.is_complex() else tensor.new_empty(0)
        for form in ours:
            if form.numel() == theirs.numel():
                distance = float((form.flatten() - theirs).abs().max() / theirs.abs().max().clamp(min=1))
                if form.dim() > 1 and tensor.squeeze().dim() > 1 and form.squeeze().shape != tensor.squeeze().shape:
                    distance = max(distance, 1.0)  # the same numbers, and other steps and columns
                nearest = min(nearest, distance if math.isfinite(distance) else math.inf)
        if nearest <= EXACT:
            return nearest
    return nearest


def _forms(converted: Converted, network: Network, source: Tensor) -> Iterator[Tensor]:
    """What a module with this network may answer: logits, probabilities or their logarithms, of all steps or the
    last."""
    architecture = converted.architecture
    lengths = torch.tensor([source.shape[1]])
    match network:
        case ForecasterNetwork():
            forecast = _forecast(network, source, lengths).double()[0]
            yield forecast
            yield forecast.T
            return
        case EncoderDecoderNetwork():
            logits = network.decoder.unroll(source, network.decoder.start_at_zero(source))[0]
        case _:
            logits = network(source, lengths)[0]
    rows = logits.double()
    for answer in (rows, rows[-1:]) if isinstance(architecture, LanguageModel) else (rows,):
        if isinstance(architecture, Classifier) and architecture.outputs == "sigmoid":
            forms = [answer, answer.sigmoid()]
        else:
            forms = [answer, answer.softmax(-1), answer.log_softmax(-1)]
        for form in forms:
            yield form.flatten()
    if isinstance(network, ClassifierNetwork) and isinstance(architecture, Classifier) and architecture.labels == 2:
        one = (rows[1] - rows[0]).view(1)  # one output, a sigmoid
        yield one
        yield one.sigmoid()


def _forecast(network: ForecasterNetwork, source: Tensor, lengths: Tensor) -> Tensor:
    config = network.config
    if config.feedback == "none" and not config.is_stepwise:
        return network(source, lengths)  # type: ignore[no-any-return]
    if config.is_fed:
        return network(source, lengths, source[:, -1, : config.targets], config.horizon)  # type: ignore[no-any-return]
    return network.forecast(network.encoder(source, lengths))
