"""What a text must be like to be used as a secret: it will stand in a header, or is JSON, as cloud keys are."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretUnavailable

LARGEST_BYTES: Final = 64 * 1024


def sound_secret(text: str, origin: str) -> Secret:
    """The text as a secret, without the line ends at its end.

    `origin` names where it came from, such as "The variable X". Raises: SecretUnavailable.
    """
    text = _on_one_line(text.rstrip("\r\n"))
    if not text.strip():
        raise SecretUnavailable(f"{origin} is empty. Put the secret there.")
    if len(text) > LARGEST_BYTES:
        raise SecretUnavailable(
            f"{origin} holds more than {LARGEST_BYTES} bytes. A secret is one short line."
        )
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise SecretUnavailable(f"{origin} holds control characters or several lines. Put one line there.")
    if not text.isascii():
        raise SecretUnavailable(
            f"{origin} holds letters that are not ASCII, which no credential has. Copy the secret again."
        )
    if text != text.strip():
        raise SecretUnavailable(f"{origin} begins or ends with a space. Remove it.")
    return Secret(text)


def _on_one_line(text: str) -> str:
    """A JSON object without the line ends between its members, as it is downloaded; any other text as it is."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return msgspec.json.encode(msgspec.json.decode(text)).decode()
    except msgspec.DecodeError:
        return text
