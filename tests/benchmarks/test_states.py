"""The benchmark of states, small: on the included models, over HTTP."""

import pytest
from click.testing import CliRunner

from benchmarks.states import main


@pytest.mark.slow
def test_the_tables_are_printed() -> None:
    options = ["--tokens", "60", "--rounds", "1", "--streams", "3", "--idle", "0.1"]
    printed = CliRunner().invoke(main, options, catch_exceptions=False).output
    assert "time to the first token, ms" in printed
    assert "| `lm-en` | 4," in printed
    assert "| `tag-en` | none |" in printed
    assert "|  | no stream | 3 open streams |" in printed
