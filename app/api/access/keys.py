"""Keys of callers: from a file that is reloaded when it changes, from the environment, and the administrator key.

The service stores only SHA-256 hashes. A key is a long random token, which cannot be guessed from its hash, so the slow
hash of a password is not needed. Keys are looked up by hash, so the time of a lookup reveals nothing about them.
"""

import json
import logging
import secrets
import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.api.access.rate_text import check_rate
from app.api.access.roles import Role
from app.errors import InvalidAccess

log = logging.getLogger("unroll.access")
_PREFIX = "unroll_"  # lets people and secret scanners recognise a key
_TOKEN_BYTES = 32
_HASH = "sha256:"


class Key(BaseModel):
    """A key. Limits left out default to those of the settings; an empty rate and 0 mean no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[\w.@-]+$", max_length=64)]
    hash: Annotated[str, Field(pattern=f"^{_HASH}[0-9a-f]{{64}}$")]
    role: Role = Role.USER
    rate_limit: Annotated[str, AfterValidator(check_rate)] | None = None
    concurrent_inputs: Annotated[int, Field(ge=0)] | None = None


class _Entries(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key]


def unreadable(file: Path | None, error: OSError | UnicodeDecodeError) -> InvalidAccess:
    """The error of a file that cannot be read."""
    return InvalidAccess(f"{file}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}")


def new_token() -> str:
    """A new random key."""
    return _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def hash_of(token: bytes) -> str:
    """The hash of a key, as it is stored."""
    return _HASH + sha256(token).hexdigest()


def administrator(token: str) -> Key:
    """The entry of the setting `admin_key`."""
    return Key(name="admin_key", hash=hash_of(token.encode()), role=Role.ADMIN)


def read_entries(text: str, *, source: str, toml: bool = False) -> list[Key]:
    """Entries in JSON or TOML. Raises InvalidAccess, which gives the place of a mistake but not its text: that may be a
    key."""
    try:
        return _Entries.model_validate(tomllib.loads(text) if toml else json.loads(text)).keys
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidAccess(f"{source}: {place}: {first['msg']}; `unroll key new` makes an entry") from None
    except ValueError as error:
        where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidAccess(f"{source}: {where}not valid {'TOML' if toml else 'JSON'}") from None


class Keys:
    """The valid keys. `required`: whether the tasks need one."""

    def __init__(self, fixed: Sequence[Key] = (), *, file: Path | None = None, required: bool) -> None:
        self.required = required
        self._fixed = fixed
        self._file = file
        self._seen: tuple[int, ...] = ()
        self._by_hash: dict[str, Key] = {}
        self._read()

    def find(self, token: bytes) -> Key | None:
        """The entry of a key, if the key is valid."""
        return self._by_hash.get(hash_of(token))

    @property
    def is_empty(self) -> bool:
        """Whether there is no key, and none can be added."""
        return not self.required and not self._by_hash

    @property
    def has_administrator(self) -> bool:
        return any(key.role is Role.ADMIN for key in self._by_hash.values())

    def refresh(self) -> None:
        """Reload the file if it changed. An invalid file changes nothing, so that a mistake locks no caller out."""
        if self._file is None:
            return
        try:
            changed = self._read()
        except InvalidAccess as error:
            log.error("the keys are unchanged: %s", error.detail)
            return
        if changed:
            log.info("%s was reloaded: %d keys", self._file, len(self._by_hash))

    def _read(self) -> bool:
        """Read the file if it changed. Returns whether it did. Raises InvalidAccess."""
        entries = list(self._fixed)
        if self._file is not None:
            try:
                stat = self._file.stat()
                seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if seen == self._seen:
                    return False
                self._seen = seen  # also of an invalid file, whose error is logged once
                text = self._file.read_text(encoding="utf8")
            except (OSError, UnicodeDecodeError) as error:
                if self._seen == (0,):
                    return False
                self._seen = (0,)
                raise unreadable(self._file, error) from None
            entries += read_entries(text, source=str(self._file), toml=self._file.suffix != ".json")
        for member in ("name", "hash"):
            values = [getattr(entry, member) for entry in entries]
            if len(set(values)) < len(values):
                names = [entry.name for entry in entries if values.count(getattr(entry, member)) > 1]
                raise InvalidAccess(f"two keys have the same {member}: {', '.join(names)}")
        self._by_hash = {entry.hash: entry for entry in entries}
        return True
