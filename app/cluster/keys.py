"""Keys of the links between front ends and engines: they cross the network of the cluster."""

from typing import NamedTuple

import zmq


class EngineKeys(NamedTuple):
    """A pair of CURVE keys that all engines have. Front ends alone know the public one: with it they can connect, and
    the link is encrypted (rfc.zeromq.org/spec/26)."""

    public: bytes
    secret: bytes


def draw_keys() -> EngineKeys:
    """New keys, for all front ends and engines of one cluster."""
    return EngineKeys(*zmq.curve_keypair())
