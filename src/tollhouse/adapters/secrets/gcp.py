"""`gcp-secret-manager:projects/P/secrets/S`, perhaps with `/versions/V`: Google Cloud's Secret Manager.

One REST call of our own; the credentials for it by google-auth, which comes with the extra `gcp` and knows service
accounts, metadata servers and federated identities. Google's client for the service would bring gRPC with it.

Source, read 2026-11-25:
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSourceDown, SecretUnavailable

from .http import Answer, call
from .sound import sound_secret

_HOST: Final = "https://secretmanager.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_ENDPOINT_VARIABLE: Final = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"


class _Payload(msgspec.Struct):
    data: str


class _Version(msgspec.Struct):
    payload: _Payload


class GcpSecrets:
    """Reads with the application's default credentials."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._endpoint = (variables.get(_ENDPOINT_VARIABLE) or _HOST).rstrip("/")
        self._lock = threading.Lock()
        self._credentials: Any = None

    @property
    def scheme(self) -> str:
        return "gcp-secret-manager"

    def resolve(self, rest: str) -> Secret:
        """The version named, or the newest. Raises: SecretUnavailable."""
        name = rest if "/versions/" in rest else f"{rest}/versions/latest"
        url = f"{self._endpoint}/v1/{quote(name)}:access"
        answer = call("GET", url, headers={"Authorization": f"Bearer {self._token().reveal()}"})
        if answer.status >= 500 or answer.status == 429:
            raise SecretSourceDown(f"Google's Secret Manager answered with status {answer.status}.")
        if answer.status != 200:
            raise SecretUnavailable(f"{name}: {_meaning(answer.status)}.")
        try:
            text = base64.b64decode(msgspec.json.decode(answer.body, type=_Version).payload.data).decode()
        except ValueError:  # those of msgspec and base64 among them
            raise SecretUnavailable(f"{name} does not hold text.") from None
        return sound_secret(text, f"The secret {name}")

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - nothing is known of it
        return None

    def _token(self) -> Secret:
        try:
            import google.auth  # noqa: PLC0415
            from google.auth.exceptions import (  # noqa: PLC0415
                DefaultCredentialsError,
                GoogleAuthError,
                TransportError,
            )
        except ImportError:
            raise SecretUnavailable(
                "References with gcp-secret-manager: need the extra `gcp`: install `tollhouse[gcp]`."
            ) from None
        try:
            with self._lock:
                if self._credentials is None:
                    asking: Any = _request  # a class in their library, a function in ours
                    self._credentials, _ = google.auth.default(scopes=[_SCOPE], request=asking)
                if not self._credentials.valid:
                    self._credentials.refresh(_request)
                return Secret(self._credentials.token)
        except DefaultCredentialsError:
            raise SecretUnavailable(
                "Nothing opens Google Cloud: set GOOGLE_APPLICATION_CREDENTIALS, or give this machine an identity."
            ) from None
        except (GoogleAuthError, SecretSourceDown) as error:
            is_down = isinstance(error, TransportError | SecretSourceDown) or getattr(
                error, "retryable", False
            )
            kind = SecretSourceDown if is_down else SecretUnavailable
            raise kind(f"Google Cloud gave no token ({type(error).__name__}).") from None


class _Response:
    """Implements google.auth.transport.Response."""

    def __init__(self, answer: Answer) -> None:
        self.status, self.headers, self.data = answer


def _request(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> _Response:
    """Implements google.auth.transport.Request by our own client."""
    return _Response(call(method, url, headers=headers or {}, body=body, timeout_s=min(timeout or 3.0, 3.0)))


def _meaning(status: int) -> str:
    match status:
        case 404:
            return "there is no such secret, or no such version"
        case 403:
            return "it may not be read. Grant roles/secretmanager.secretAccessor on it"
        case 400:
            return "this version is disabled or destroyed"
        case _:
            return f"Google's Secret Manager refuses it with status {status}"
