"""How commands administer: by the same errands as the admin API, as an owner, on the store itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from tollhouse.administration import Errand, refusal_of
from tollhouse.bootstrap import CommandDesk, local_operator, open_administration
from tollhouse.core.authority import Action

from .exit_status import CommandFailed, ExitStatus
from .output import complain
from .settings import find_settings

_AT_ONCE: Final = 500


class Clerk:
    """Does what commands ask for."""

    def __init__(self, desk: CommandDesk) -> None:
        self._desk = desk

    def ask(
        self,
        action: Action,
        target: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        """The document of an errand. Raises: CommandFailed with what is wrong."""
        answer = self._desk.run(
            Errand(
                action=action,
                target=target,
                query=query or {},
                body=msgspec.json.encode(body) if body else b"",
                trusted="cli",
                peer=local_operator(),
            )
        )
        if (error := refusal_of(answer)) is not None:
            status = ExitStatus.ENVIRONMENT if error.status >= 500 else ExitStatus.WRONG
            raise CommandFailed(status, error.message, error.hint)
        return msgspec.json.decode(answer.document)

    def all(self, action: Action, query: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Everything of a list, part after part."""
        asked = {"limit": str(_AT_ONCE), **(query or {})}
        while True:
            part = self.ask(action, query=asked)
            yield from part["items"]
            if part["next"] is None:
                return
            asked["after"] = part["next"]

    def confirm(self) -> ExitStatus:
        """Have a running house take over what was changed."""
        if self._desk.refresh() is False:
            complain("tollhouse: the change is in the store, but the running house has not confirmed it.")
            complain("    It takes it over as soon as it can; look at its log, or restart it.")
            return ExitStatus.ENVIRONMENT
        return ExitStatus.DONE


@contextmanager
def administering(config: Path | None) -> Iterator[Clerk]:
    """For the house of a configuration file. Raises: CommandFailed, ConfigInvalid, StoreUnavailable, CannotServe."""
    settings = find_settings(config)
    with open_administration(settings.config, settings.environment) as desk:
        yield Clerk(desk)
