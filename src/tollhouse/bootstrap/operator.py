"""Who works at this machine, as the audit log calls whoever comes by no network."""

from __future__ import annotations

import os
import pwd


def local_operator(uid: int | None = None) -> str:
    """`user ann`, or `user 1000` where the machine has no name for it; of this process unless another id is given."""
    number = os.getuid() if uid is None else uid
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except (KeyError, OSError):
        return f"user {number}"
