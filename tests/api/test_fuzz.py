"""Schemathesis asks every operation of the OpenAPI document what it should take and what it should not: no answer is a
5xx, and none is outside of the document. `make fuzz` asks far more."""

import os

import schemathesis
from hypothesis import settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from tests.api.operations import ADMIN_KEY, DOCUMENT

EXAMPLES = int(os.environ.get("UNROLL_FUZZ_EXAMPLES", "10"))  # of each operation, beside its own and those of coverage
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 1,
        "checks": {
            # A caller that gives a request a millisecond is told that it was not enough.
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 504]},
            # A schema cannot say that options contradict each other, or that a string has to be an image.
            "positive_data_acceptance": {"enabled": False},
        },
    }
)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None)
def test_answers_are_those_of_the_document(case: Case, administered: str) -> None:
    case.call_and_validate(base_url=administered, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)
