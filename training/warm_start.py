"""Start a network from an earlier version with another vocabulary, so that what it knows is not learnt again."""

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.store.model_store import WEIGHTS, Version


def start_from(network: nn.Module, tokenizer: Tokenizer, version: Version) -> bool:
    """Take the weights of a version of the same architecture but for the vocabulary; False where it is another.

    A row of the vocabulary starts as that of the same subword, else in lower case, or else as the mean of the subwords
    that the earlier tokenizer makes of it. What neither has (tags) keeps its random start.
    """
    stored = {name: tensor.float() for name, tensor in load_file(version.folder / WEIGHTS).items()}
    own = network.state_dict()
    by_rows = {name for name in stored if len(stored[name]) == len(stored["encoder.embedding.weight"])}
    if any(name not in own or (name not in by_rows and stored[name].shape != own[name].shape) for name in stored):
        return False
    rows = _rows_of(tokenizer, tokenizer_of(version))
    with torch.no_grad():
        for name, tensor in stored.items():
            own[name].copy_(_by_rows(tensor, own[name], rows) if name in by_rows else tensor)
    return True


def tokenizer_of(version: Version) -> Tokenizer:
    """The subword tokenizer of a version that reads texts."""
    use = version.manifest.tokenizer
    assert use is not None  # see `Manifest`
    return Tokenizer.from_file(str(version.folder / use.file))


def _rows_of(tokenizer: Tokenizer, earlier: Tokenizer) -> list[list[int]]:
    """For each id of `tokenizer`, the ids of `earlier` that stand for it."""
    known = earlier.get_vocab()
    rows = []
    for spelling, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]):
        same = known.get(spelling, known.get(spelling.lower()))
        if same is not None:
            rows.append([same])
        else:
            is_tag = spelling.startswith("<") and spelling.endswith(">")
            rows.append([] if is_tag else [piece.id for piece in earlier.model.tokenize(spelling)])
    return rows


def _by_rows(stored: Tensor, fresh: Tensor, rows: list[list[int]]) -> Tensor:
    """(earlier vocabulary, ...) to (vocabulary, ...)."""
    taken = fresh.clone()
    for row, ids in enumerate(rows):
        if ids:
            taken[row] = stored[ids].mean(0)
    return taken
