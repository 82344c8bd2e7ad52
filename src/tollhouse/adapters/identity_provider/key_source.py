"""Where an issuer's keys come from: a file, an address, or what its discovery document says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from .http import MOST_BYTES, ProviderDown, call

_DISCOVERY: Final = "/.well-known/openid-configuration"


class KeySource(NamedTuple):
    """One issuer's."""

    issuer: str
    url: str | None = None
    file: str | None = None
    ca_file: str | None = None


def read_keys(source: KeySource) -> bytes:
    """The JWK Set as it is now, as its text; at most 256 KiB. Raises: ProviderDown."""
    if source.file is not None:
        return _file(Path(source.file))
    url = source.url
    if url is None:
        url = discover(source.issuer, source.ca_file).get("jwks_uri")
        if not isinstance(url, str):
            raise ProviderDown(f"The discovery document of {source.issuer} does not say where its keys are.")
    answer = call("GET", url, ca_file=source.ca_file)
    if answer.status != 200:
        raise ProviderDown(f"The keys of {source.issuer} are answered with status {answer.status}.")
    return answer.body


def discover(issuer: str, ca_file: str | None = None) -> dict[str, Any]:
    """The discovery document of an OpenID provider. Raises: ProviderDown, also where it is somebody else's."""
    answer = call("GET", issuer.rstrip("/") + _DISCOVERY, ca_file=ca_file)
    if answer.status != 200:
        raise ProviderDown(f"The discovery document of {issuer} is answered with status {answer.status}.")
    try:
        document = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ProviderDown(f"The discovery document of {issuer} cannot be read.") from None
    if document.get("issuer") != issuer:
        raise ProviderDown(f"The discovery document of {issuer} is that of another issuer.")
    return document


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ProviderDown(f"The file of keys {path} cannot be read: {error.strerror or error}.") from None
    if len(content) > MOST_BYTES:
        raise ProviderDown(f"The file of keys {path} has more than {MOST_BYTES} bytes.")
    return content
