"""Publishes a trained network in the model store: half-precision safetensors, manifest, card, and a tokenizer if the
manifest has one.

`python -m training.evaluate NAME` adds the measurements.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS
from app.store.publishing import file_entry, publishing, write_manifest
from app.store.weights import distinct_tensors
from training.cards import CardText, write_card
from training.curves import CURVE, draw_curve


def publish(
    network: nn.Module, tokenizer: Path | None, store: Path, draft: Manifest, card: CardText, *, log: Path | None = None
) -> Path:
    """Write the version that `draft` describes, with its files, hashes and number of parameters, and the learning curve
    from the `log` of a run. Returns its folder. The version appears atomically, see `app.store.publishing`."""
    tensors = {
        name: tensor.half().contiguous() if tensor.dtype == torch.float32 else tensor
        for name, tensor in distinct_tensors(network).items()
    }
    with publishing(store, draft.name, draft.version) as fresh:
        save_file(tensors, fresh / WEIGHTS)
        fresh.joinpath(WEIGHTS).chmod(0o644)
        if tokenizer is not None and draft.tokenizer is not None:
            shutil.copyfile(tokenizer, fresh / draft.tokenizer.file)
        if log is not None and log.exists():
            draw_curve(log, fresh / CURVE)
        entries = {path.name: file_entry(path) for path in sorted(fresh.iterdir())}
        parameters = sum(parameter.numel() for parameter in network.parameters())
        manifest = draft.model_copy(update={"files": entries, "parameters": parameters})
        write_manifest(fresh, manifest)
        write_card(fresh, manifest, card)
    return store / draft.name / str(draft.version)
