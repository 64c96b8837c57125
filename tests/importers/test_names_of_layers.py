"""Names of layers: words in them say what a layer is, parts of other words do not."""

import pytest
import torch
from torch import nn

from app.importers.attention_parameters import is_named_for_attention
from app.importers.chain import Chain, chain_of
from app.importers.checkpoint import Checkpoint
from app.importers.general_chain import tags_in
from app.importers.structure import structure_of


def _chain(**parts: nn.Module) -> Chain:
    chain = chain_of(structure_of(nn.ModuleDict(parts).state_dict()))
    assert chain is not None
    return chain


@pytest.mark.parametrize(
    ("name", "tags"),
    [("hidden2tag", True), ("ner_head", True), ("hiddenToTag", True), ("posLayer", True), ("inner_fc", False),
     ("stage", False), ("corner", False), ("trainer", False)],
)  # fmt: skip
def test_whole_words_make_a_tagger(name: str, tags: bool) -> None:
    assert tags_in(Checkpoint(), _chain(emb=nn.Embedding(9, 4), lstm=nn.LSTM(4, 5), **{name: nn.Linear(5, 3)})) is tags


@pytest.mark.parametrize("name", ["attn", "self_attention", "word_attn", "att_fc", "energy", "selfAttention"])
def test_a_layer_to_one_score_is_attention_by_name(name: str) -> None:
    assert is_named_for_attention(f"{name}.")
    assert _chain(lstm=nn.LSTM(3, 6), fc=nn.Linear(6, 2), **{name: nn.Linear(6, 1)}).attention


@pytest.mark.parametrize("name", ["batter", "attribute_fc"])
def test_other_words_are_not_attention(name: str) -> None:
    assert not is_named_for_attention(f"{name}.")


@pytest.mark.parametrize(
    "head",
    [
        {"fc1": nn.Linear(6, 6), "score": nn.Linear(6, 1)},
        {"fc1": nn.Linear(6, 6), "fc2": nn.Linear(6, 1)},
        {"context_fc": nn.Linear(6, 1), "fc": nn.Linear(1, 1)},
        {"key_fc": nn.Linear(6, 4), "score": nn.Linear(4, 1)},
    ],
)
def test_the_last_layer_of_a_head_is_no_attention(head: dict[str, nn.Module]) -> None:
    chain = _chain(lstm=nn.LSTM(3, 6), **head)
    assert not chain.attention
    assert len(chain.head) == 2


def test_a_score_before_the_head_is_attention() -> None:
    torch.manual_seed(1)
    chain = _chain(lstm=nn.LSTM(3, 6), key=nn.Linear(6, 6), score=nn.Linear(6, 1), fc=nn.Linear(6, 2))
    assert [group.prefix for group in chain.attention] == ["key.", "score."]
