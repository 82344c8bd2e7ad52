"""The verbs, and how their ends become exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cyclopts import App, CycloptsError

from tollhouse import __version__
from tollhouse.bootstrap import CannotServe
from tollhouse.core.problem import ConfigInvalid
from tollhouse.plugins import PluginInvalid
from tollhouse.ports.store import StoreUnavailable

from .exit_status import CommandFailed, ExitStatus
from .output import complain, problems

_COMMANDS: Final = "tollhouse.cli.commands"
_ABOUT: Final = {
    "serve": "Open the house: serve until SIGTERM or Ctrl-C.",
    "check": "Check a configuration file: all problems at once, with path and line.",
    "reload": "Have the running house read its configuration again.",
    "deployments": "Breakers, load and latency of every deployment of the running house.",
    "keys": "Virtual keys: make, show, change and stop them.",
    "keys create": "Make a virtual key. Its text is shown now and never again.",
    "keys list": "All virtual keys, never their text.",
    "keys show": "Everything about one key but its text.",
    "keys edit": "Change what a key may do.",
    "keys rotate": "Give a key another text, with a time of grace for the one before.",
    "keys disable": "Stop a key until it is enabled again.",
    "keys enable": "Let a key that was disabled open again.",
    "keys revoke": "Revoke a key for good.",
    "keys import": "Bring in keys from elsewhere by the hashes of their texts.",
    "secrets": "The encrypted store of credentials: set, list, show, delete, rotate the master key.",
    "secrets set": "Put a secret into the store, or a new value for it. The value is read from standard input.",
    "secrets list": "All secrets in the store, never their values.",
    "secrets show": "What is known of a secret, never its value.",
    "secrets delete": "Take a secret out of the store for good.",
    "secrets rotate-master": "Seal everything under a new master key, while the house serves.",
    "store": "The database of keys and books.",
    "store migrate": "Bring the store's tables up to this version.",
    "teams": "Teams: create, list, edit, delete.",
    "teams create": "Make a team.",
    "teams list": "All teams of the store, and those declared in the configuration.",
    "teams edit": "Change what a team may use.",
    "teams delete": "End a team that nobody is in any more.",
    "projects": "Projects of teams: create, list.",
    "projects create": "Make a project of a team.",
    "projects list": "All projects, or those of one team.",
    "accounts": "Service accounts: create, list, disable.",
    "accounts create": "Make a service account.",
    "accounts list": "All service accounts, or those of one team.",
    "accounts disable": "Let a service account in nowhere any more.",
    "users": "People: create, list, disable, enable, and their roles.",
    "users create": "Let somebody in: a person, a role, and an admin key.",
    "users list": "All people, with the roles they hold.",
    "users disable": "Let somebody in nowhere any more.",
    "users enable": "Let somebody in again.",
    "users roles": "Roles of people and service accounts: add, remove.",
    "users roles add": "Give somebody a role.",
    "users roles remove": "Take a role from somebody.",
    "pause": "The kill switch: start, list, end.",
    "pause start": "Stop everything that goes through a provider, deployment, route, key or team.",
    "pause list": "Everything that is paused.",
    "pause end": "Let it go on.",
    "audit": "The log of every administrative write: verify, list, export.",
    "audit verify": "Read the whole log, and name every row that is not as it was written.",
    "audit list": "Who changed what, newest first.",
    "audit export": "The whole log as JSON, one object per line.",
    "openapi": "Print the OpenAPI document of the admin API.",
    "login": "Come in by your identity provider, to administer.",
    "logout": "End the session of `tollhouse login`.",
    "whoami": "Who you are to the gateway that you have logged in at.",
    "requests": "The book: exchanges, newest first, with their attempts.",
    "usage": "Requests and tokens, summed up by key, team, route, provider or day.",
    "mock": "Run the scripted mock provider alone.",
    "doctor": "Look at everything a house needs, and say the cure for what is missing.",
}
"""One line a verb, told without loading the verb."""

_ADMINISTRATION: Final = {
    "teams": {"create": "create_team", "list": "list_teams", "edit": "edit_team", "delete": "delete_team"},
    "projects": {"create": "create_project", "list": "list_projects"},
    "accounts": {"create": "create_account", "list": "list_accounts", "disable": "disable_account"},
    "users": {
        "create": "create_user",
        "list": "list_users",
        "disable": "disable_user",
        "enable": "enable_user",
    },
    "pause": {"start": "start_pause", "list": "list_pauses", "end": "end_pause"},
    "audit": {"verify": "verify_audit", "list": "list_audit", "export": "export_audit"},
}
"""Verbs of a group, and what does them in the module of its name."""


def build() -> App:
    """The command tree; a verb's module is imported when the verb is called or its help is asked for."""
    app = App(
        name="tollhouse",
        help="An LLM gateway: one house on the road between applications and model providers.",
        version=f"tollhouse {__version__}",
        version_flags=["--version"],
        result_action="return_value",
    )
    for verb in ("serve", "check", "reload"):
        app.command(f"{_COMMANDS}.{verb}:{verb}", name=verb, help=_ABOUT[verb])
    keys = App(name="keys", help=_ABOUT["keys"], result_action="return_value")
    for verb in ("create", "list", "show", "edit", "rotate", "disable", "enable", "revoke"):
        function = "list_keys" if verb == "list" else f"{verb}_key"
        keys.command(f"{_COMMANDS}.keys:{function}", name=verb, help=_ABOUT[f"keys {verb}"])
    keys.command(f"{_COMMANDS}.import_keys:import_keys", name="import", help=_ABOUT["keys import"])
    app.command(keys)
    secrets = App(name="secrets", help=_ABOUT["secrets"], result_action="return_value")
    for verb, function in (
        ("set", "set_secret"),
        ("list", "list_secrets"),
        ("show", "show_secret"),
        ("delete", "delete_secret"),
        ("rotate-master", "rotate_master"),
    ):
        secrets.command(f"{_COMMANDS}.secrets:{function}", name=verb, help=_ABOUT[f"secrets {verb}"])
    app.command(secrets)
    store = App(name="store", help=_ABOUT["store"], result_action="return_value")
    store.command(f"{_COMMANDS}.store:migrate", name="migrate", help=_ABOUT["store migrate"])
    app.command(store)
    for module, verbs in _ADMINISTRATION.items():
        group = App(name=module, help=_ABOUT[module], result_action="return_value")
        for verb, function in verbs.items():
            group.command(f"{_COMMANDS}.{module}:{function}", name=verb, help=_ABOUT[f"{module} {verb}"])
        if module == "users":
            group.command(_roles())
        app.command(group)
    for verb in ("login", "logout", "whoami"):
        app.command(f"{_COMMANDS}.sign_on:{verb}", name=verb, help=_ABOUT[verb])
    for verb in ("deployments", "requests", "usage", "openapi", "mock", "doctor"):
        app.command(f"{_COMMANDS}.{verb}:{verb}", name=verb, help=_ABOUT[verb])
    return app


