"""What those are told who do not come in."""

from __future__ import annotations

from tollhouse.core.errors import Blame, ErrorKind, GatewayError

_ASK_FOR_A_NEW_ONE = "Ask for a new one: `tollhouse keys create`."


class KeyRefused(GatewayError):
    """A key that is known here does not open, or not now, or not for this."""

    def __init__(
        self, key_id: str, kind: ErrorKind, message: str, hint: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(kind, message, blame=Blame.CLIENT, hint=hint, retry_after_s=retry_after_s)
        self.key_id = key_id


def no_key(message: str, hint: str) -> GatewayError:
    """What was sent is no key of this house."""
    return GatewayError(ErrorKind.UNAUTHENTICATED, message, blame=Blame.CLIENT, hint=hint)


def revoked(key_id: str) -> KeyRefused:
    """For good."""
    return KeyRefused(key_id, ErrorKind.UNAUTHENTICATED, "This key has been revoked.", _ASK_FOR_A_NEW_ONE)


def disabled(key_id: str) -> KeyRefused:
    """Until it is enabled again."""
    return KeyRefused(
        key_id,
        ErrorKind.UNAUTHENTICATED,
        "This key has been disabled.",
        f"Whoever runs the gateway can enable it again: `tollhouse keys enable {key_id}`.",
    )


def expired(key_id: str) -> KeyRefused:
    """Its time is over."""
    return KeyRefused(key_id, ErrorKind.KEY_EXPIRED, "This key has expired.", _ASK_FOR_A_NEW_ONE)


def replaced(key_id: str) -> KeyRefused:
    """The key lives, under another text."""
    return KeyRefused(
        key_id,
        ErrorKind.KEY_EXPIRED,
        "This is the former text of a key that has been rotated, and its time of grace is over.",
        "Use the text that `tollhouse keys rotate` showed.",
    )


def cannot_check(message: str, hint: str) -> GatewayError:
    """Nobody can say now whether the key opens: that is no fault of the caller."""
    return GatewayError(
        ErrorKind.AUTH_UNAVAILABLE, message, blame=Blame.OPERATOR, hint=hint, retry_after_s=2.0
    )
