"""`vault:PATH#FIELD`: HashiCorp Vault, or OpenBao, its key-value engine of version 2, over HTTP.

Three calls of a stable API need no library of their own. The settings are those of Vault's command line: VAULT_ADDR,
VAULT_NAMESPACE, VAULT_CACERT and VAULT_TOKEN. Instead of a token: VAULT_ROLE_ID with VAULT_SECRET_ID (AppRole), or
VAULT_KUBERNETES_ROLE (the pod's service account).

Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and ../auth/approle, ../auth/kubernetes, read
2026-11-25.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSourceDown, SecretUnavailable

from .http import Answer, call
from .sound import sound_secret

_SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_MOST_NAMED: Final = 20


class _Granted(msgspec.Struct):
    client_token: str


class _Login(msgspec.Struct):
    auth: _Granted


class _Version(msgspec.Struct):
    data: dict[str, object] | None = None


class _Read(msgspec.Struct):
    data: _Version


class VaultSecrets:
    """Reads from the Vault that the variables name, at the moment it is asked. A login is kept until it is refused."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._lock = threading.Lock()
        self._granted: Secret | None = None

    @property
    def scheme(self) -> str:
        return "vault"

    def resolve(self, rest: str) -> Secret:
        """The field of the newest version. Raises: SecretUnavailable."""
        path, _, field = rest.rpartition("#")
        answer = self._read(path)
        if answer.status == 403:
            raise SecretUnavailable(
                f"Vault does not let us read {path}. Give its policy the capability `read`."
            )
        if answer.status == 404:
            raise SecretUnavailable(f"There is no secret {path} in Vault, or its version was deleted.")
        if answer.status != 200:
            raise SecretSourceDown(
                f"Vault answered with status {answer.status}: it may be sealed or failing."
            )
        return _field(answer.body, path, field)

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - the same for every path
        address = urlsplit(self._variables.get("VAULT_ADDR", ""))
        if address.scheme == "http" and address.hostname not in {"127.0.0.1", "::1", "localhost"}:
            return "VAULT_ADDR is http: secrets travel in clear. Use https."
        return None

    def _read(self, path: str) -> Answer:
        """Once more with a fresh login, where the one at hand is refused."""
        token = self._token()
        answer = self._get(path, token)
        if answer.status != 403 or not self._logs_in():
            return answer
        with self._lock:
            if self._granted is token:
                self._granted = None
        return self._get(path, self._token())

    def _get(self, path: str, token: Secret) -> Answer:
        return self._call("GET", quote(_api_path(path)), {"X-Vault-Token": token.reveal()}, None)

    def _logs_in(self) -> bool:
        return not self._variables.get("VAULT_TOKEN")

    def _token(self) -> Secret:
        if not self._logs_in():
            return Secret(self._variables["VAULT_TOKEN"])
        with self._lock:
            if self._granted is None:
                self._granted = self._log_in()
            return self._granted

    def _log_in(self) -> Secret:
        method, form = self._form()
        mount = self._variables.get("VAULT_AUTH_MOUNT") or method
        answer = self._call("POST", f"auth/{quote(mount)}/login", {}, msgspec.json.encode(form))
        if answer.status >= 500 or answer.status == 429:
            raise SecretSourceDown(f"Vault answered the login with status {answer.status}.")
        if answer.status != 200:
            raise SecretUnavailable(f"Vault refuses the login by {method} (status {answer.status}).")
        try:
            return Secret(msgspec.json.decode(answer.body, type=_Login).auth.client_token)
        except msgspec.MsgspecError:
            raise SecretSourceDown("Vault answered the login with something that is not a token.") from None

    def _form(self) -> tuple[str, Mapping[str, str]]:
        """The method, and what it is asked with."""
        if role_id := self._variables.get("VAULT_ROLE_ID"):
            return "approle", {"role_id": role_id, "secret_id": self._variables.get("VAULT_SECRET_ID", "")}
        if role := self._variables.get("VAULT_KUBERNETES_ROLE"):
            path = Path(self._variables.get("VAULT_KUBERNETES_TOKEN_FILE") or _SERVICE_ACCOUNT)
            try:
                return "kubernetes", {"role": role, "jwt": path.read_text().strip()}
            except (OSError, ValueError):
                raise SecretUnavailable(f"The service account's token {path} cannot be read.") from None
        raise SecretUnavailable(
            "Nothing opens Vault: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_KUBERNETES_ROLE."
        )

    def _call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        address = self._variables.get("VAULT_ADDR", "").rstrip("/")
        if not address:
            raise SecretUnavailable("VAULT_ADDR is not set. Set it to Vault's address before the start.")
        namespace = self._variables.get("VAULT_NAMESPACE")
        named = {"X-Vault-Namespace": namespace} if namespace else {}
        ca_file = self._variables.get("VAULT_CACERT") or None
        return call(
            method,
            f"{address}/v1/{path}",
            headers={"X-Vault-Request": "true", **named, **headers},
            body=body,
            ca_file=ca_file,
        )


def _api_path(path: str) -> str:
    """As the API has it: `data` stands after the mount, which is the first segment unless the path says otherwise."""
    if "/data/" in path:
        return path
    mount, _, below = path.partition("/")
    return f"{mount}/data/{below}"


def _field(body: bytes, path: str, field: str) -> Secret:
    try:
        fields = msgspec.json.decode(body, type=_Read).data.data
    except msgspec.MsgspecError:
        raise SecretUnavailable(
            f"What Vault has at {path} is not of its key-value engine of version 2. Check the path."
        ) from None
    if fields is None:
        raise SecretUnavailable(f"The newest version of {path} in Vault was deleted.")
    value = fields.get(field)
    if not isinstance(value, str):
        named = ", ".join(sorted(fields)[:_MOST_NAMED]) or "none"
        raise SecretUnavailable(f"{path} in Vault has no text field {field!r}. Its fields: {named}.")
    return sound_secret(value, f"The field {field} of {path} in Vault")
