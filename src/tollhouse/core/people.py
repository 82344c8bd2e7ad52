"""Who is in the house: the organisation, teams and projects, people and machines, and what they show at the door."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from .authority import Grant, Role
from .limits import Budget, Limits

MAIN_ORGANISATION: Final = "main"
"""The one there is."""


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """All of the house's teams together."""

    id: str
    title: str = ""
    limits: Limits = Limits()
    budget: Budget | None = None
    metadata: Mapping[str, str] = {}
    created_at: float = 0.0


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """People and programs that share limits and money."""

    id: str
    """Its name, which keys and books carry; never changed."""
    organisation: str = MAIN_ORGANISATION
    title: str = ""
    routes: tuple[str, ...] | None = None
    """Globs over route names that its keys may use at most; None leaves it to the keys."""
    limits: Limits = Limits()
    budget: Budget | None = None
    metadata: Mapping[str, str] = {}
    created_at: float = 0.0


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Something a team works on, with limits and money of its own within the team's."""

    id: str
    team: str
    title: str = ""
    routes: tuple[str, ...] | None = None
    limits: Limits = Limits()
    budget: Budget | None = None
    metadata: Mapping[str, str] = {}
    created_at: float = 0.0


class AccountKind(StrEnum):
    """Who an account is."""

    USER = "user"
    SERVICE = "service"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a machine."""

    id: str
    kind: AccountKind
    name: str
    email: str | None = None
    """Of a person; unique."""
    team: str | None = None
    """Whose a machine is."""
    limits: Limits = Limits()
    """Of all its keys together."""
    budget: Budget | None = None
    metadata: Mapping[str, str] = {}
    created_at: float = 0.0
    disabled_at: float | None = None


class AdminKey(msgspec.Struct, frozen=True, kw_only=True):
    """What an account shows at the admin API. Its text is shown once and kept nowhere."""

    id: str
    account: str
    name: str
    digest: str
    """HMAC-SHA-256 of the text, hex, under a key that is used for nothing else."""
    hint: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None


class RoleAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """An account holds a role."""

    id: str
    account: str
    role: Role
    team: str | None = None
    """Where, for the roles of teams."""
    created_at: float = 0.0

    @property
    def grant(self) -> Grant:
        return Grant(self.role, self.team)
