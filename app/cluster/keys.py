"""Keys of the links between front ends and engines: they cross the network of the cluster."""

import hashlib
from typing import NamedTuple

import zmq
from zmq.utils import z85

from app.settings import Settings


class EngineKeys(NamedTuple):
    """A pair of CURVE keys that all engines have. Front ends alone know the public one: with it they can connect, and
    the link is encrypted (rfc.zeromq.org/spec/26)."""

    public: bytes
    secret: bytes


def keys_of(settings: Settings) -> EngineKeys:
    """The keys of all front ends and engines of one cluster. They follow from `state_secret`, so that those of an
    earlier deployment with the same secret still reach each other while a new one takes their place."""
    assert settings.state_secret is not None
    words = settings.state_secret.get_secret_value().encode()
    secret = z85.encode(hashlib.blake2b(words, digest_size=32, person=b"unroll engines").digest())
    return EngineKeys(zmq.curve_public(secret), secret)
