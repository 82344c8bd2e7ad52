"""What the deployments of one configuration cost: by the operator's word, else by the built-in table of models."""

from __future__ import annotations

from typing import Final

from tollhouse.catalog import facts_of
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.routing import Candidate, Price

_MOST: Final = 10_000
"""Models that are remembered: a star forwards whatever callers write."""


class Prices:
    """Remembers what it has found."""

    __slots__ = ("_known", "_providers", "_windows")

    def __init__(self, snapshot: Snapshot) -> None:
        self._providers = snapshot.providers
        self._known: dict[tuple[str, str], Price | None] = {}
        self._windows: dict[tuple[str, str], int | None] = {}

    def of(self, candidate: Candidate) -> Price | None:
        """None where nobody knows."""
        deployment = candidate.deployment
        if deployment.price is not None:
            return deployment.price
        key = (deployment.provider, candidate.model)
        if key not in self._known:
            self._remember(key)
        return self._known[key]

    def kind_of(self, candidate: Candidate) -> str:
        """Of its provider."""
        return self._providers[candidate.deployment.provider].provider.kind

    def window_tokens(self, candidate: Candidate) -> int | None:
        """How much fits into the model's context."""
        deployment = candidate.deployment
        if deployment.context_window_tokens is not None:
            return deployment.context_window_tokens
        key = (deployment.provider, candidate.model)
        if key not in self._windows:
            self._remember(key)
        return self._windows[key]

    def _remember(self, key: tuple[str, str]) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()
            self._windows.clear()
        provider, model = key
        facts = facts_of(self._providers[provider].provider.kind, model)
        self._known[key] = facts.price
        self._windows[key] = facts.context_window_tokens
