"""The composition root: the only place that knows which adapter stands behind which port.

Adapters are imported where they are needed: a serving worker never loads the database library, a command never loads
the server.
"""

from .books import migrate_store
from .commands import (
    CommandDesk,
    OpenHouse,
    deployments_of_house,
    mock_server,
    open_administration,
    open_house,
    reload_house,
)
from .keeping import serve_house
from .key_book import KeyBook, KeyNotChanged
from .operator import local_operator
from .reading import MASTER_KEY_FILE, CannotServe, Environment, Loaded, read_config
from .secrets import resolve_secrets
from .serving import assemble, run_worker
from .sign_on import Refused, Stay

__all__ = [
    "MASTER_KEY_FILE",
    "CannotServe",
    "CommandDesk",
    "Environment",
    "KeyBook",
    "KeyNotChanged",
    "Loaded",
    "OpenHouse",
    "Refused",
    "Stay",
    "assemble",
    "deployments_of_house",
    "local_operator",
    "migrate_store",
    "mock_server",
    "open_administration",
    "open_house",
    "read_config",
    "reload_house",
    "resolve_secrets",
    "run_worker",
    "serve_house",
]
