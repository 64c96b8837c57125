"""Tiny untrained models of the kinds that importers bring: stages, functions in cells, masks, poolings, windows of a
language model. Real files, random weights; `make_kinds_store` publishes them all."""

from pathlib import Path
from typing import Any

from app.store.architecture import Architecture
from app.store.attention import Attention
from app.store.classifier import Classifier
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster, ValueDecoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.layer import Layer
from app.store.manifest import Manifest
from app.store.pooled import AttentionPooling
from app.store.recurrence import Recurrence
from app.store.scaling import Standard
from app.store.series_input import Feature, SeriesInput
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from app.store.window_language_model import WindowLanguageModel
from app.store.windowed_stages import Convolution, Pool
from tests.tiny_numbers import draft
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer
from training.loop import BOS, EOS, PAD, UNK

WINDOW = 7
FRAME_SIZE = 32
MASK = 5  # an id that texts contain
_SPREAD = 1.5
_LABELS = ("left", "right", "up")
_COLUMNS = (Feature(name="warmth", scaling=Standard(mean=1, std=2)), Feature(name="wind"))


def _draft(name: str, task: str, architecture: Architecture, **members: Any) -> Manifest:
    if architecture.encoder.kind == "text":
        members = {"tokenizer": TokenizerUse(), "limits": TokenLimits(source_tokens=2000), **members}
    return draft(name, task, architecture, **members)


def _decoding() -> Decoding:
    return Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=12)


def _classify_keras() -> Manifest:
    """As Keras stacks them: masked, a bidirectional GRU with its reset gate before, an LSTM with hard sigmoids;
    independent labels."""
    first = Recurrence(cell="gru", input_size=6, hidden_size=5, directions=2, reset_after=False)
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        embedding_size=6,
        mask_id=MASK,
        front=(RecurrenceStage(recurrence=first, join="sum", masked_outputs="zero"),),
        recurrence=Recurrence(
            cell="lstm", input_size=5, hidden_size=8, activation="relu", recurrent_activation="hard_sigmoid_5"
        ),
    )
    architecture = Classifier(
        encoder=encoder,
        pooling=("mean", "max", "last"),
        head=(Layer(size=6, activation="elu", batch_norm="before"),),
        labels=3,
        outputs="sigmoid",
    )
    return _draft("classify-keras", "classification", architecture, labels=_LABELS)


def _classify_convolutions() -> Manifest:
    """Convolution and pooling before two directions, additive attention over their outputs."""
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        embedding_size=6,
        front=(
            Convolution(width=8, kernel=3, activation="relu"),
            Pool(size=2, stride=2),
            Affine(),
            LayerNorm(epsilon=1e-3),
        ),
        recurrence=Recurrence(cell="lstm", input_size=8, hidden_size=8, directions=2),
        join="mean",
    )
    attention = AttentionPooling(kind="additive", size=5, activation="tanh")
    architecture = Classifier(
        encoder=encoder, pooling=("attention", "last_output", "sum"), attention=attention, labels=3
    )
    return _draft("classify-convolutions", "classification", architecture, labels=_LABELS)


def _classify_backward() -> Manifest:
    """One direction, from the end; its last output, behind a linear layer."""
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        recurrence=Recurrence(cell="gru", input_size=6, hidden_size=8, layers=2, reverse=True),
        back=(LinearStage(size=5, activation="tanh"),),
    )
    architecture = Classifier(encoder=encoder, pooling=("last_output", "mean"), labels=3)
    return _draft("classify-backward", "classification", architecture, labels=_LABELS)


def _classify_flat() -> Manifest:
    """A window whose steps are side by side, behind a strided convolution."""
    encoder = SeriesEncoder(
        features=2,
        recurrence=Recurrence(cell="rnn_tanh", input_size=2, hidden_size=8, activation="sigmoid"),
        back=(Convolution(width=4, kernel=3, stride=2, padding="same"),),
    )
    architecture = Classifier(encoder=encoder, pooling=("flatten",), window=WINDOW, labels=3)
    series = SeriesInput(features=_COLUMNS, window=WINDOW)
    return _draft("classify-flat", "classification", architecture, labels=_LABELS, series=series)


