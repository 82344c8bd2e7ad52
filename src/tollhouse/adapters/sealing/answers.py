"""Recorded answers, sealed for a short time by many processes that share a key.

AES-256-GCM. Each process encrypts under a key of its own, derived from the shared one and a random salt, and counts its
nonces: so no nonce is used twice under one key, however many answers are sealed.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollhouse.core.master_key import derive
from tollhouse.core.secret import Secret

_FORMAT: Final = b"\x01"
_ID_BYTES: Final = 8
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_FORMAT) + _ID_BYTES + _SALT_BYTES + _NONCE_BYTES
_TAG_BYTES: Final = 16
_MOST_READERS: Final = 256
"""Keys of other processes that are remembered."""


class SaltedSealer:
    """Implements ports.shared_answers.AnswerSealer. For one thread."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        """Seals by the first key, opens by any. `keys` are of one purpose. Raises: ValueError without any."""
        if not keys:
            raise ValueError("there is nothing to seal with")
        self._keys = {_id_of(key): key for key in keys}
        self._ciphers: OrderedDict[bytes, AESGCM] = OrderedDict()
        """By key and salt."""
        self._prefix = _FORMAT + _id_of(keys[0]) + os.urandom(_SALT_BYTES)
        self._own = _cipher(keys[0], self._prefix[-_SALT_BYTES:])
        self._count = 0

    def seal(self, text: bytes, place: bytes) -> bytes:
        """See ports.shared_answers."""
        self._count += 1
        nonce = self._count.to_bytes(_NONCE_BYTES, "big")
        return self._prefix + nonce + self._own.encrypt(nonce, text, self._prefix + place)

    def open(self, sealed: bytes, place: bytes) -> bytes | None:
        """See ports.shared_answers."""
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or not sealed.startswith(_FORMAT):
            return None
        prefix, nonce = sealed[: _HEAD_BYTES - _NONCE_BYTES], sealed[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
        cipher = self._cipher_of(prefix)
        if cipher is None:
            return None
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES:], prefix + place)
        except InvalidTag:
            return None

    def _cipher_of(self, prefix: bytes) -> AESGCM | None:
        found = self._ciphers.get(prefix)
        if found is not None:
            self._ciphers.move_to_end(prefix)
            return found
        key = self._keys.get(prefix[len(_FORMAT) : len(_FORMAT) + _ID_BYTES])
        if key is None:
            return None
        self._ciphers[prefix] = made = _cipher(key, prefix[-_SALT_BYTES:])
        if len(self._ciphers) > _MOST_READERS:
            self._ciphers.popitem(last=False)
        return made


def _id_of(key: Secret) -> bytes:
    return hashlib.sha256(derive(key, "id").reveal().encode()).digest()[:_ID_BYTES]


def _cipher(key: Secret, salt: bytes) -> AESGCM:
    return AESGCM(bytes.fromhex(derive(key, "process", salt.hex()).reveal()))
