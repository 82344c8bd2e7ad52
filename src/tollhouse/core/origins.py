"""Origins as browsers write them into the header `Origin`: scheme, host and port of the page that asks."""

from __future__ import annotations

import re
from typing import Final

LONGEST_ORIGIN: Final = 300
_ORIGIN: Final = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?"
)
_USUAL_PORTS: Final = {"http": "80", "https": "443"}


def check_origin(text: str) -> None:
    """Raises: ValueError, with a sentence, for what no browser would send, and so could never be matched."""
    match = _ORIGIN.fullmatch(text)
    if match is None or len(text) > LONGEST_ORIGIN:
        raise ValueError(
            f"{text[:100]!r} is no origin: write https://app.example, in lower case, with no path and no star."
        )
    scheme, _, port = match.groups()
    if port is not None and (port == _USUAL_PORTS[scheme] or int(port) > 65535):
        raise ValueError(f"{text!r} is no origin as browsers send it: leave the port away, or correct it.")
