"""Where secrets are read from. A reference is text such as `env:NAME` or `file:PATH`; its scheme picks the source."""

from __future__ import annotations

from typing import Protocol

from tollhouse.core.secret import Secret


class SecretUnavailable(Exception):
    """The reference cannot be resolved now. The message says why and what to do, and never shows a value."""


class SecretSource(Protocol):
    """Resolves the references of one scheme."""

    @property
    def scheme(self) -> str: ...

    def resolve(self, rest: str) -> Secret:
        """The secret behind what follows the colon. Raises: SecretUnavailable."""

    def caution(self, rest: str) -> str | None:
        """What is unwise about the way a secret is kept that can be resolved; None where nothing is known."""
