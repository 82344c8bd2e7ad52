"""The administration: finds out who asks, and does what may be done, in one transaction with its row of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import msgspec

from tollhouse.core.admin_keys import is_admin_key, is_admin_session
from tollhouse.core.authority import Action, Actor, Grant, Role, may_ever
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.people import Account
from tollhouse.ports.administration import AdministrationStore, Register
from tollhouse.ports.store import StoreRefused, StoreUnavailable

from . import sessions
from .case import Case, Done, Portion, conflict
from .errand import Answer, Errand, Refusal, Tools
from .fields import read_body, read_query
from .handlers import HANDLERS, Handler

_TRUSTED: Final = {"root": "the house's own admin key", "cli": "the command line"}
"""Owners without an account: nobody can take the role from whoever has started the house, or has its files."""


Rest = Callable[[], "Answer | Rest"]
"""What is still to be done of a long errand: the next portion gives the answer, or the rest after it."""


class Administration:
    """Does errands. Blocking: used on the thread of the store."""

    def __init__(self, store: AdministrationStore, tools: Tools) -> None:
        self._store = store
        self._tools = tools

    def run(self, errand: Errand) -> Answer:
        """One errand, from the credential to the answer. Raises nothing of what can go wrong in it: that is told."""
        told = self.begin(errand)
        while not isinstance(told, Answer):
            told = told()
        return told

    def begin(self, errand: Errand) -> Answer | Rest:
        """The same; but of a long one the first portion, for whoever lets others at the store in between."""
        actor: Actor | None = None
        try:
            handler = HANDLERS[errand.action]
            sessions.touch(self._store, errand, self._tools)
            # Whoever is not let in does not get as far as the one transaction that may write.
            with self._store.inquiring() as register:
                actor = self._identify(register, errand)
                _check_may(actor, errand)
                query = read_query(handler.query, errand.query)
                body = read_body(handler.body, errand.body)
                if not handler.is_write:
                    done = handler.do(Case(register, actor, errand, self._tools), body, query)
                    return self._told(done, handler, actor)
            with self._store.administering() as register:
                actor = self._identify(register, errand)
                case = Case(register, actor, errand, self._tools)
                done = handler.do(case, body, query)
                if not case.has_written and not case.is_repeated:
                    raise RuntimeError(f"{errand.action} has left no row in the audit log")
            return _answer(done, handler, case.actor)
        except GatewayError as error:
            return _refused(error, actor)
        except StoreUnavailable as error:
            return _refused(_away(error), actor)
        except StoreRefused:
            return _refused(_taken(), actor)

    def _told(self, done: Done, handler: Handler, actor: Actor) -> Answer | Rest:
        if done.goes_on is None:
            return _answer(done, handler, actor)
        return partial(self._go_on, done.goes_on, handler, actor)

    def _go_on(self, portion: Portion, handler: Handler, actor: Actor) -> Answer | Rest:
        try:
            with self._store.inquiring() as register:
                done = portion(register)
        except StoreUnavailable as error:
            return _refused(_away(error), actor)
        return self._told(done, handler, actor)

    @contextmanager
    def by_hand(self, action: Action, peer: str) -> Iterator[Case]:
        """One transaction of somebody who has the house's files, for what no request can say. Whoever changes something
        in it records that; where it cannot be written down, nothing has been changed.

        Raises: StoreUnavailable, StoreRefused.
        """
        errand = Errand(action=action, trusted="cli", peer=peer)
        with self._store.administering() as register:
            yield Case(register, _trusted("cli"), errand, self._tools)

    def _identify(self, register: Register, errand: Errand) -> Actor:
        """Raises: GatewayError `unauthenticated` or `key_expired`."""
        if errand.trusted in _TRUSTED:
            return _trusted(errand.trusted)
        if errand.action is Action.SESSIONS_CREATE and sessions.is_word(errand):
            return sessions.arriving(register, errand, self._tools)
        if is_admin_session(errand.credential):
            return sessions.identify(register, errand, self._tools)
        if not is_admin_key(errand.credential):
            raise _unknown()
        key = None
        for digest in self._tools.admin_key_digests(errand.credential):
            key = key or register.admin_key_by_digest(digest)
        account = register.find(Account, key.account) if key is not None else None
        if key is None or account is None:
            raise _unknown()
        if key.revoked_at is not None or account.disabled_at is not None:
            raise _unknown()
        if key.expires_at is not None and key.expires_at <= self._tools.now():
            raise GatewayError(
                ErrorKind.KEY_EXPIRED,
                "This admin key has expired.",
                blame=Blame.CLIENT,
                hint="Make another one, or ask for it.",
            )
        grants = tuple(one.grant for one in register.assignments_of(account.id))
        return Actor(id=account.id, name=account.name, grants=grants)


def _trusted(name: str) -> Actor:
    return Actor(id=name, name=_TRUSTED[name], grants=(Grant(Role.OWNER),))


def _check_may(actor: Actor, errand: Errand) -> None:
    """Before anything is looked up: whether there can be anything to which the actor may do this."""
    if not may_ever(actor, errand.action):
        raise GatewayError(
            ErrorKind.FORBIDDEN,
            f"None of your roles allows {errand.action.value}.",
            blame=Blame.CLIENT,
            hint="GET /admin/v1/me shows your roles.",
        )


def _answer(done: Done, handler: Handler, actor: Actor) -> Answer:
    return Answer(
        status=done.status,
        document=msgspec.Raw(msgspec.json.encode(done.document)),
        etag=done.etag,
        has_changed=handler.is_write,
        actor_id=actor.id,
    )


def _refused(error: GatewayError, actor: Actor | None) -> Answer:
    return Answer(
        status=error.status,
        error=Refusal(
            kind=error.kind.value,
            message=error.message,
            blame=error.blame.value,
            hint=error.hint,
            param=error.param,
        ),
        actor_id=actor.id if actor is not None else None,
    )


def refusal_of(answer: Answer) -> GatewayError | None:
    """The error an answer carries, as it was raised."""
    told = answer.error
    if told is None:
        return None
    return GatewayError(
        ErrorKind(told.kind),
        told.message,
        blame=Blame(told.blame),
        hint=told.hint,
        param=told.param,
        status=answer.status,
    )


def _unknown() -> GatewayError:
    return GatewayError(
        ErrorKind.UNAUTHENTICATED,
        "This is not an admin key that opens anything here.",
        blame=Blame.CLIENT,
        hint="Send `Authorization: Bearer ak-th-…`, or the text of TOLLHOUSE_ADMIN_KEY.",
    )


def _away(error: StoreUnavailable) -> GatewayError:
    return GatewayError(
        ErrorKind.AUTH_UNAVAILABLE,
        f"Nothing can be looked up or written down now: {error}",
        blame=Blame.OPERATOR,
        hint="Nothing has been changed. Try again when the store is back.",
    )


def _taken() -> GatewayError:
    return conflict(
        "The store does not take this: it is there already, or somebody has changed it meanwhile.",
        "Get it as it is now, and try again.",
    )
