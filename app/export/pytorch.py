"""A version as plain PyTorch: `model.py`, which needs torch alone, and `weights.pt`, its state dict."""

from pathlib import Path
from typing import assert_never

import torch

from app.export.encoder_decoder import encoder_decoder
from app.export.forecaster import forecaster
from app.export.labels import classifier, tagger
from app.export.language_model import language_model, window_language_model
from app.export.masks import left_out
from app.export.program import Program
from app.models.networks import Network
from app.store.classifier import Classifier
from app.store.encoder_decoder import EncoderDecoder
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.tagger import Tagger
from app.store.weights import distinct_tensors
from app.store.window_language_model import WindowLanguageModel
from app.version import VERSION

MODEL, WEIGHTS = "model.py", "weights.pt"


def program_of(manifest: Manifest) -> Program:
    """Raises ExportFailed for a network that torch alone cannot answer with."""
    config = manifest.architecture
    left_out(config)
    match config:
        case Classifier():
            return classifier(manifest, config)
        case Tagger():
            return tagger(manifest, config)
        case Forecaster():
            return forecaster(manifest, config)
        case LanguageModel():
            return language_model(manifest, config)
        case WindowLanguageModel():
            return window_language_model(manifest, config)
        case EncoderDecoder():
            return encoder_decoder(manifest, config)
        case _:
            assert_never(config)


def write_pytorch(manifest: Manifest, network: Network, folder: Path) -> None:
    """Write both files. Raises ExportFailed."""
    program = program_of(manifest)
    tensors = program.code.named(distinct_tensors(network))
    for tied, first in program.code.shared.items():
        tensors[tied] = tensors[first]
    folder.joinpath(MODEL).write_text(program.text(manifest, VERSION), encoding="utf8")
    torch.save({name: tensor.clone() for name, tensor in tensors.items()}, folder / WEIGHTS)
