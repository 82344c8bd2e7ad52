"""Deployments as they are called: one for each credential, each being an account with limits and troubles of its own.

The first credential of a provider keeps the provider's name; the others are `NAME#2`, `NAME#3` and so on, the ones that
only deployments name behind those of the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, lcm
from typing import Final

from tollhouse.core import routing

from . import tree

_NANO: Final = 1_000_000_000


class Accounts:
    """The credentials of every provider of a configuration, each with the name of its account."""

    def __init__(self, config: tree.Config) -> None:
        self._names: dict[str, dict[str | None, str]] = {}
        """By provider and reference; first come those that the provider's own entry names."""
        self._shared: dict[str, tuple[str, ...]] = {}
        """By provider: the accounts of a deployment that names no credential."""
        for provider, written in config.providers.items():
            names: dict[str | None, str] = {}
            for reference in (
                written.credential if isinstance(written.credential, tuple) else [written.credential]
            ):
                names.setdefault(reference, _name(provider, len(names)))
            self._names[provider] = names
            self._shared[provider] = tuple(names.values())
        for route in config.routes.values():
            for deployment in route.deployments:
                known = self._names.get(deployment.provider)
                if known is not None and deployment.credential is not None:
                    known.setdefault(deployment.credential, _name(deployment.provider, len(known)))

    def all_of(self, provider: str) -> Iterator[tuple[str, str | None]]:
        """Every account at a provider, with the reference to its credential."""
        for reference, name in self._names[provider].items():
            yield name, reference

    def spread(self, written: Sequence[tree.Deployment]) -> list[list[routing.Deployment]]:
        """For each of a route's deployments as written, one for each of its credentials. These share its weight, so
        that its part of the calls is what is written; where that does not come out even, all weights of the route
        grow alike."""
        accounts = [self._of(deployment) for deployment in written]
        pairs = list(zip(written, accounts, strict=True))
        factor = lcm(*[len(names) // gcd(len(names), deployment.weight) for deployment, names in pairs])
        return [
            [_deployment(deployment, name, deployment.weight * factor // len(names)) for name in names]
            for deployment, names in pairs
        ]

    def _of(self, deployment: tree.Deployment) -> tuple[str, ...]:
        known = self._names.get(deployment.provider)
        if known is None:
            return (deployment.provider,)  # there is no such provider, which is told elsewhere
        if deployment.credential is not None:
            return (known[deployment.credential],)
        return self._shared[deployment.provider]


def provider_of(account: str) -> str:
    """The name in the file of the provider that an account is at."""
    return account.partition("#")[0]


def _name(provider: str, position: int) -> str:
    return provider if position == 0 else f"{provider}#{position + 1}"


def _deployment(written: tree.Deployment, provider: str, weight: int) -> routing.Deployment:
    """The deployment with its id, `provider/model`."""
    return routing.Deployment(
        id=f"{provider}/{written.model}",
        provider=provider,
        model=written.model,
        weight=weight,
        max_concurrency=written.max_concurrency,
        dialect=written.dialect,
        max_output_tokens=written.max_output_tokens,
        context_window_tokens=written.context_window_tokens,
        price=_price(written.price) if written.price is not None else None,
    )


def _price(written: tree.Price) -> routing.Price:
    return routing.Price(
        input_per_million_nanousd=round(written.input_per_million_usd * _NANO),
        output_per_million_nanousd=round(written.output_per_million_usd * _NANO),
    )
