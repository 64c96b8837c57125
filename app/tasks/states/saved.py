"""What a client carries: the state of a model, and what the front end needs to read on."""

import msgspec

from app.engine.protocol import Carried


class SavedState(msgspec.Struct, array_like=True, frozen=True):
    """The state of version `version` of `model` with the SHA-256 `weights`, or None if it has read nothing yet.

    `text` follows what it has read and is read again with what comes, since its tokens may change; `chars` are the
    characters before it. After a completion, `pending` is the last token, which the network has not read, and `after`
    are the ids whose spelling the next text follows; `unshown` are decoded ids whose text may still change, such as
    some bytes of a character. `seed` has drawn `drawn` tokens; `decoded` are all tokens so far, None if no rule counts
    them.
    """

    model: str
    version: int
    weights: bytes
    carried: Carried | None = None
    text: str = ""
    chars: int = 0
    pending: int | None = None
    after: list[int] = []
    unshown: list[int] = []
    seed: int | None = None
    drawn: int = 0
    decoded: list[int] | None = None

    @property
    def is_completed(self) -> bool:
        """Whether it follows a completion."""
        return bool(self.pending is not None or self.after or self.unshown)
