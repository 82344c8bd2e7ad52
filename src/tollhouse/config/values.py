"""What a value of the configuration may look like: the scalar types that `tree.py` is made of.

`extra` is described there.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

from .address import parse_base_url, parse_network, parse_proxy

_LONGEST_S: Final = 86_400
MOST_ATTEMPTS: Final = 20
"""Upstream calls that one request may cause; more routes than that can never follow upon one."""

Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
        max_length=64,
        extra={
            "expected": "a name: letters, digits and . _ @ -, beginning with a letter or digit, at most 64"
        },
    ),
]
RouteName = Annotated[
    str,
    Meta(
        pattern=r"^(?:[!-)+-~]+\*?|\*)$",
        max_length=200,
        extra={
            "expected": "a name of visible ASCII letters without spaces, at most 200, with a `*` at most at its end"
        },
    ),
]
ModelName = Annotated[
    str,
    Meta(
        pattern=r"^(?:[!-)+-~]+|\*)$",
        max_length=200,
        extra={"expected": "a model's name, visible ASCII letters without spaces, or `*` alone"},
    ),
]
Glob = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]+$",
        max_length=200,
        extra={"expected": "a glob over route names, visible ASCII letters without spaces"},
    ),
]
RouteNames = Annotated[tuple[RouteName, ...], Meta(max_length=MOST_ATTEMPTS)]
Path = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]+$",
        max_length=4096,
        extra={"expected": "a path, without control characters"},
    ),
]
Seconds = Annotated[float, Meta(gt=0, le=_LONGEST_S)]
_STORED: Final = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
_REFERENCES: Final = "|".join(
    (
        r"env:[A-Za-z_][A-Za-z0-9_]*",
        r"file:[^\x00-\x1f\x7f]+",
        rf"store:(?:{_STORED}/)?{_STORED}",
        r"vault:[A-Za-z0-9_.@=+-]+(?:/[A-Za-z0-9_.@=+-]+)+#[A-Za-z0-9_.@-]+",
        r"aws-secrets-manager:[A-Za-z0-9/_+=.@:-]+(?:#[A-Za-z0-9_.@-]+)?",
        r"gcp-secret-manager:projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+(?:/versions/[A-Za-z0-9_-]+)?",
        r"azure-key-vault:[A-Za-z0-9.-]+/[A-Za-z0-9-]+(?:/[0-9a-f]{32})?",
    )
)


def check_reference(text: str) -> None:
    """Raises: ValueError for what is no reference."""
    if re.fullmatch(_REFERENCES, text) is None:
        raise ValueError("Expected a reference to a secret, never the secret itself.")


Reference = Annotated[
    str,
    Meta(
        max_length=4096,
        # For editors only. Not msgspec's own `pattern`: where a list of such texts is allowed as well, 0.22 frees it
        # twice, which ends the process.
        extra_json_schema={"pattern": f"^(?:{_REFERENCES})$"},
        extra={
            "check": check_reference,
            "expected": "a reference to a secret, never the secret itself",
            "hint": "Write env:NAME for an environment variable, file:PATH for a file, store:NAME or store:TEAM/NAME "
            "for one of `tollhouse secrets`; or vault:PATH#FIELD, aws-secrets-manager:NAME, "
            "gcp-secret-manager:projects/P/secrets/S, azure-key-vault:VAULT/SECRET.",
        },
    ),
]
Url = Annotated[
    str, Meta(max_length=2048, extra={"check": parse_base_url, "expected": "an http or https URL"})
]
ProxyUrl = Annotated[str, Meta(max_length=2048, extra={"check": parse_proxy, "expected": "http://HOST:PORT"})]
Setting = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Stands in a path or a host."""
Network = Annotated[
    str, Meta(max_length=64, extra={"check": parse_network, "expected": "a network such as 10.0.0.0/8"})
]
Silence = Annotated[float, Meta(ge=0, le=3600)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Amount = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
Dialects = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=64)]
