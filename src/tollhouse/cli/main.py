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
    "keys": "Virtual keys: create, list, revoke.",
    "keys create": "Make a virtual key. Its text is shown now and never again.",
    "keys list": "All virtual keys, never their text.",
    "keys revoke": "Revoke a key for good.",
    "requests": "The book: exchanges, newest first, with their attempts.",
    "usage": "Requests and tokens, summed up by key, team, route, provider or day.",
    "mock": "Run the scripted mock provider alone.",
    "doctor": "Look at everything a house needs, and say the cure for what is missing.",
}
"""One line a verb, told without loading the verb."""


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
    for verb, function in (("create", "create_key"), ("list", "list_keys"), ("revoke", "revoke_key")):
        keys.command(f"{_COMMANDS}.keys:{function}", name=verb, help=_ABOUT[f"keys {verb}"])
    app.command(keys)
    for verb in ("deployments", "requests", "usage", "mock", "doctor"):
        app.command(f"{_COMMANDS}.{verb}:{verb}", name=verb, help=_ABOUT[verb])
    return app


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
