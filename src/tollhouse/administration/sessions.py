"""People who come by single sign-on: letting them in, knowing them again, letting them go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from tollhouse.core.admin_keys import admin_session_text, is_admin_session
from tollhouse.core.authority import Actor, Grant
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.people import Account, AccountKind
from tollhouse.core.sign_on import IDLE_S, SESSION_S, TOUCH_S, AdminSession, ExternalIdentity, Login
from tollhouse.core.tokens import looks_like_token
from tollhouse.ports.administration import AdministrationStore, Register
from tollhouse.ports.store import StoreRefused

from .case import Case, Done, conflict
from .errand import Errand, Tools
from .views import SessionEnded, SessionMade, instant

_HINT: Final = "Log in again: `tollhouse login`."


# -- coming in


def is_word(errand: Errand) -> bool:
    """Whether what is shown is meant as an identity provider's word."""
    return looks_like_token(errand.credential.encode("latin-1", "replace"))


def arriving(register: Register, errand: Errand, tools: Tools) -> Actor:
    """Who comes by the provider's word; one without an account yet has no id. Raises: GatewayError."""
    login = tools.sign_on(errand.credential, errand.nonce)
    account = _account_of(register, login)
    if account is None:
        return Actor(id="", name=login.email, grants=login.grants)
    if account.disabled_at is not None:
        raise _refused("Your account here is disabled.")
    return Actor(id=account.id, name=account.name, grants=_grants(register, account, login.grants))


def create_session(case: Case) -> Done:
    """A session, and an account for whoever is here for the first time. Its text is in the answer and nowhere else."""
    if not is_word(case.errand):
        raise invalid_request(
            "A session is made of an identity provider's word, and you have shown a key.",
            hint="`tollhouse login` brings it; with an admin key you need no session.",
        )
    login = case.tools.sign_on(case.errand.credential, case.errand.nonce)
    account = _account_of(case.register, login) or _new_account(case, login)
    case.actor = replace(case.actor, id=account.id, name=account.name)
    if case.register.find(ExternalIdentity, login.identity) is None:
        identity = ExternalIdentity(
            id=login.identity, account=account.id, issuer=login.issuer, created_at=case.now
        )
        case.register.add(identity)
    text = admin_session_text(case.tools.entropy(32))
    session = AdminSession(
        id=case.new_id("ses_"),
        account=account.id,
        digest=case.tools.admin_key_digests(text)[0],
        nonce=login.nonce,
        grants=login.grants,
        created_at=case.now,
        used_at=case.now,
        expires_at=case.now + SESSION_S,
    )
    try:
        case.register.add(session)
    except StoreRefused as error:
        raise _refused("Somebody has come in with this sign-on already.") from error
    case.record(f"session:{session.id}", None, session)
    return Done(
        SessionMade(
            id=session.id,
            session=text,
            account=account.id,
            expires_at=instant(session.expires_at) or "",
            idle_s=int(IDLE_S),
        ),
        201,
    )


def _account_of(register: Register, login: Login) -> Account | None:
    """Raises: GatewayError where the address is another's who came from the same provider."""
    known = register.find(ExternalIdentity, login.identity)
    if known is not None:
        account = register.find(Account, known.account)
        if account is None:
            raise _refused("Your account here is gone.")
        return account
    account = register.account_by_email(login.email)
    if account is None:
        return None
    if any(one.issuer == login.issuer for one in register.identities_of(account.id)):
        raise _refused("The account with your e-mail address is another person's of the same provider.")
    return account


def _new_account(case: Case, login: Login) -> Account:
    account = Account(
        id=case.new_id("usr_"),
        kind=AccountKind.USER,
        name=login.name,
        email=login.email,
        created_at=case.now,
    )
    case.actor = replace(case.actor, id=account.id, name=account.name)
    case.register.add(account)
    case.register.touch_rules()
    case.record(f"account:{account.id}", None, account)
    return account


# -- being here


def identify(register: Register, errand: Errand, tools: Tools) -> Actor:
    """Whose session it is. Raises: GatewayError `unauthenticated` or `key_expired`."""
    session = _session(register, errand.credential, tools)
    account = register.find(Account, session.account) if session is not None else None
    if session is None or account is None or session.ended_at is not None or account.disabled_at is not None:
        raise _refused("This is not a session that is open here.")
    if not session.is_open(tools.now()):
        raise GatewayError(ErrorKind.KEY_EXPIRED, "This session has ended.", blame=Blame.CLIENT, hint=_HINT)
    return Actor(id=account.id, name=account.name, grants=_grants(register, account, session.grants))


def touch(store: AdministrationStore, errand: Errand, tools: Tools) -> None:
    """Note that somebody is still here."""
    if not is_admin_session(errand.credential):
        return
    with store.inquiring() as register:
        session = _session(register, errand.credential, tools)
    now = tools.now()
    if session is None or not session.is_open(now) or now < session.used_at + TOUCH_S:
        return
    with store.administering() as register:
        session = _session(register, errand.credential, tools)
        if session is not None and session.is_open(now):
            register.put(replace(session, used_at=max(now, session.used_at)))


def end_session(case: Case) -> Done:
    """The session that is shown lets in no more."""
    session = _session(case.register, case.errand.credential, case.tools)
    if session is None:
        raise conflict(
            "You have not come by a session, and there is none to end.", "An admin key is revoked instead."
        )
    new = replace(session, ended_at=case.now)
    case.register.put(new)
    case.record(f"session:{session.id}", session, new)
    return Done(SessionEnded(id=session.id))


def _session(register: Register, text: str, tools: Tools) -> AdminSession | None:
    if not is_admin_session(text):
        return None
    for digest in tools.admin_key_digests(text):
        if (session := register.session_by_digest(digest)) is not None:
            return session
    return None


def _grants(register: Register, account: Account, more: Sequence[Grant]) -> tuple[Grant, ...]:
    own = [one.grant for one in register.assignments_of(account.id)]
    return tuple(dict.fromkeys([*own, *more]))


def _refused(message: str) -> GatewayError:
    return GatewayError(ErrorKind.UNAUTHENTICATED, message, blame=Blame.CLIENT, hint=_HINT)
