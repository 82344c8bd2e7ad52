"""`env:NAME`: secrets in environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretUnavailable

from .sound import sound_secret


class EnvSecrets:
    """Reads from the mapping it is given, usually `os.environ`, at the moment it is asked."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def scheme(self) -> str:
        return "env"

    def resolve(self, rest: str) -> Secret:
        """The value of the variable. Raises: SecretUnavailable."""
        value = self._environ.get(rest)
        if value is None:
            raise SecretUnavailable(f"The environment variable {rest} is not set. Set it before the start.")
        return sound_secret(value, f"The environment variable {rest}")

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - nothing is known of a variable
        return None
