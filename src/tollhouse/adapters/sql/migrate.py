"""Bringing a database to the schema this version works with. Alembic is imported only where there is work for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, text

from tollhouse.adapters.sql.tables import HEAD, KEYS_VERSION, METADATA
from tollhouse.ports.store import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"
_VERSION_TABLE: Final = "alembic_version"


def migrate(engine: Engine) -> None:
    """Upgrade to HEAD, unless the database stands there already. Safe for two processes at once: the transaction takes
    the database's write lock first, and who comes second finds nothing left to do.

    Raises: StoreUnavailable if the database is of a newer version than this code.
    """
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        standing = revision(connection)
        if standing is None and not inspect(connection).get_table_names():
            _create(connection)
        elif standing != HEAD:
            _upgrade(connection, standing)


def _create(connection: Connection) -> None:
    """An empty database gets the newest schema at once: the first start is the one somebody waits for. A test holds
    that walking through the migrations comes to the same."""
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(KEYS_VERSION.insert().values(id=1, version=0))
    name = "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    connection.execute(text(f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, {name})"))
    connection.execute(text(f"INSERT INTO {_VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608


def revision(connection: Connection) -> str | None:
    """The migration the database stands at; None for an empty one."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608


def configuration(connection: Connection) -> Config:
    """What Alembic's commands take, bound to an open transaction."""
    from alembic.config import Config  # noqa: PLC0415 - costs start time, and is needed once

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, standing: str | None) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if standing is not None and standing not in known:
        raise StoreUnavailable(
            f"the database was written by a newer version of Tollhouse (its schema is {standing}, this version knows"
            f" {HEAD}). Run that version or a newer one, or restore a backup from before the upgrade."
        )
    command.upgrade(config, "head")