def _classify_pointwise() -> Manifest:
    """Stages of single steps: a source of any length is read in chunks, and explained in one pass."""
    encoder = SeriesEncoder(
        features=2,
        front=(Affine(), LinearStage(size=5)),
        recurrence=Recurrence(cell="lstm", input_size=5, hidden_size=8, recurrent_activation="hard_sigmoid_6"),
        back=(LinearStage(size=6, activation="swish"),),
    )
    architecture = Classifier(encoder=encoder, pooling=("last_output", "sum", "max"), labels=3)
    return _draft(
        "classify-pointwise", "classification", architecture, labels=_LABELS, series=SeriesInput(features=_COLUMNS)
    )


def _classify_states() -> Manifest:
    """Hidden and cell state side by side, normalised: a text of any length is read in chunks."""
    recurrence = Recurrence(cell="lstm", input_size=6, hidden_size=8, layers=2)
    architecture = Classifier(
        encoder=TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence),
        pooling=("last", "last_cell", "mean"),
        norm=LayerNorm(epsilon=1e-3),
        head=(Layer(size=6, batch_norm="before", activation="tanh"),),
        labels=3,
    )
    return _draft("classify-states", "classification", architecture, labels=_LABELS)


def _classify_cells() -> Manifest:
    """The cells of both directions, added."""
    recurrence = Recurrence(cell="lstm", input_size=6, hidden_size=8, directions=2)
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence, join="sum")
    architecture = Classifier(encoder=encoder, pooling=("last_cell",), labels=3)
    return _draft("classify-cells", "classification", architecture, labels=_LABELS)


def _classify_frames() -> Manifest:
    """Frames whose images are encoded one by one, and a convolution over them."""
    resnet = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 6, 8, 10))
    encoder = FramesEncoder(
        image=ImageEncoder(resnet=resnet, image_size=FRAME_SIZE, output="pooled"),
        front=(Convolution(width=6, kernel=2, activation="relu"),),
        recurrence=Recurrence(cell="lstm", input_size=6, hidden_size=8),
        back=(LinearStage(size=5),),
    )
    return _draft(
        "classify-clips",
        "classification",
        Classifier(encoder=encoder, pooling=("last_output", "mean"), labels=3),
        image=ImageInput(size=FRAME_SIZE, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
        labels=_LABELS,
    )


def _classify_skips() -> Manifest:
    """Each layer keeps what it reads; the second one in two directions."""
    first = Recurrence(cell="gru", input_size=6, hidden_size=5)
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        embedding_size=6,
        front=(RecurrenceStage(recurrence=first, keeps_input="before"),),
        recurrence=Recurrence(cell="lstm", input_size=11, hidden_size=4, directions=2),
        keeps_input="after",
    )
    architecture = Classifier(
        encoder=encoder,
        pooling=("attention", "last", "max"),
        attention=AttentionPooling(kind="linear", activation="none"),
        labels=3,
    )
    return _draft("classify-skips", "classification", architecture, labels=_LABELS)


def _classify_skip_in_parts() -> Manifest:
    """A recurrence that keeps what it reads, in chunks of a source."""
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        recurrence=Recurrence(cell="lstm", input_size=6, hidden_size=8, layers=2),
        keeps_input="before",
    )
    architecture = Classifier(encoder=encoder, pooling=("last_output", "mean", "last", "max"), labels=3)
    return _draft("classify-skip-in-parts", "classification", architecture, labels=_LABELS)


def _forecast_repeat() -> Manifest:
    """The summary is the input of every step of a decoder of another size."""
    encoder = SeriesEncoder(features=2, recurrence=Recurrence(cell="lstm", input_size=2, hidden_size=8))
    decoder = ValueDecoder(cell="gru", hidden_size=6, reads="summary", activation="relu")
    architecture = Forecaster(encoder=encoder, targets=2, horizon=4, decoder=decoder, output_activation="softplus")
    series = SeriesInput(features=_COLUMNS, targets=_COLUMNS, window=WINDOW)
    return _draft("forecast-repeat", "forecasting", architecture, series=series)