def _roles() -> App:
    roles = App(name="roles", help=_ABOUT["users roles"], result_action="return_value")
    for verb in ("add", "remove"):
        roles.command(f"{_COMMANDS}.users:{verb}_role", name=verb, help=_ABOUT[f"users roles {verb}"])
    return roles


def run(arguments: Sequence[str]) -> int:
    """Run one command. Whatever goes wrong in it is told to the person and has a status."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open for the rest of the process
    try:
        status = build()(list(arguments), exit_on_error=False, print_error=True)
    except CycloptsError:
        return ExitStatus.USAGE
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this, the interpreter complains when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.DONE
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except (CommandFailed, ConfigInvalid, CannotServe, StoreUnavailable, PluginInvalid, OSError) as failure:
        return _told(failure)
    return int(status) if isinstance(status, int) else ExitStatus.DONE


def _told(failure: Exception) -> ExitStatus:
    """Say what went wrong and what to do."""
    if isinstance(failure, ConfigInvalid):
        problems(failure.problems, "configuration")
        return ExitStatus.WRONG
    complain(f"tollhouse: {failure}")
    if hint := getattr(failure, "hint", ""):
        complain(f"    {hint}")
    return failure.status if isinstance(failure, CommandFailed) else ExitStatus.ENVIRONMENT
