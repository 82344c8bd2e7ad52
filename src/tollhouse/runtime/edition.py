"""A configuration as the keeper hands it to workers."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tollhouse.core.problem import ConfigProblem
from tollhouse.core.secret import Secret

from .link import Reload


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that was read, checked and found good, with everything its references led to."""

    hash: str
    config: bytes
    """The tree, see config.snapshot.to_wire."""
    secrets: Mapping[str, Secret]
    """By reference."""
    base_urls: Mapping[str, str]
    """Of providers that this house hosts itself."""
    drain_s: float
    client_token_keys: tuple[Secret, ...] = ()
    """What browser tokens are signed with (the first) and verified with (any)."""
    secrets_refresh_s: float = 300.0
    """How often the sources of secrets are looked at."""
    warnings: tuple[ConfigProblem, ...] = ()
    waits_for_restart: tuple[str, ...] = ()
    """Paths of settings that differ from those the house was started with, and count only from the next start."""

    def word(self, serial: int) -> Reload:
        """What a worker that serves by another edition is told."""
        return Reload(
            serial=serial,
            config=self.config,
            secrets=dict(self.secrets),
            base_urls=dict(self.base_urls),
            waits_for_restart=self.waits_for_restart,
            client_token_keys=self.client_token_keys,
        )