def _forecast_continued() -> Manifest:
    """The same, and the decoder starts from the encoder's last state."""
    encoder = SeriesEncoder(features=2, recurrence=Recurrence(cell="lstm", input_size=2, hidden_size=8, layers=2))
    decoder = ValueDecoder(cell="lstm", hidden_size=8, layers=2, reads="summary", continues=True)
    architecture = Forecaster(
        encoder=encoder, targets=2, horizon=4, decoder=decoder, norm=LayerNorm(), head=(Layer(size=5),)
    )
    series = SeriesInput(features=_COLUMNS, targets=_COLUMNS)
    return _draft("forecast-continued", "forecasting", architecture, series=series)


def _forecast_per_step() -> Manifest:
    """One row of each of the last outputs."""
    encoder = SeriesEncoder(features=2, recurrence=Recurrence(cell="gru", input_size=2, hidden_size=8))
    architecture = Forecaster(encoder=encoder, targets=1, horizon=4, per_step=True, head=(Layer(size=5),))
    series = SeriesInput(features=_COLUMNS, targets=_COLUMNS[:1])
    return _draft("forecast-per-step", "forecasting", architecture, series=series)


def _forecast_masked() -> Manifest:
    """Rows of zeros are masked."""
    encoder = SeriesEncoder(
        features=2, mask_value=0.0, recurrence=Recurrence(cell="lstm", input_size=2, hidden_size=8, activation="relu")
    )
    architecture = Forecaster(encoder=encoder, pooling=("last", "mean"), targets=2, horizon=3)
    series = SeriesInput(features=_COLUMNS, targets=_COLUMNS)
    return _draft("forecast-masked", "forecasting", architecture, series=series)


def _tag_stages() -> Manifest:
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        embedding_size=6,
        mask_id=MASK,
        front=(LinearStage(size=5),),
        recurrence=Recurrence(cell="lstm", input_size=5, hidden_size=8, directions=2),
        masked_outputs="zero",
        back=(Convolution(width=6, kernel=3, padding="same"),),
    )
    return _draft("tag-stages", "tagging", Tagger(encoder=encoder, labels=3), labels=("O", "B-X", "I-X"))


def _window(name: str, pad: int | None) -> Manifest:
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        recurrence=Recurrence(cell="lstm", input_size=6, hidden_size=8, directions=2),
    )
    architecture = WindowLanguageModel(
        encoder=encoder, window=WINDOW, pad=pad, head=(Layer(size=9),), pooling=("last", "max")
    )
    return _draft(name, "completion", architecture, decoding=_decoding())


def _translate_masked() -> Manifest:
    """Attention over the outputs of the tokens that are read, and a GRU with its reset gate before."""
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY,
        mask_id=MASK,
        recurrence=Recurrence(cell="gru", input_size=6, hidden_size=8, reset_after=False),
    )
    decoder = Decoder(
        vocabulary_size=VOCABULARY,
        embedding_size=6,
        cell="gru",
        reset_after=False,
        hidden_size=8,
        attention=Attention(kind="dot"),
        readout=("hidden", "context"),
        bridge="copy",
    )
    return _draft(
        "translate-masked", "translation", EncoderDecoder(encoder=encoder, decoder=decoder), decoding=_decoding()
    )


def kind_drafts() -> list[Manifest]:
    """Manifests of all models, before they are published."""
    return [
        _classify_keras(),
        _classify_convolutions(),
        _classify_backward(),
        _classify_flat(),
        _classify_pointwise(),
        _classify_states(),
        _classify_cells(),
        _classify_frames(),
        _classify_skips(),
        _classify_skip_in_parts(),
        _forecast_repeat(),
        _forecast_continued(),
        _forecast_per_step(),
        _forecast_masked(),
        _tag_stages(),
        _window("window-padded", PAD),
        _window("window-short", None),
        _translate_masked(),
    ]


def make_kinds_store(folder: Path) -> Path:
    """A store in `folder` with all these models."""
    tokenizer = tiny_tokenizer(folder)
    for manifest in kind_drafts():
        publish_tiny(manifest, folder / "store", tokenizer, spread=_SPREAD)
    return folder / "store"
