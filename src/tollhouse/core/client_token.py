"""Browser tokens: short-lived passes that a back end makes with its virtual key for a page, which then holds no key.

A token says by itself what it may do, under a signature of the house: every worker and every replica can judge it
without asking anybody. It is written as `ct-th-CONTENT.SIGNATURE`, both parts in base64url. What is signed is the text
before the dot as it stands there, and what is compared is the signature's text, so that no other text is as good.
Unlike a JWS it names no algorithm, so there is none to be talked into; and it needs no library.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from .operation import Operation
from .secret import Secret

TOKEN_PREFIX: Final = "ct-th-"
SHORTEST_S: Final = 60
LONGEST_S: Final = 3_600
USUAL_S: Final = 300
LONGEST_TOKEN_BYTES: Final = 8_192

MODEL_OPERATIONS: Final = frozenset(
    [
        Operation.CHAT,
        Operation.TEXT_COMPLETION,
        Operation.EMBEDDINGS,
        Operation.COUNT_TOKENS,
        Operation.RERANK,
        Operation.LIST_MODELS,
    ]
)
"""What pages may ask for. Nothing else: what earlier calls have left behind, a provider's own paths, and what is known
of a key are the back end's."""

_FORMAT: Final = 1


class ClientToken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a token says. Written in this order: fields are only ever added at the end, and with a default."""

    format: int = _FORMAT
    id: str
    key_id: str
    """Of the virtual key that it was made with. Where that does not open, the token does not."""
    expires_at: int
    """Seconds since the epoch, UTC."""
    routes: tuple[str, ...]
    """Globs over route names; the key's own bound them as well."""
    origins: tuple[str, ...] = ()
    """Where the page is that may use it, such as `https://app.example`; not said where there are none."""
    end_user: str | None = None
    max_nanousd: int | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    """Input and output together."""
    counted_in: str | None = None
    """Which memory its calls and tokens are counted in, where they are limited: see `ports.counters.Counters.era`."""

    @property
    def is_counted(self) -> bool:
        """Whether its calls or tokens are limited."""
        return self.max_calls is not None or self.max_tokens is not None


class TokenInvalid(Exception):
    """A text that is no token of this house, or not as the house has written it."""


_DECODER: Final = msgspec.msgpack.Decoder(ClientToken)


class ClientTokenSigner:
    """Signs with the first of a purpose's keys, verifies with any of them: see `core.master_key`."""

    __slots__ = ("_keyed",)

    def __init__(self, keys: Sequence[Secret] = ()) -> None:
        self.renew(keys)

    def renew(self, keys: Sequence[Secret]) -> None:
        """Go by these keys from now on."""
        # Keyed once and copied for each text: half the cost of keying anew.
        self._keyed = tuple([hmac.new(key.reveal().encode(), digestmod="sha256") for key in keys])

    @property
    def can_sign(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._keyed)

    def sign(self, token: ClientToken) -> str:
        """The token's text."""
        content = TOKEN_PREFIX.encode() + _base64(msgspec.msgpack.encode(token))
        return (content + b"." + self._signature(self._keyed[0], content)).decode("ascii")

    def read(self, text: bytes) -> ClientToken:
        """What a token says. Nothing of it is looked at before the signature is found good. Raises: TokenInvalid."""
        if len(text) > LONGEST_TOKEN_BYTES:
            raise TokenInvalid("it is longer than any")
        content, dot, signature = text.partition(b".")
        if not dot:
            raise TokenInvalid("it is not whole")
        if not any(hmac.compare_digest(self._signature(keyed, content), signature) for keyed in self._keyed):
            raise TokenInvalid("its signature is not this house's")
        try:
            token = _DECODER.decode(urlsafe_b64decode(_padded(content[len(TOKEN_PREFIX) :])))
        except (ValueError, msgspec.DecodeError):  # of a later release
            raise TokenInvalid("this release cannot read it") from None
        if token.format != _FORMAT:
            raise TokenInvalid("this release cannot read it")
        return token

    def _signature(self, keyed: hmac.HMAC, content: bytes) -> bytes:
        mine = keyed.copy()
        mine.update(content)
        return _base64(mine.digest())


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _padded(text: bytes) -> bytes:
    return text + b"=" * (-len(text) % 4)
