"""Browser tokens at the door: what one opens, and why it does not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec.structs import replace

from tollhouse.core.client_token import (
    MODEL_OPERATIONS,
    TOKEN_PREFIX,
    ClientToken,
    ClientTokenSigner,
    TokenInvalid,
)
from tollhouse.core.errors import ErrorKind
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation

from .refusals import KeyRefused, no_key

PREFIX: Final = TOKEN_PREFIX.encode()
_ASK_FOR_A_NEW_ONE: Final = "Ask the page's own back end for a new one (`POST /v1/client_tokens`)."


def read_token(text: bytes, signer: ClientTokenSigner, now: float, operation: Operation) -> ClientToken:
    """The token of a text that begins like one, if it may ask for that now. Its key is still to be looked at.

    Raises: GatewayError `unauthenticated`; KeyRefused `key_expired`, `forbidden`.
    """
    try:
        token = signer.read(text)
    except TokenInvalid as error:
        raise no_key(f"This is no browser token of this gateway: {error}.", _ASK_FOR_A_NEW_ONE) from None
    if now >= token.expires_at:
        raise KeyRefused(
            token.key_id, ErrorKind.KEY_EXPIRED, "This browser token has expired.", _ASK_FOR_A_NEW_ONE
        )
    if operation not in MODEL_OPERATIONS:
        raise _forbidden(
            token,
            f"A browser token may not ask for {operation.value}.",
            "It is good for calls to models. Ask with a virtual key, from the back end.",
        )
    return token


def principal_of(token: ClientToken, key: Principal) -> Principal:
    """Whoever holds the token: the key that it was made with, and no more than the token says."""
    expires_at = token.expires_at if key.expires_at is None else min(token.expires_at, key.expires_at)
    return replace(key, client_token=token, expires_at=expires_at)


def check_page(token: ClientToken, origin: bytes | None, pages: Collection[str]) -> None:
    """Whether a token may be used from there: from the origins that it names; where it names none, from those the
    house takes calls from, and from what is no page of another origin.

    Raises: KeyRefused `forbidden`.
    """
    said = origin.decode("latin-1") if origin is not None else None
    if token.origins:
        if said in token.origins:
            return
    elif said is None or said in pages:
        return
    raise _forbidden(
        token,
        f"This browser token may not be used from {said[:200]!r}."
        if said is not None
        else "This browser token is for pages of certain origins, and the call names none.",
        "The back end names its pages' `origins` when it asks for the token, or the operator under "
        "`server.cors.origins`.",
    )


def _forbidden(token: ClientToken, message: str, hint: str) -> KeyRefused:
    return KeyRefused(token.key_id, ErrorKind.FORBIDDEN, message, hint)
