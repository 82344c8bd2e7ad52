"""`aws-secrets-manager:NAME` or `…:ARN`, perhaps with `#FIELD` of a JSON object: AWS Secrets Manager.

By botocore, which comes with the extra `aws`: finding credentials (profiles, single sign-on, web identity, containers,
instances) is the hard part of it, and is kept up there by AWS.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSourceDown, SecretUnavailable

from .sound import sound_secret

_CONNECT_S: Final = 2
_READ_S: Final = 3
_FAILING: Final = frozenset(
    ["InternalServiceError", "InternalFailure", "ServiceUnavailable", "ThrottlingException", "Throttling"]
)
_MEANINGS: Final = {
    "ResourceNotFoundException": "there is none of this name. Check name and region",
    "AccessDeniedException": "it may not be read. Allow secretsmanager:GetSecretValue, and kms:Decrypt for its key",
    "DecryptionFailure": "its KMS key cannot be used. Check that the key is enabled, and allow kms:Decrypt",
    "InvalidRequestException": "it is marked for deletion, or has no value. Restore it",
}


class AwsSecrets:
    """Reads from the account and region that AWS's own variables and files name, or the ARN."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._lock = threading.Lock()
        self._clients: dict[str | None, Any] = {}
        """By region; each is safe for several threads."""

    @property
    def scheme(self) -> str:
        return "aws-secrets-manager"

    def resolve(self, rest: str) -> Secret:
        """The current version. Raises: SecretUnavailable."""
        name, _, field = rest.partition("#")
        origin = f"The secret {name} of AWS Secrets Manager"
        text = self._value(name, origin)
        return sound_secret(_member(text, field, origin) if field else text, origin)

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - nothing is known of it
        return None

    def _value(self, name: str, origin: str) -> str:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError:
            raise SecretUnavailable(_not_installed("aws-secrets-manager:", "aws")) from None
        try:
            answer = self._client(_region_of(name)).get_secret_value(SecretId=name)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code in _FAILING or status >= 500:
                raise SecretSourceDown(f"AWS Secrets Manager fails ({code}).") from None
            raise SecretUnavailable(f"{origin}: {_MEANINGS.get(code, 'it was refused')} ({code}).") from None
        except BotoCoreError as error:
            kind = type(error).__name__
            if kind in {"NoCredentialsError", "PartialCredentialsError", "NoRegionError", "ProfileNotFound"}:
                raise SecretUnavailable(
                    f"Nothing opens AWS ({kind}). Set AWS_REGION, and give this process a role or a key."
                ) from None
            raise SecretSourceDown(f"AWS Secrets Manager cannot be reached ({kind}).") from None
        text = answer.get("SecretString")
        return text if text is not None else bytes(answer["SecretBinary"]).decode("utf-8", "replace")

    def _client(self, region: str | None) -> Any:
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        region = region or self._variables.get("AWS_REGION") or None
        with self._lock:
            if region not in self._clients:
                config = Config(
                    connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 1}
                )
                self._clients[region] = Session().create_client(
                    "secretsmanager", region_name=region, config=config
                )
            return self._clients[region]


def _region_of(name: str) -> str | None:
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") >= 6 else None


def _member(text: str, field: str, origin: str) -> str:
    try:
        value = msgspec.json.decode(text, type=dict[str, object]).get(field)
    except msgspec.MsgspecError:
        raise SecretUnavailable(f"{origin} is not a JSON object, so it has no field {field!r}.") from None
    if not isinstance(value, str):
        raise SecretUnavailable(f"{origin} has no text field {field!r}.")
    return value


def _not_installed(scheme: str, extra: str) -> str:
    return f"References with {scheme} need the extra `{extra}`: install `tollhouse[{extra}]`."
