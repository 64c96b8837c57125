"""States as texts: what is wrong with one is said, and what was not signed here is not read."""

import base64
import random

import pytest
from pydantic import SecretStr, ValidationError

from app.engine.protocol import Carried
from app.errors import InvalidState
from app.settings import Settings
from app.tasks.states.keys import StateKeys
from app.tasks.states.saved import SavedState

CARRIED = Carried(7, b"\0" * 40, None, {"mean": b"\1" * 8})
SAVED = SavedState("lm-en", 3, bytes(32), CARRIED, "ein Wo", 12, 5, [4, 5], [6], 9, 2)
KEYS = StateKeys(["now", "before"], most=4000)


def _refusal(text: str, keys: StateKeys = KEYS) -> str:
    with pytest.raises(InvalidState) as refused:
        keys.open(text)
    return refused.value.detail


def test_a_state_comes_back() -> None:
    text = KEYS.seal(SAVED)
    assert KEYS.open(text) == SAVED
    assert StateKeys(["now"], most=4000).open(text) == SAVED
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_secrets_rotate() -> None:
    older = StateKeys(["before"], most=4000).seal(SAVED)
    assert KEYS.open(older) == SAVED
    assert "another secret" in _refusal(KEYS.seal(SAVED), StateKeys(["before"], most=4000))


def test_no_change_of_a_state_is_read() -> None:
    text, draw = KEYS.seal(SAVED), random.Random(1)
    for _ in range(300):
        place = draw.randrange(len(text))
        changed = text[:place] + draw.choice("ABCxyz019-_") + text[place + 1 :]
        if changed != text:
            _refusal(changed)
    for length in range(len(text)):
        _refusal(text[:length])


def test_a_refusal_says_what_is_wrong() -> None:
    text = KEYS.seal(SAVED)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def encoded(changed: bytes) -> str:
        return base64.urlsafe_b64encode(changed).rstrip(b"=").decode()

    assert "was changed" in _refusal(encoded(data[:60] + bytes([data[60] ^ 1]) + data[61:]))
    assert "was cut" in _refusal(encoded(data[:-9]))
    assert "format 2" in _refusal(encoded(data[:1] + b"\2" + data[2:]))
    assert "another secret" in _refusal(encoded(data[:2] + b"----" + data[6:]))
    assert "not a state" in _refusal(encoded(b"PK\3\4" + data))
    assert "base64" in _refusal("no state at all!")
    assert "base64" in _refusal("é")
    assert "no state_secret" in _refusal(text, StateKeys([], most=4000))
    assert "limit is 4000" in _refusal("A" * 4001)


def test_a_state_is_bounded() -> None:
    with pytest.raises(InvalidState, match="max_state_bytes"):
        StateKeys(["now"], most=1024).seal(SavedState("lm-en", 1, bytes(32), text="ab" * 600))


def test_services_without_a_secret_do_not_share_states() -> None:
    assert "another secret" in _refusal(StateKeys.drawn(most=4000).seal(SAVED))


def test_a_setting_without_a_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="one or more secrets"):
        Settings(state_secret=SecretStr(" , "))
