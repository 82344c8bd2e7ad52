"""What a configuration may say about time."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def check_timezone(text: str) -> None:
    """Raises: ValueError for what the IANA database, as this machine has it, does not know."""
    if text == "UTC":
        return  # is known everywhere, also where there is no database
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{text!r} is not a time zone that is known here.") from error
