"""Bringing a database to the schema this version works with. Alembic is imported only where there is work for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, inspect, text

from tollhouse.adapters.sql.database import Database
from tollhouse.adapters.sql.tables import HEAD, KEYS_VERSION, METADATA
from tollhouse.ports.store import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).parent / "migrations"
_VERSION_TABLE: Final = "alembic_version"


class Migration(msgspec.Struct, frozen=True):
    """What bringing a schema up came to."""

    before: str | None
    """None for a database that was empty."""
    after: str


def prepare(database: Database) -> None:
    """Bring the schema up where that may be done without asking: always where the database is a file of ours, and
    otherwise only into an empty one.

    Raises: StoreUnavailable if somebody has to act first.
    """
    database.make_ready()
    with database.reading() as connection:
        standing = revision(connection)
        if standing == HEAD or (standing is not None and _is_usable(connection, standing)):
            return
        is_empty = standing is None and _is_empty(connection)
    if not database.migrates_itself and not is_empty:
        found = "has tables, but none of Tollhouse" if standing is None else f"is at schema {standing}"
        raise StoreUnavailable(
            f"the database {database.place} {found}, and this version works with {HEAD}: run `tollhouse store migrate`"
            " (what runs meanwhile goes on)"
        )
    migrate(database)


def migrate(database: Database) -> Migration:
    """Bring the schema up. Safe for two processes at once: who comes second finds nothing left to do.

    Raises: StoreUnavailable if the database is of a newer version with which this one cannot work.
    """
    with database.migrating() as connection:
        standing = revision(connection)
        if standing is None and _is_empty(connection):
            _create(connection)
        elif standing is not None and _is_usable(connection, standing):
            return Migration(standing, standing)
        elif standing != HEAD:
            _upgrade(connection, standing)
    return Migration(standing, HEAD)


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


def _is_empty(connection: Connection) -> bool:
    return not inspect(connection).get_table_names()


def _is_usable(connection: Connection, standing: str) -> bool:
    """Whether a newer version has been here, and this one can go on: two of them run side by side while one replaces
    the other, in either direction. Migrations only add, so everything known here is there; where one had to take
    something away, it is not.

    Raises: StoreUnavailable if it cannot.
    """
    if standing <= HEAD:
        return False
    found = inspect(connection)
    there = {name: {column["name"] for column in found.get_columns(name)} for name in found.get_table_names()}
    if all(set(table.columns.keys()) <= there.get(table.name, set()) for table in METADATA.sorted_tables):
        return True
    raise StoreUnavailable(
        f"the database was written by a newer version of Tollhouse (its schema is {standing}, this version knows"
        f" {HEAD}), which took away what this one needs. Run that version or a newer one, or restore a backup from"
        " before the upgrade."
    )


def _create(connection: Connection) -> None:
    """An empty database gets the newest schema at once: the first start is the one somebody waits for. A test holds
    that walking through the migrations comes to the same."""
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(KEYS_VERSION.insert().values(id=1, version=0))
    name = "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    connection.execute(text(f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, {name})"))
    connection.execute(text(f"INSERT INTO {_VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608


def _upgrade(connection: Connection, standing: str | None) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if standing is not None and standing not in known:
        raise StoreUnavailable(
            f"the database stands at a schema that no version of Tollhouse made ({standing[:40]}). Restore a backup."
        )
    command.upgrade(config, "head")
