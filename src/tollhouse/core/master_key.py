"""The house's master keys, and the keys derived from them: one for each purpose, so that no two uses share one.

Derivation is HKDF with SHA-256 (RFC 5869). A master key is known by an id that is derived from it as well: what is
encrypted under a key that was mistaken for another is missed by its id, rather than opened wrongly. Names are for
people.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

from .secret import Secret

MOST_KEYS: Final = 16
LEAST_BITS: Final = 128
_FEWEST_LETTERS: Final = 8
"""Different ones."""
_SALT: Final = b"tollhouse v1"
_NAMED: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):(\S.*)")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_ALPHABETS: Final = ((r"[0-9]", 10), (r"[a-z]", 26), (r"[A-Z]", 26), (r"[^0-9A-Za-z]", 32))


class Purpose(StrEnum):
    """What a derived key is for. A value is never changed: it is part of the derivation.

    Virtual keys are hashed under a pepper that is older than this list, see `bootstrap.sealing`.
    """

    SEALING = "sealing"
    """Wraps the data keys of stored secrets."""
    AUDIT = "audit"
    BROWSER_TOKENS = "browser tokens"
    COOKIES = "cookies"
    WEBHOOKS = "webhooks"
    ANSWERS = "answers"
    """Seals recorded answers that workers share."""
    SNAPSHOTS = "snapshots"
    """Signs what a process keeps on its own disk for when the store is away."""


def derive(key: Secret, *context: str) -> Secret:
    """32 bytes in hex for a context, such as a purpose and what it is about. Different contexts give keys that tell
    nothing of each other, nor of the key they come from."""
    text = "".join(f"{len(part)}:{part}" for part in context)
    extracted = hmac.digest(_SALT, key.reveal().encode(), hashlib.sha256)
    return Secret(hmac.digest(extracted, text.encode() + b"\x01", hashlib.sha256).hex())


class MasterKey:
    """One master key. `name` is what the operator calls it, or else its id."""

    __slots__ = ("id", "name", "secret")

    def __init__(self, secret: Secret, name: str | None = None) -> None:
        self.secret = secret
        self.id = derive(secret, "id").reveal()[:16]
        self.name = name or self.id

    def __repr__(self) -> str:
        return f"MasterKey({self.name})"

    def derive(self, purpose: Purpose, *context: str) -> Secret:
        """The key of a purpose, perhaps narrowed to one thing."""
        return derive(self.secret, "purpose", purpose.value, *context)


class MasterKeyring:
    """The current master key, which new secrets are sealed under, and older ones, which are kept for reading."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        """Newest first. Raises: ValueError for none, too many, or one that stands there twice."""
        if not 0 < len(keys) <= MOST_KEYS:
            raise ValueError(
                f"There are {len(keys)} master keys; one is needed, and {MOST_KEYS} are the most."
            )
        if len({key.id for key in keys}) < len(keys) or len({key.name for key in keys}) < len(keys):
            raise ValueError(
                "The same master key, or the same name, stands there twice. Keep one of the two."
            )
        self.keys = tuple(keys)
        self._by_id = {key.id: key for key in keys}

    def __repr__(self) -> str:
        return f"MasterKeyring({', '.join(key.name for key in self.keys)})"

    @property
    def current(self) -> MasterKey:
        return self.keys[0]

    @property
    def oldest(self) -> MasterKey:
        return self.keys[-1]

    def find(self, key_id: str) -> MasterKey | None:
        """The key of an id, if it is still here."""
        return self._by_id.get(key_id)

    def derive(self, purpose: Purpose) -> tuple[Secret, ...]:
        """A purpose's keys, that of the current master key first: sign with the first, verify with any."""
        return tuple(key.derive(purpose) for key in self.keys)


def parse_master_keys(text: str) -> MasterKeyring:
    """One key; or several, newest first: one a line, or `NAME:KEY,NAME:KEY`. On lines, names may be left out.

    Raises: ValueError with a sentence, which shows no key, where there is none or the current one is weak. Older keys
    may be weak: what they protected has to be read in order to be sealed anew.
    """
    pieces = [line.strip() for line in text.splitlines() if line.strip()]
    if len(pieces) == 1:
        parts = [part.strip() for part in pieces[0].split(",")]
        if all(_NAMED.fullmatch(part) for part in parts):
            pieces = parts
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("The master key is not text. Use letters and digits.") from None
    keyring = MasterKeyring([_parsed(piece) for piece in pieces])
    if weakness := weakness_of(keyring.current.secret.reveal()):
        raise ValueError(
            f"The master key is weak: {weakness}. Make one with `openssl rand -hex 32`. Where a weak one is in use "
            "already, put the new one before it (TOLLHOUSE_MASTER_KEY=new:KEY,old:KEY) and run `tollhouse secrets "
            "rotate-master`."
        )
    return keyring


def _parsed(piece: str) -> MasterKey:
    named = _NAMED.fullmatch(piece)
    return MasterKey(Secret(named[2]), named[1]) if named is not None else MasterKey(Secret(piece))


def weakness_of(text: str) -> str | None:
    """Why a text is no master key, as the rest of a sentence. It finds what is certainly weak: nobody can see from a
    text how it was made."""
    if len(set(text)) < _FEWEST_LETTERS:
        return f"it is made of fewer than {_FEWEST_LETTERS} different letters"
    if text in (text + text)[1:-1]:
        return "it repeats itself"
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    if sum(step in {-1, 0, 1} for step in steps) > len(steps) / 2:
        return "its letters follow one another"
    if _bits(text) < LEAST_BITS:
        return f"it is too short to hold {LEAST_BITS} bits"
    return None


def _bits(text: str) -> float:
    """The most that a text of its length and letters can hold."""
    if _HEX.fullmatch(text) and (text.islower() or text.isupper() or text.isdigit()):
        size = 10 if text.isdigit() else 16
    else:
        size = sum(count for letters, count in _ALPHABETS if re.search(letters, text))
    return len(text) * math.log2(size)
