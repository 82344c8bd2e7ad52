"""`azure-key-vault:VAULT/SECRET`, perhaps with `/VERSION`: Azure Key Vault.

One REST call of our own; the token for it by azure-identity, which comes with the extra `azure` and knows managed
identities, workload identities, service principals and developers' logins. VAULT is a vault's name, or its whole host
in clouds other than the public one.

Source: https://learn.microsoft.com/en-us/rest/api/keyvault/secrets/get-secret/get-secret, read 2026-11-25.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSourceDown, SecretUnavailable

from .http import call
from .sound import sound_secret

_DOMAIN: Final = "vault.azure.net"
_API_VERSION: Final = "7.4"


class _Bundle(msgspec.Struct):
    value: str


def _address(host: str) -> str:
    return f"https://{host}"


class AzureSecrets:
    """Reads with the default credential of the process."""

    def __init__(self, address: Callable[[str], str] = _address) -> None:
        """`address` gives the URL of a vault's host."""
        self._address = address
        self._lock = threading.Lock()
        self._credential: Any = None

    @property
    def scheme(self) -> str:
        return "azure-key-vault"

    def resolve(self, rest: str) -> Secret:
        """The version named, or the newest. Raises: SecretUnavailable."""
        vault, _, name = rest.partition("/")
        host = vault if "." in vault else f"{vault}.{_DOMAIN}"
        token = self._token(host.partition(".")[2])
        url = f"{self._address(host)}/secrets/{quote(name)}?api-version={_API_VERSION}"
        answer = call("GET", url, headers={"Authorization": f"Bearer {token.reveal()}"})
        if answer.status >= 500 or answer.status == 429:
            raise SecretSourceDown(f"The key vault {vault} answered with status {answer.status}.")
        if answer.status != 200:
            raise SecretUnavailable(f"{name} in the key vault {vault}: {_meaning(answer.status)}.")
        try:
            text = msgspec.json.decode(answer.body, type=_Bundle).value
        except msgspec.MsgspecError:
            raise SecretSourceDown(f"The key vault {vault} answered with something else.") from None
        return sound_secret(text, f"The secret {name} in the key vault {vault}")

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - nothing is known of it
        return None

    def _token(self, domain: str) -> Secret:
        """For the vaults of a domain; azure-identity keeps it while it is fresh."""
        try:
            from azure.core.exceptions import AzureError, ClientAuthenticationError  # noqa: PLC0415
            from azure.identity import DefaultAzureCredential  # noqa: PLC0415
        except ImportError:
            raise SecretUnavailable(
                "References with azure-key-vault: need the extra `azure`: install `tollhouse[azure]`."
            ) from None
        try:
            with self._lock:
                if self._credential is None:
                    self._credential = DefaultAzureCredential()
            return Secret(self._credential.get_token(f"https://{domain}/.default").token)
        except ClientAuthenticationError:
            raise SecretUnavailable(
                "Nothing opens Azure: give this machine a managed or workload identity, or set AZURE_TENANT_ID, "
                "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
            ) from None
        except AzureError as error:
            raise SecretSourceDown(f"Azure gave no token ({type(error).__name__}).") from None


def _meaning(status: int) -> str:
    match status:
        case 404:
            return "there is no such secret, or no such version"
        case 401 | 403:
            return "it may not be read. Give this identity the role Key Vault Secrets User"
        case _:
            return f"it is refused with status {status}"
