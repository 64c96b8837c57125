"""Landlock: the kernel of Linux keeps a process away from files, also where a C library opens them."""

import ctypes
import os
import struct
import sys
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on every architecture
_ASK_VERSION = 1
_BENEATH = 1  # a rule for a folder
_WRITE, _MAKE, _TRUNCATE = 1 << 1, 1 << 8, 1 << 14
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # what each version can refuse
_TCP, _SCOPES = 3, 3  # bind and connect; abstract sockets and signals


def only_write_to(folder: Path) -> bool:
    """Nothing else can be opened, read, made or run from now on. False where the kernel does not offer it.

    The process must have given up new privileges.
    """
    if sys.platform != "linux":
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    files = _FILES[max(known for known in _FILES if known <= version)]
    wanted = struct.pack("QQQ", files, _TCP, _SCOPES)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = call(_CREATE, wanted, ctypes.c_size_t(len(wanted)), 0)
    if rules < 0:
        return False
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        rule = struct.pack("=Qi", files & (_WRITE | _MAKE | _TRUNCATE), place)
        return bool(call(_ADD, rules, _BENEATH, rule, 0) == 0 and call(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(place)
        os.close(rules)
