"""The pairs that the translator learns from, and the share of each source."""

from collections import Counter
from pathlib import Path

import pytest

from tests.training.raw_data import write_raw_data
from training.data import Pair, normalised_source
from training.enko import SHARES, drawn, read_named_test, read_phrases, read_training_pairs, shares


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_raw_data(folder)
    return folder


def test_no_test_is_trained_on(raw_data: Path) -> None:
    pairs = read_training_pairs(raw_data)
    tests = [*read_phrases(raw_data, "test"), *read_named_test(raw_data, "jhe-eval")]
    assert tests
    assert {pair.origin for pair in pairs} <= set(SHARES)
    assert not {normalised_source(pair.source) for pair in tests} & {normalised_source(pair.source) for pair in pairs}


def test_pairs_with_english_of_other_data_are_in_no_named_test(raw_data: Path) -> None:
    assert {pair.origin for pair in read_named_test(raw_data, "jhe-eval")} == {"jhe-eval"}


def test_an_epoch_draws_each_source_by_its_share() -> None:
    pairs = [Pair(origin, str(number), "") for origin in ("phrases", "gettext") for number in range(5000)]
    counts = Counter(pairs[place].origin for place in drawn(pairs, late=False, seed=1))
    assert counts["phrases"] == pytest.approx(5000 * SHARES["phrases"], rel=0.05)
    assert counts["gettext"] == pytest.approx(5000 * SHARES["gettext"], rel=0.1)


def test_epochs_differ_and_can_be_drawn_again() -> None:
    pairs = [Pair("gettext", str(number), "") for number in range(1000)]
    first, again, other = (list(drawn(pairs, late=False, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_late_epochs_read_all_of_tatoeba_and_the_same_sources() -> None:
    early, late = shares(late=False), shares(late=True)
    assert late["tatoeba"] == 1
    assert late.keys() == early.keys()
