"""Texts that are written to be taken for statements are kept and looked for as what they are: texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from contract.store.samples import AT, attempt, auth_event, batch, key, settled
from postgres_server import PostgresServer
from tollhouse.adapters.sql import SqlStore, open_store
from tollhouse.adapters.sql.postgresql import Patience, PostgresDatabase
from tollhouse.core.exchange import Caller, ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget
from tollhouse.ports.store import FeedPosition, Store

MARK = "atk7c1"
ATTACKS = [
    f"{MARK}'",
    f"{MARK}''; --",
    f"{MARK}' OR '1'='1",
    f"{MARK}\" OR \"1\"=\"1",
    f"{MARK}'; DROP TABLE keys; --",
    f"{MARK}'); DELETE FROM exchanges; --",
    f"{MARK}' UNION SELECT digest, NULL FROM keys --",
    f"{MARK}'; SELECT pg_sleep(30); --",
    f"{MARK}' || pg_sleep(30) || '",
    f"{MARK}' AND (SELECT 1 FROM pg_sleep(30)) IS NOT NULL --",
    f"{MARK}\\'; SELECT pg_sleep(30); --",
    f"E'{MARK}\\x27'",
    f"{MARK}$$; SELECT pg_sleep(30); $$",
    f"{MARK} %s %(id)s %% :id ? $1 {{0}} {{id}}",
    f"{MARK}/*' OR 1=1 */",
    f"{MARK}\u02bc; SELECT pg_sleep(30) --",
    f"{MARK}\uff07 OR 1=1 --",
    f'{MARK}"}}], [{{"id": "x',
    f"{MARK}\\u0027; SELECT 1",
    f"{MARK}\r\n\t\x1b[31m\x7f",
    f"{MARK}'; COPY keys TO PROGRAM 'true'; --",
    f"{MARK}' AND randomblob(500000000) --",
    f"{MARK}\0' OR 1=1 --",
    f"{MARK}%' OR name LIKE '%",
    f"{MARK}" + "'" * 300,
]  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """On a server that writes down every statement, without what is bound to it; a statement may take a second."""
    if request.param == "sqlite":
        opened: SqlStore = open_store("sqlite:///books.db", tmp_path)
        opened.prepare()
        yield opened
        opened.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        name = url.rpartition("/")[2]
        for setting in ("log_statement = 'all'", "log_parameter_max_length = 0"):
            server.execute(f"ALTER DATABASE {name} SET {setting}")
        start = server.log.stat().st_size
        opened = SqlStore(PostgresDatabase(url, patience=Patience(statement_s=1.0)))
        try:
            opened.prepare()
            yield opened
        finally:
            opened.close()
            server.execute(f"ALTER DATABASE {name} RESET ALL")
        said = server.log.read_bytes()[start:].decode(errors="replace")
        assert "json_populate_recordset" in said, "the statements are in the log"
        assert "ERROR" not in said
        assert MARK not in said, "what somebody wrote stands in a statement"


def evil_key(number: int, text: str) -> VirtualKey:
    return key(
        number,
        name=text,
        scheme=text,
        hint=text,
        team=text,
        routes=(text,),
        budget=Budget(nanousd=1, timezone=text),
        doors=(text,),
        networks=(text,),
        hours=(text,),
        tags=(text,),
        metadata={text: text},
        former_digest=f"former {number}",
    )


def evil_exchange(number: int, text: str) -> ExchangeRecord:
    return settled(
        number,
        door=text,
        caller=Caller(key_id=text, key_name=text, team=text, peer=text),
        route=text,
        deployment=text,
        provider=text,
        model=text,
        error=text,
        error_message=text,
        finish_reason=text,
        config=text,
        dropped=(text,),
        mirrors=text,
        replays=text,
        end_user=text,
        tags=(text,),
        purses=(text,),
        charged_nanousd=1,
        attempts=(attempt(1, deployment=text, provider=text, model=text, error=text),),
    )


def test_attacks_in_what_is_stored_come_back_as_texts(store: Store) -> None:
    for number, text in enumerate(ATTACKS):
        kept = text.replace("\0", "\u2400") if _has_no_nul(store) else text
        store.add_key(evil_key(number, text))
        store.apply(
            replace(
                batch(
                    evil_exchange(number, text), auth_events=(auth_event(hint=text, peer=text, key_id=text),)
                ),
                writer=text,
                position=FeedPosition(segment=text, offset_bytes=1),
            )
        )
        found = store.key(f"key_{number}")
        row = store.exchange(settled(number).id)
        assert found is not None
        assert row is not None
        assert (found.name, found.team, found.hint, found.routes) == (kept, kept, kept, (text,))
        assert (row.model, row.caller.key_name, row.error_message, row.tags) == (kept, kept, kept, (text,))
        assert row.attempts[0].error == kept
        assert kept in {position.segment for position in store.positions()}
        assert kept in {spending.purse for spending in store.spending()}
        assert kept in {event.hint for event in store.auth_events(limit=100)}
    assert len(store.keys()[1]) == len(store.exchanges(limit=1000)) == len(ATTACKS)
    assert len(store.usage("route")) == len(store.usage("provider")) == len(ATTACKS)


def test_attacks_in_what_is_asked_for_find_nothing_and_change_nothing(store: Store) -> None:
    store.add_key(key(1))
    store.apply(batch(settled(1), at=5))
    before = (store.keys(), store.exchanges(limit=10), store.positions(), store.spending())
    for text in ATTACKS:
        assert store.key(text) is None
        assert store.revoke_key(text, AT) is None
        assert store.change_key(replace(key(1), id=text, digest=text, former_digest=text)) is False
        assert store.exchange(text) is None
        assert store.exchanges(limit=10, before_id=text) == []
        assert len(store.exchanges(limit=10, after_id=text)) == 1  # they all sort before `req_`
        assert store.open_exchanges(text, limit=10) == []
        store.forget_position(text)
        with pytest.raises(ValueError, match="usage is grouped by"):
            store.usage(text)
    assert (store.keys(), store.exchanges(limit=10), store.positions(), store.spending()) == before


def _has_no_nul(store: Store) -> bool:
    assert isinstance(store, SqlStore)
    return isinstance(store._database, PostgresDatabase)
