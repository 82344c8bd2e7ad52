"""The kill switch: what the operator has paused, and why a call may not go on because of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from .errors import Blame, ErrorKind, GatewayError


class PauseKind(StrEnum):
    """What can be paused."""

    PROVIDER = "provider"
    DEPLOYMENT = "deployment"
    ROUTE = "route"
    KEY = "key"
    TEAM = "team"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing goes through this until it is resumed."""

    id: str
    kind: PauseKind
    target: str
    """The name of the provider, deployment, route or team, or the id of the key."""
    reason: str
    """Told to callers."""
    by: str
    """The actor's id."""
    at: float


class Pauses:
    """Everything that is paused, as a worker looks it up on every call."""

    __slots__ = ("_reasons", "version")

    def __init__(self, pauses: Iterable[Pause] = (), version: int = 0) -> None:
        self.take(pauses, version)

    def take(self, pauses: Iterable[Pause], version: int) -> None:
        """Go by these from now on, in place of those before."""
        self.version = version
        reasons: dict[PauseKind, dict[str, str]] = {}
        for pause in pauses:
            reasons.setdefault(pause.kind, {})[pause.target] = pause.reason
        self._reasons: Mapping[PauseKind, Mapping[str, str]] = reasons

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def refusal(
        self,
        *,
        route: str | None = None,
        key_id: str | None = None,
        team: str | None = None,
        provider: str | None = None,
        deployment: str | None = None,
    ) -> GatewayError | None:
        """Why a call may not go on, as the error its caller gets; None where nothing in its way is paused.

        `forbidden` for its key or team, `overloaded` (503) for what serves it. An argument may be left out where it is
        not known yet or is asked for apart: a route goes on by another deployment when one of them is paused.
        """
        if not self._reasons:
            return None
        for kind, target in (
            (PauseKind.KEY, key_id),
            (PauseKind.TEAM, team),
            (PauseKind.ROUTE, route),
            # Another credential of the same provider has its name with `#2` and so on.
            (PauseKind.PROVIDER, provider.partition("#")[0] if provider is not None else None),
            (PauseKind.DEPLOYMENT, deployment),
        ):
            if target is not None and (reason := self._reasons.get(kind, {}).get(target)) is not None:
                return _refusal(kind, target, reason)
        return None


def _refusal(kind: PauseKind, target: str, reason: str) -> GatewayError:
    if kind in (PauseKind.KEY, PauseKind.TEAM):
        subject = "This key" if kind is PauseKind.KEY else f"The team {target!r}"
        return GatewayError(
            ErrorKind.FORBIDDEN,
            f"{subject} has been paused by the operator: {reason}",
            blame=Blame.OPERATOR,
            hint="Ask the operator; nothing has to be changed on your side.",
        )
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"The {kind.value} {target!r} has been paused by the operator: {reason}",
        blame=Blame.OPERATOR,
        hint="Use another route, or try again when it has been resumed.",
    )
