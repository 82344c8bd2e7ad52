"""The keys of a JWK Set (RFC 7517), each for the algorithms that fit it and for no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

MOST_KEYS: Final = 100
_MOST_TRIES: Final = 3
"""Keys of one id that are tried for one token."""
_FITTING: Final[Mapping[tuple[str, str | None], frozenset[str]]] = {
    ("RSA", None): frozenset(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ("EC", "P-256"): frozenset(["ES256"]),
    ("EC", "P-384"): frozenset(["ES384"]),
    ("EC", "P-521"): frozenset(["ES512"]),
    ("OKP", "Ed25519"): frozenset(["EdDSA", "Ed25519"]),
}
"""By type and curve. A shared secret (`oct`) fits nothing: what everybody can read signs nothing."""
_PUBLIC: Final = frozenset(["kty", "crv", "n", "e", "x", "y"])
_NOW_CALLED: Final = {"EdDSA": "Ed25519"}
"""With this curve it is the same; the name for both curves is going out of use (RFC 9864)."""
_RSA_BITS: Final = range(2048, 8193)


class _Key(NamedTuple):
    id: str | None
    algorithms: frozenset[str]
    key: Any


class PublishedKeys:
    """Implements ports.signing_keys.SigningKeys."""

    def __init__(self, document: bytes) -> None:
        """Keys that nothing fits, and those that cannot be read, are passed over. Raises: ValueError for what is no key
        set, or has more than a hundred keys."""
        try:
            listed = msgspec.json.decode(document, type=dict[str, Any])["keys"]
        except (msgspec.DecodeError, KeyError, RecursionError):
            raise ValueError("this is no JSON object with `keys` in it") from None
        if not isinstance(listed, list) or len(listed) > MOST_KEYS:
            raise ValueError(f"`keys` is not a list of at most {MOST_KEYS}")
        self._keys = [key for one in listed if isinstance(one, dict) and (key := _read(one)) is not None]
        self._ids = frozenset(one["kid"] for one in listed if isinstance(one, dict) and _has_id(one))
        self._registry = JWSRegistry(
            algorithms=[name for fitting in _FITTING.values() for name in fitting], strict_check_header=False
        )

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, key_id: str) -> bool:
        """See ports.signing_keys."""
        return key_id in self._ids

    def check(self, algorithm: str, key_id: str | None, signed: bytes, signature: bytes) -> bool:
        """See ports.signing_keys."""
        fitting = [
            one.key
            for one in self._keys
            if algorithm in one.algorithms and (key_id is None or one.id == key_id)
        ]
        if key_id is None and len(fitting) != 1:
            return False
        return any(self._is_signed_by(key, algorithm, signed, signature) for key in fitting[:_MOST_TRIES])

    def _is_signed_by(self, key: Any, algorithm: str, signed: bytes, signature: bytes) -> bool:
        try:
            verifier = self._registry.get_alg(_NOW_CALLED.get(algorithm, algorithm))
            return bool(verifier.verify(signed, signature, key))
        except (JoseError, ValueError):
            return False


def _has_id(written: Mapping[str, Any]) -> bool:
    return isinstance(written.get("kid"), str)


def _read(written: Mapping[str, Any]) -> _Key | None:
    """A public key that is meant for checking signatures, or None."""
    kind, curve, use = written.get("kty"), written.get("crv"), written.get("use", "sig")
    operations = written.get("key_ops", ["verify"])
    fitting = _FITTING.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
    if fitting is None or use != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if "alg" in written:
        fitting = fitting & {written["alg"]} if isinstance(written["alg"], str) else frozenset()
    public: dict[str, str | list[str]] = {
        name: value for name, value in written.items() if name in _PUBLIC and isinstance(value, str)
    }
    try:
        key = import_key(public)
        opened = key.public_key
        if kind == "RSA" and opened.key_size not in _RSA_BITS:  # type: ignore[union-attr]
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return _Key(written["kid"] if _has_id(written) else None, fitting, key)
