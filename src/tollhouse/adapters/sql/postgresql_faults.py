"""What errors of PostgreSQL and of its driver mean, in words a person can act on.

Never the server's details, nor its words about a value: they show what is in a row.
"""

from __future__ import annotations

from typing import Final

import psycopg
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Unanswered(psycopg.OperationalError):
    """The server has said nothing for so long that the connection was given up."""


_READ_ONLY: Final = "25006"
_MIGRATE: Final = "its tables are not those of this version. Run `tollhouse store migrate`."
_TAKES_NO_MORE: Final = (
    "it takes no more connections. Raise its max_connections, or look who holds them in pg_stat_activity."
)
_NOT_YET: Final = (
    "it is starting, stopping or recovering. It is tried again; look at its log if that does not end."
)
_LOGIN: Final = (
    "it does not let this user in with this password. Look at the URL in TOLLHOUSE_STORE, or at PGPASSFILE."
)

_REFUSALS: Final = {
    "23505": "it has one with the same id or digest already",
    "22003": "a number is out of its range",
    "22021": "a text has a character that it cannot hold",
    "22P05": "a text has a character that it cannot hold",
    "54000": "a text is too long for its index",
}
_MEANINGS: Final = {
    "57014": "a statement took too long and was ended. Look at its load, and for locks in pg_locks.",
    "55P03": "another session keeps a lock for too long. Look for it in pg_locks, or try again.",
    "40P01": "another transaction was in the way. Try again.",
    "40001": "another transaction was in the way. Try again.",
    _READ_ONLY: "it is read-only: a standby, or default_transaction_read_only is on. Name the primary, or both with"
    " target_session_attrs=read-write in the URL.",
    "53300": _TAKES_NO_MORE,
    "53100": "its disk is full. Make room.",
    "53200": "it is out of memory.",
    "42501": "this user may not use the tables or make them. Let their owner GRANT it, or connect as that.",
    "42P01": _MIGRATE,
    "42703": _MIGRATE,
    "3D000": "there is no such database. Make it with CREATE DATABASE, or mend the name in the URL.",
    "28P01": _LOGIN,
    "28000": _LOGIN,
    "57P01": "the session was ended by the server. It is tried again.",
    "57P02": "the server has crashed. It is tried again.",
    "57P03": _NOT_YET,
}
_BY_CLASS: Final = {"58": "its machine does not read or write as it should. Look at its log."}
_WORDS: Final = (
    # While connecting there is only a text, of which these are parts in every version.
    ("password authentication failed", _LOGIN),
    ("no password supplied", _LOGIN),
    ('role "', _LOGIN),
    ("no pg_hba.conf entry", "its pg_hba.conf does not let this user in from here. Add a line there."),
    ('database "', _MEANINGS["3D000"]),
    ("too many", _TAKES_NO_MORE),
    ("connection slots are reserved", _TAKES_NO_MORE),
    ("starting up", _NOT_YET),
    ("shutting down", _NOT_YET),
    ("recovery mode", _NOT_YET),
    ("not yet accepting", _NOT_YET),
    ("session is read-only", _MEANINGS[_READ_ONLY]),
    ("session is not read-only", "no server of the URL is in the state that target_session_attrs asks for."),
    ("in hot standby mode", _MEANINGS[_READ_ONLY]),
    ("SSL", "the connection cannot be encrypted as the URL asks. Look at sslmode and the certificates."),
    ("certificate", "the server's certificate is not one to trust. Look at sslmode and sslrootcert."),
    ("timeout expired", "it does not answer. Look whether host and port are right, and whether it is well."),
    ("refused", "nobody listens there. Look whether host and port are right, and whether the server runs."),
    ("No such file", "nobody listens there. Look whether the socket's folder is right, and the server runs."),
    ("translate host name", "its host has no address. Look at the name and at DNS."),
    ("resolve host", "its host has no address. Look at the name and at DNS."),
    ("server closed the connection", "the connection broke. It is tried again."),
    ("connection is lost", "the connection broke. It is tried again."),
    ("is closed", "the connection broke. It is tried again."),
)


def refusal(fault: BaseException) -> str | None:
    """What is wrong with a value; None where no value is at fault."""
    state = getattr(fault, "sqlstate", None) or ""
    if state in _REFUSALS:
        return _REFUSALS[state]
    if isinstance(fault, psycopg.IntegrityError | psycopg.DataError):
        return f"a value is not one that its column takes ({type(fault).__name__})"
    return None


def meaning(fault: BaseException) -> str:
    """Any other error: what it means and what to do, as the rest of a sentence."""
    if isinstance(fault, PoolTimeout):
        return "all its connections are in use. Try again."
    if isinstance(fault, Unanswered):
        return "it does not answer. Look whether it is well, and whether the network between lets everything through."
    state = getattr(fault, "sqlstate", None) or ""
    if (sentence := _MEANINGS.get(state) or _BY_CLASS.get(state[:2])) is not None:
        return sentence
    words = _primary(fault)
    return next((sentence for part, sentence in _WORDS if part in words), f"it says: {words}.")


def is_of_a_standby(fault: BaseException | None) -> bool:
    """Whether the server no longer is the one that may be written to."""
    return getattr(fault, "sqlstate", None) == _READ_ONLY


def _primary(fault: BaseException) -> str:
    """The first of what was said, without the details."""
    diagnosis = getattr(fault, "diag", None)
    words = (diagnosis.message_primary if diagnosis is not None else None) or str(fault)
    return " ".join(words.split())[:300].rstrip(".")
