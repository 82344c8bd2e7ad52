"""`tollhouse login`, `logout` and `whoami`: people at the admin API, by single sign-on."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.bootstrap import Refused, sign_on
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, line
from tollhouse.cli.settings import find_settings
from tollhouse.cli.staying import forget, keep, kept


def login(
    *,
    config: Path | None = None,
    house: str | None = None,
    browser: bool = True,
    wait_s: Annotated[float, Parameter(name="--wait-s")] = 300.0,
) -> None:
    """Come in by your identity provider: a session of at most eight hours, thirty minutes of silence end it.

    Parameters
    ----------
    config
        The configuration file, which names the provider; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    house
        The gateway's address, such as https://gateway.example.org; else where the configuration has it listen.
    browser
        Open your browser; in any case the address is printed.
    wait_s
        How long to wait for you to come back from the provider, in seconds.
    """
    settings = find_settings(config)

    def show(address: str) -> None:
        line(address)
        if browser:
            webbrowser.open(address)

    try:
        stay = sign_on.login(settings.config, settings.environment, house, show=show, wait_s=wait_s)
    except Refused as refused:
        raise CommandFailed(ExitStatus.WRONG, str(refused), refused.hint) from None
    keep(stay)
    line(f"Logged in at {stay.house} until {stay.expires_at}.")


def logout() -> None:
    """End the session of `tollhouse login`."""
    stay = kept()
    try:
        sign_on.logout(stay)
    except Refused as refused:
        complain(f"tollhouse: the gateway has not ended the session: {refused}")
        complain("    It ends by itself, at the latest when it would have.")
    forget()
    line("Logged out.")


def whoami(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Who you are to the gateway that you have logged in at.

    Parameters
    ----------
    json
        Print what GET /admin/v1/me answers.
    """
    stay = kept()
    try:
        me = sign_on.whoami(stay)
    except Refused as refused:
        raise CommandFailed(ExitStatus.WRONG, str(refused), refused.hint) from None
    if json:
        document(me)
        return
    roles = [role["role"] + (f" of {role['team']}" if role.get("team") else "") for role in me["roles"]]
    line(f"{me['name']} ({me['id']}) at {stay.house}: {', '.join(roles) or 'no role'}")
