"""A translator that starts from an earlier version with another vocabulary."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from app.models.networks import EncoderDecoder
from app.store.encoder_decoder import EncoderDecoder as Architecture
from app.store.model_store import open_version
from training.subwords import train_subwords
from training.warm_start import start_from, tokenizer_of

VERSION = "translate-en-ko/1"


def test_shared_subwords_keep_their_rows_and_new_ones_are_means(tiny_store: Path) -> None:
    version = open_version(tiny_store / VERSION)
    earlier = tokenizer_of(version)
    tokenizer = train_subwords(["open the door and close the window"] * 3, size=300, tags=["<polite>"])
    architecture = version.manifest.architecture
    assert isinstance(architecture, Architecture)
    network = _network(architecture, size=tokenizer.get_vocab_size())
    old = _stored(version.folder)
    fresh = network.encoder.state_dict()["embedding.weight"].clone()
    assert start_from(network, tokenizer, version)
    rows = network.encoder.state_dict()["embedding.weight"]
    for spelling, token in tokenizer.get_vocab().items():
        known = earlier.token_to_id(spelling)
        ids = [known] if known is not None else [piece.id for piece in earlier.model.tokenize(spelling)]
        expected = fresh[token] if spelling == "<polite>" else old["encoder.embedding.weight"][ids].float().mean(0)
        torch.testing.assert_close(rows[token], expected)
    torch.testing.assert_close(
        network.state_dict()["decoder.recurrence.weight_hh_l0"], old["decoder.recurrence.weight_hh_l0"].float()
    )


def test_another_architecture_is_left_as_it_is(tiny_store: Path) -> None:
    version = open_version(tiny_store / VERSION)
    architecture = version.manifest.architecture
    assert isinstance(architecture, Architecture)
    wider = architecture.decoder.model_copy(update={"hidden_size": architecture.decoder.hidden_size + 1})
    network = _network(architecture.model_copy(update={"decoder": wider}), size=300)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tokenizer = tokenizer_of(version)
    assert not start_from(network, tokenizer, version)
    torch.testing.assert_close(network.state_dict(), before)


def _network(architecture: Architecture, *, size: int) -> EncoderDecoder:
    changed = {"vocabulary_size": size}
    return EncoderDecoder(
        architecture.model_copy(
            update={
                "encoder": architecture.encoder.model_copy(update=changed),
                "decoder": architecture.decoder.model_copy(update=changed),
            }
        )
    )


def _stored(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")
