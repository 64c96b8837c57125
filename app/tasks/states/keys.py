"""States as texts that clients carry, with a signature: made and checked.

`U`, the format, the id of the key, the length of the payload, the payload in msgpack, HMAC-SHA256 of all before; in
base64 for URLs without padding. The payload is decoded only if the signature is right.
"""

import binascii
import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from struct import Struct

import msgspec

from app.errors import InvalidState
from app.tasks.states.saved import SavedState

_MAGIC, _FORMAT = b"U", 1
_HEAD = Struct(">cB4sI")
_MAC = hashlib.sha256().digest_size
_CONTEXT = b"unroll state "  # so that no other signature made with the secret is one of a state
_decode = msgspec.msgpack.Decoder(SavedState).decode
_encode = msgspec.msgpack.Encoder().encode


class StateKeys:
    """Secrets that sign states: the first one signs, all verify. Without any, states are refused. `most` is the limit
    of a state in bytes of its text."""

    def __init__(self, secrets: Sequence[str], *, most: int) -> None:
        keys = [hashlib.sha256(_CONTEXT + secret.encode()).digest() for secret in secrets]
        self._keys = {hashlib.sha256(key).digest()[:4]: key for key in reversed(keys)}
        self._signing = hashlib.sha256(keys[0]).digest()[:4] if keys else b""
        self.most = most

    @classmethod
    def drawn(cls, *, most: int) -> "StateKeys":
        """Keys with a secret of their own, which ends with the process."""
        return cls([os.urandom(32).hex()], most=most)

    def seal(self, saved: SavedState) -> str:
        """The text of a state. Raises InvalidState for one that is too large."""
        self.check_on()
        payload = _encode(saved)
        content = _HEAD.pack(_MAGIC, _FORMAT, self._signing, len(payload)) + payload
        text = urlsafe_b64encode(content + _mac(self._keys[self._signing], content)).rstrip(b"=").decode()
        if len(text) > self.most:
            raise InvalidState(
                f"the state has {len(text)} characters; the limit is {self.most} (max_state_bytes): a text without "
                "spaces stays in it unread, so send text with spaces, or leave out return_state",
                limit=self.most,
            )
        return text

    def open(self, text: str) -> SavedState:
        """The state in a text. Raises InvalidState, which says what is wrong."""
        self.check_on()
        if len(text) > self.most:
            raise InvalidState(
                f"state has {len(text)} characters; the limit is {self.most} (max_state_bytes)", limit=self.most
            )
        data = _bytes(text)
        if len(data) < _HEAD.size or data[:1] != _MAGIC:
            raise InvalidState("state is not a state of this service: send the text that an answer returned, unchanged")
        _, version, key_id, length = _HEAD.unpack_from(data)
        if version != _FORMAT:
            raise InvalidState(
                f"state has format {version}; this service reads format {_FORMAT}: a newer service made it, or it was "
                "changed; send it there, or begin anew"
            )
        if len(data) != _HEAD.size + length + _MAC:
            raise InvalidState(
                f"state has {len(data)} bytes of {_HEAD.size + length + _MAC}: it was cut or changed; send it whole"
            )
        key = self._keys.get(key_id)
        if key is None:
            raise InvalidState(
                "state was signed with another secret: services that share states need the same state_secret; a "
                "service without one forgets its states when it ends"
            )
        content, mac = data[:-_MAC], data[-_MAC:]
        if not hmac.compare_digest(_mac(key, content), mac):
            raise InvalidState("state was changed: its signature is wrong; send it as an answer returned it")
        return _decode(content[_HEAD.size :])

    def check_on(self) -> None:
        """Raises InvalidState if the service has no secret."""
        if not self._keys:
            raise InvalidState(
                "this service keeps no states: it has several workers and no state_secret; the operator can set one"
            )


def _bytes(text: str) -> bytes:
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    if urlsafe_b64encode(data).rstrip(b"=").decode() != text:  # the decoder skips other characters
        raise InvalidState("state is not base64 for URLs, or it was cut: send the text unchanged")
    return data


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
