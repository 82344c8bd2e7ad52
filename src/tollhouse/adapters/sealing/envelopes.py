"""One envelope: a text under a random data key, the data key under a key derived from a master key.

Both layers are AES-256-GCM with a random nonce of 96 bits, and both authenticate where they lie: tenant, table, row,
name, version of the text, layer, key and version of the format. So nothing that was swapped, moved, cut, flipped or
taken from an older version of a row opens.

Random nonces are safe for fewer than 2**32 encryptions under one key. A data key encrypts one text, once. A wrapping
key is derived for one version of one row: it wraps one data key, and once more each time the row comes back to a
master key that it was rotated away from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollhouse.core.master_key import MasterKey, MasterKeyring, Purpose
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import Envelope, EnvelopeRefused, MasterKeyMissing, Place

_FORMAT: Final = 1
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_DATA_KEY_BYTES: Final = 32
_MOST_VERSIONS: Final = 1 << 32
_WRAPPING: Final = "wrapped_key"
_TEXT: Final = "sealed"


class MasterKeySealer:
    """Implements ports.secrets.Sealer over a keyring. Safe for use by several threads."""

    def __init__(self, keyring: Callable[[], MasterKeyring]) -> None:
        """`keyring` is asked for anew when a master key is missing: a file may have a new one meanwhile."""
        self._read_keyring = keyring
        self.keyring = keyring()

    def seal(self, secret: Secret, place: Place) -> Envelope:
        """See ports.secrets."""
        data_key = os.urandom(_DATA_KEY_BYTES)
        sealed = _encrypted(data_key, secret.reveal().encode(), _bound(place, _TEXT, "data key"))
        return Envelope(
            key_id=self.keyring.current.id, wrapped_key=self._wrapped(data_key, place), sealed=sealed
        )

    def open(self, envelope: Envelope, place: Place) -> Secret:
        """See ports.secrets."""
        data_key = self._data_key(envelope, place)
        return Secret(_decrypted(data_key, envelope.sealed, _bound(place, _TEXT, "data key")).decode())

    def rewrap(self, envelope: Envelope, place: Place) -> Envelope:
        """See ports.secrets. The text is opened too: what is damaged is found now, while its old key is here."""
        self.open(envelope, place)
        wrapped = self._wrapped(self._data_key(envelope, place), place)
        return msgspec.structs.replace(envelope, key_id=self.keyring.current.id, wrapped_key=wrapped)

    def _wrapped(self, data_key: bytes, place: Place) -> bytes:
        master = self.keyring.current
        return _encrypted(_wrapping_key(master, place), data_key, _bound(place, _WRAPPING, master.id))

    def _data_key(self, envelope: Envelope, place: Place) -> bytes:
        master = self._find(envelope.key_id)
        return _decrypted(
            _wrapping_key(master, place), envelope.wrapped_key, _bound(place, _WRAPPING, master.id)
        )

    def _find(self, key_id: str) -> MasterKey:
        if (key := self.keyring.find(key_id)) is None:
            self.keyring = self._read_keyring()
            key = self.keyring.find(key_id)
        if key is None:
            raise MasterKeyMissing(key_id)
        return key


def _wrapping_key(master: MasterKey, place: Place) -> bytes:
    if not 0 < place.version < _MOST_VERSIONS:
        raise EnvelopeRefused("a row has so many versions that none can be added")
    return bytes.fromhex(master.derive(Purpose.SEALING, place.row, str(place.version)).reveal())


def _bound(place: Place, layer: str, key_id: str) -> bytes:
    """The associated data: a JSON array, so that no two places are written alike."""
    return msgspec.json.encode(
        [place.tenant, place.table, place.row, place.name, place.version, layer, key_id, _FORMAT]
    )


def _encrypted(key: bytes, text: bytes, bound: bytes) -> bytes:
    """The format's number, the nonce, the ciphertext with its tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return bytes([_FORMAT]) + nonce + AESGCM(key).encrypt(nonce, text, bound)


def _decrypted(key: bytes, content: bytes, bound: bytes) -> bytes:
    if len(content) < 1 + _NONCE_BYTES + _TAG_BYTES or content[0] != _FORMAT:
        raise EnvelopeRefused("it is cut, or of a format that this version does not know")
    nonce, ciphertext = content[1 : 1 + _NONCE_BYTES], content[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        raise EnvelopeRefused("it was altered, or lies where it was not put") from None
