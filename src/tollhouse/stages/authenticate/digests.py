"""What the house knows keys by instead of their texts."""

from __future__ import annotations

import hmac
from typing import Final

from tollhouse.core.secret import Secret

LONGEST_KEY_BYTES: Final = 512


def pepper_of(master_key: Secret) -> Secret:
    """What virtual keys are hashed with: derived, so that no two uses of the master key share a key."""
    return Secret(hmac.digest(master_key.reveal().encode(), b"tollhouse virtual keys v1", "sha256").hex())


def key_digest(pepper: Secret, text: str) -> str:
    """What the house keeps of a virtual key instead of its text."""
    return hmac.digest(pepper.reveal().encode(), text.encode(), "sha256").hex()
