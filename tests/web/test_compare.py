"""Compare where a store has networks that differ in the cell alone, beside others of the same language."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.conftest import serving_store
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from tests.web.conftest import Visit
from tests.web.parts import button, job

pytestmark = pytest.mark.browser

CELLS = ("gru", "lstm", "rnn_tanh")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of a bidirectional LSTM, and of three networks of one direction with a cell each."""
    folder = tmp_path_factory.mktemp("cells")
    store, tokenizer = folder / "store", tiny_tokenizer(folder)
    wide, uni = (next(draft for draft in drafts() if draft.name == f"sentiment-en{end}") for end in ("", "-uni"))
    publish_tiny(wide, store, tokenizer)
    assert uni.architecture.kind == "classifier"
    encoder = uni.architecture.encoder
    for cell in CELLS:
        recurrence = encoder.recurrence.model_copy(update={"cell": cell})
        architecture = uni.architecture.model_copy(
            update={"encoder": encoder.model_copy(update={"recurrence": recurrence})}
        )
        name = f"own-{cell.removesuffix('_tanh')}"
        publish_tiny(uni.model_copy(update={"name": name, "architecture": architecture}), store, tokenizer)
    with serving_store(store, folder) as address:
        yield address


def test_networks_that_differ_in_the_cell_alone_are_compared(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    expect(section.get_by_role("group", name="Networks").get_by_role("checkbox")).to_have_count(len(CELLS))
    expect(section).to_contain_text("only the cell differs")
    section.get_by_label("Text").fill("A warm film, but the plot makes no sense.")
    button(section, "Compare").click()
    expect(section.locator(".legend .model")).to_have_text(["own-gru", "own-lstm", "own-rnn"])
    visit.check()


def test_their_memories_have_one_scale_of_colours(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    section.get_by_label("Text").fill("A warm film, but the plot makes no sense.")
    section.get_by_label("Show the memories side by side").check()
    button(section, "Compare").click()
    expect(section.locator(".memory")).to_have_count(len(CELLS))
    scales = section.locator(".memory .scale").all_inner_texts()
    assert len(scales) == len(CELLS)
    assert len(set(scales)) == 1
    visit.check()
