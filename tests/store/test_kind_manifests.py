"""Manifests of the kinds that importers bring: the length of sources is the one that the network was made for."""

from typing import Any

import pytest

from app.store.manifest import Manifest
from tests.tiny_kinds import WINDOW, kind_drafts
from tests.tiny_store import VOCABULARY

DRAFTS = {draft.name: draft for draft in kind_drafts()}


def changed(name: str, **members: Any) -> Manifest:
    return Manifest.model_validate({**DRAFTS[name].model_dump(), **members})


@pytest.mark.parametrize("name", DRAFTS)
def test_a_manifest_is_read_as_it_was_written(name: str) -> None:
    draft = DRAFTS[name]
    assert Manifest.model_validate_json(draft.model_dump_json()) == draft
    assert draft.architecture.describe()


def test_flat_steps_need_a_window_of_their_length() -> None:
    series = DRAFTS["classify-flat"].model_dump()["series"]
    with pytest.raises(ValueError, match=f"reads {WINDOW} steps"):
        changed("classify-flat", series={**series, "window": WINDOW + 1})
    with pytest.raises(ValueError, match=f"reads {WINDOW} steps"):
        changed("classify-flat", series={**series, "window": None})


def test_a_window_has_the_steps_that_the_network_needs() -> None:
    series = DRAFTS["forecast-per-step"].model_dump()["series"]
    assert changed("forecast-per-step", series={**series, "window": 4})
    with pytest.raises(ValueError, match="window or frames is 3, but the network needs 4 steps"):
        changed("forecast-per-step", series={**series, "window": 3})


def test_blocks_are_the_old_name_of_front() -> None:
    draft = DRAFTS["classify-pointwise"].model_dump()
    encoder = draft["architecture"]["encoder"]
    old = {("blocks" if name == "front" else name): value for name, value in encoder.items()}
    renamed = changed("classify-pointwise", architecture={**draft["architecture"], "encoder": old})
    assert renamed == DRAFTS["classify-pointwise"]


def test_a_window_language_model_writes_the_ids_that_it_reads() -> None:
    manifest = DRAFTS["window-padded"]
    assert (manifest.answer, manifest.source, manifest.continues) == ("tokens", "text", True)
    assert manifest.source_vocabulary == manifest.target_vocabulary == VOCABULARY
    with pytest.raises(ValueError, match="needs 'decoding'"):
        changed("window-padded", decoding=None)


def test_only_an_lstm_has_a_last_cell() -> None:
    architecture = DRAFTS["classify-states"].model_dump()["architecture"]
    recurrence = {**architecture["encoder"]["recurrence"], "cell": "gru"}
    gru = {**architecture, "encoder": {**architecture["encoder"], "recurrence": recurrence}}
    with pytest.raises(ValueError, match="pooling 'last_cell' needs a recurrence whose cell is lstm"):
        changed("classify-states", architecture=gru)
    assert changed("classify-states", architecture={**gru, "pooling": ("last", "mean")})
