"""Who calls: from the text of a pass to a principal, without asking anybody.

Everything needed is in memory. A text that cannot be one of our keys is refused before it is even hashed; "I cannot
check" is never told as "you may not".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final, Never
from urllib.parse import unquote_to_bytes

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal, VirtualKey
from tollhouse.core.ids import KEY_PREFIX, is_virtual_key
from tollhouse.core.secret import Secret

LONGEST_KEY_BYTES: Final = 512
_BEARER: Final = b"bearer "


def pepper_of(master_key: Secret) -> Secret:
    """What virtual keys are hashed with: derived, so that no two uses of the master key share a key."""
    return Secret(hmac.digest(master_key.reveal().encode(), b"tollhouse virtual keys v1", "sha256").hex())


def key_digest(pepper: Secret, text: str) -> str:
    """What the house keeps of a virtual key instead of its text."""
    return hmac.digest(pepper.reveal().encode(), text.encode(), "sha256").hex()


class Entry(msgspec.Struct, frozen=True):
    """A key with the principal it makes, built once."""

    key: VirtualKey
    principal: Principal


def entries_of(keys: Iterable[VirtualKey]) -> dict[str, Entry]:
    """Keys as a keyring has them, by digest."""
    return {
        key.digest: Entry(key, Principal(key_id=key.id, key_name=key.name, team=key.team, routes=key.routes))
        for key in keys
    }


class Keyring:
    """The keys this process knows, by digest: those of the store, which grow, and those that the configuration
    declares, which come and go with it. Changed only by `learn`, `declare` and `set_freshness`."""

    __slots__ = ("_declared", "_entries", "_hmac", "_is_fresh", "_is_loaded")

    def __init__(self, pepper: Secret) -> None:
        self._hmac = hmac.new(pepper.reveal().encode(), digestmod="sha256")
        """Keyed once and copied for each text: half the cost of keying anew."""
        self._entries: dict[str, Entry] = {}
        self._declared: dict[str, Entry] = {}
        self._is_fresh = False
        self._is_loaded = False

    def learn(self, keys: Iterable[VirtualKey]) -> None:
        """Add keys or take over their new state. A digest stays known when its key is revoked."""
        self._entries.update(entries_of(keys))

    def declare(self, entries: dict[str, Entry]) -> None:
        """Know these keys, see `entries_of`, in place of all that were declared before."""
        self._declared = entries

    def set_loaded(self) -> None:
        """The store's keys have arrived, be they none."""
        self._is_loaded = True

    def set_freshness(self, *, is_fresh: bool) -> None:
        """Whether the store could be asked lately: if not, an unknown key may just be a new one."""
        self._is_fresh = is_fresh

    @property
    def is_loaded(self) -> bool:
        """Whether the store's keys have arrived, be they none."""
        return self._is_loaded

    def __len__(self) -> int:
        return len(self._entries) + len(self._declared)

    def identify(self, text: bytes, now: float) -> Principal:
        """The principal of a presented text at `now` (seconds since the epoch).

        Raises: GatewayError `unauthenticated`, `key_expired`, or `auth_unavailable` where it cannot be known.
        """
        if text.startswith(KEY_PREFIX.encode()):
            if not is_virtual_key(text.decode("latin-1")):
                _refuse(
                    "This is not a whole Tollhouse key: its length or checksum is wrong.",
                    "Copy the key again, all 55 letters of it.",
                )
            keyed = self._hmac.copy()
            keyed.update(text)
            digest = keyed.hexdigest()
        elif len(text) <= LONGEST_KEY_BYTES:
            digest = hashlib.sha256(text).hexdigest()
        else:
            _refuse(f"The key is longer than {LONGEST_KEY_BYTES} bytes.", "Send one key, and nothing else.")
        entry = self._entries.get(digest) or self._declared.get(digest)
        if entry is None:
            self._unknown(text)
        key = entry.key
        if key.revoked_at is not None:
            _refuse("This key has been revoked.", "Ask for a new one: `tollhouse keys create`.")
        if key.expires_at is not None and key.expires_at <= now:
            raise GatewayError(
                ErrorKind.KEY_EXPIRED,
                "This key has expired.",
                blame=Blame.CLIENT,
                hint="Ask for a new one: `tollhouse keys create`.",
            )
        return entry.principal

    def _unknown(self, text: bytes) -> Never:
        is_ours = text.startswith(KEY_PREFIX.encode())
        if not self._is_loaded or (is_ours and not self._is_fresh):
            raise GatewayError(
                ErrorKind.AUTH_UNAVAILABLE,
                "The key cannot be checked now: the store of keys is out of reach, and this key is not known here yet.",
                blame=Blame.OPERATOR,
                hint="Try again shortly; the key itself may be fine.",
                retry_after_s=2.0,
            )
        if text.strip().startswith(KEY_PREFIX.encode()) and not is_ours:
            _refuse(
                "This key has spaces around it.", "Send `Authorization: Bearer <your key>` with one space."
            )
        _refuse(
            "This key is not known here.",
            "Use a virtual key of this gateway (`tollhouse keys create`), not a provider's key.",
        )


def _refuse(message: str, hint: str) -> Never:
    raise GatewayError(ErrorKind.UNAUTHENTICATED, message, blame=Blame.CLIENT, hint=hint)


def presented_key(headers: Mapping[bytes, bytes], query: str = "") -> bytes:
    """The text of the pass: `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `api-key`, the first that is
    there; where none is, `key=` of a query that may have one.

    Raises: GatewayError `unauthenticated` when there is none.
    """
    authorization = headers.get(b"authorization")
    if authorization is not None:
        if authorization[:7].lower() == _BEARER and len(authorization) > len(_BEARER):
            return authorization[7:]
        _refuse(
            "The authorization header is not of the form `Bearer <key>`.",
            "Send `Authorization: Bearer <your key>`.",
        )
    for name in (b"x-api-key", b"x-goog-api-key", b"api-key"):
        value = headers.get(name)
        if value:
            return value
    for field in query.split("&"):
        if field.startswith("key=") and len(field) > 4:
            return unquote_to_bytes(field[4:])
    _refuse("No key was sent.", "Send `Authorization: Bearer <your key>`.")


def authenticate(headers: Mapping[bytes, bytes], keyring: Keyring, now: float, query: str = "") -> Principal:
    """The principal behind a request's head; `query` only at doors where a key may stand in it.

    Raises: GatewayError, see Keyring.identify.
    """
    return keyring.identify(presented_key(headers, query), now)
