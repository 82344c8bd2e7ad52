"""The door under `/admin`: who is let in, what is asked, and who answers.

Whoever asks is known before anything else is looked at: nobody who has shown no key that opens learns which paths there
are. The key the house was started with is known here; every other admin key is the keeper's to judge, each time anew,
so that one that has been revoked opens nothing from that moment on.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from tollhouse.administration import Answer, Errand, refusal_of
from tollhouse.core.admin_keys import ADMIN_KEY_PREFIX, admin_key_hint, is_admin_key, is_admin_session
from tollhouse.core.authority import Action
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.ids import KEY_PREFIX, key_hint, time_ordered_id
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret
from tollhouse.core.tokens import LONGEST_TOKEN_BYTES, looks_like_token
from tollhouse.pipeline import House, refuse
from tollhouse.ports.reply import Reply
from tollhouse.ports.request import Request

from .knocking import Knocking
from .office import Office
from .openapi import openapi
from .table import ROUTES, Route, check_routes, routes_at

ADMIN_PATHS: Final = {(route.method, route.path): route.about for route in ROUTES}
"""What is done there; GET brings HEAD with it."""
_ROOT: Final = "/admin"
_DIALECT: Final = "openai_chat"
"""Errors are told in its shape, which is the house's own."""
_KEY_ID: Final = "admin"
"""Stands in the authentication log for the key the house was started with."""
_BEARER: Final = b"bearer "
_SIGN_ON: Final = ("POST", "/admin/v1/session")
"""Where an identity provider's word is taken, with what its nonce was made of in a header of its own."""
_NONCE: Final = b"x-tollhouse-nonce"
_LONGEST_PATH: Final = 200
_LONGEST_QUERY: Final = 2_000
_LONGEST_HEADER: Final = 300
_MOST_BODY_BYTES: Final = 262_144
_JSON: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]

Told = tuple[int, bytes, str | None]
"""Status, document and ETag."""


def is_admin_path(path: str) -> bool:
    """Whether a path is the operator's, be there anything at it or not."""
    return path == _ROOT or path.startswith("/admin/")


class AdminDoor:
    """Leads people to the office, each as far as their roles reach."""

    def __init__(self, key: Secret | None, office: Office, routes: tuple[Route, ...] = ROUTES) -> None:
        """Raises: RuntimeError for routes that have no declared role."""
        check_routes(routes)
        self._key = key.reveal().encode() if key is not None else None
        self._office = office
        self._knocking = Knocking()
        self._rooms: Mapping[Action, Callable[[], Awaitable[tuple[int, bytes]]]] = {
            Action.DEPLOYMENTS_LIST: self._deployments,
            Action.CONFIG_GET: self._config,
            Action.CONFIG_RELOAD: self._reload,
            Action.OPENAPI_GET: self._openapi,
        }
        """What is answered here, and not by the keeper."""

    async def serve(self, house: House, request: Request, reply: Reply) -> None:
        """One question, from its head to its answer. Raises only CancelledError."""
        try:
            text = self._key_shown(house, request)
            status, document, etag = await self._answer(house, request, text)
            headers = _JSON if etag is None else [*_JSON, (b"etag", etag.encode())]
            reply.send(status, headers, document)
        except GatewayError as error:
            _refuse(house, error, request, reply)
        except Exception as defect:  # noqa: BLE001 - whatever it is, the caller gets an answer and the book its row
            house.report(_KEY_ID, defect)
            _refuse(house, _defect(), request, reply)

    # -- who asks

    def _key_shown(self, house: House, request: Request) -> str | None:
        """The text of an admin key that may be one of ours; None for the key the house was started with.

        Raises: GatewayError for anything else.
        """
        log = house.accountant.authentication_log
        shown = request.headers.get(b"authorization", b"")
        text = shown[len(_BEARER) :] if shown[: len(_BEARER)].lower() == _BEARER else b""
        now = house.clock.monotonic()
        if self._key is not None and hmac.compare_digest(text, self._key):
            log.note("ok", _KEY_ID, "", request.peer)
            return None
        wait_s = self._knocking.wait_s(request.peer, text, now)
        if wait_s:
            error = _too_often(wait_s)
        elif _may_be_ours(request, text):
            return text.decode("ascii")
        else:
            error = _closed() if self._key is None else _wrong_key(text)
            self._knocking.refused(request.peer, now)
        hint = key_hint(text[:512].decode("latin-1")) if text else ""
        log.note(error.kind.value, None, hint, request.peer)
        raise error

    def _judged(self, house: House, request: Request, text: str | None, answer: Answer) -> Answer:
        """The keeper's answer, written into the authentication log. Raises: the GatewayError it carries."""
        error = refusal_of(answer)
        if text is not None:
            log, hint = house.accountant.authentication_log, admin_key_hint(text)
            if answer.actor_id is not None:
                log.note("ok", answer.actor_id, "", request.peer)
                self._knocking.accepted(text.encode())
            elif error is not None:
                log.note(error.kind.value, None, hint, request.peer)
                if error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.KEY_EXPIRED):
                    self._knocking.forget(text.encode())
                    self._knocking.refused(request.peer, house.clock.monotonic())
        if error is not None:
            raise error
        return answer

    # -- what is asked

    async def _answer(self, house: House, request: Request, text: str | None) -> Told:
        found = _find(request)
        if isinstance(found, GatewayError):
            # There is nothing here to be asked: but only those who are let in are told so.
            if text is not None:
                await self._ask(house, request, text, Errand(action=Action.ME_GET, credential=text))
            raise found
        route, target = found
        room = self._rooms.get(route.action)
        if room is not None and text is None and route.action is not Action.CONFIG_RELOAD:
            await _body_of(request)
            return *(await room()), None
        errand = Errand(
            action=route.action,
            target=target,
            query=_query_of(request),
            body=await _body_of(request),
            credential=text or "",
            trusted="" if text is not None else "root",
            nonce=_header(request, _NONCE) or "",
            if_match=_header(request, b"if-match"),
            idempotency_key=_header(request, b"idempotency-key"),
            request_id=time_ordered_id("req_", house.clock.now(), house.clock.entropy(10)),
            peer=request.peer,
        )
        answer = await self._ask(house, request, text, errand)
        if room is not None:
            return *(await room()), None
        return answer.status, bytes(answer.document), answer.etag

    async def _ask(self, house: House, request: Request, text: str | None, errand: Errand) -> Answer:
        try:
            answer = await self._office.administrate(errand)
        except OSError as error:
            raise _nobody_knows() from error
        return self._judged(house, request, text, answer)

    # -- the rooms

    async def _deployments(self) -> tuple[int, bytes]:
        try:
            return 200, await self._office.deployments()
        except OSError as error:
            raise _nobody_can_tell(str(error)) from error

    async def _config(self) -> tuple[int, bytes]:
        return 200, msgspec.json.encode(self._office.in_force())

    async def _openapi(self) -> tuple[int, bytes]:
        return 200, msgspec.json.encode(openapi())

    async def _reload(self) -> tuple[int, bytes]:
        try:
            report = await self._office.reload_by_keeper()
        except OSError as error:
            raise _nobody_can(str(error)) from error
        if report.is_taken_over:
            return 200, msgspec.json.encode(_taken_over(report))
        return 422, msgspec.json.encode({"problems": report.problems})


def _may_be_ours(request: Request, text: bytes) -> bool:
    """Whether the keeper is asked about it: by its shape, and an identity provider's word only where it is taken."""
    shown = text.decode("latin-1")
    is_word = (request.method, request.path) == _SIGN_ON and looks_like_token(text)
    return is_admin_key(shown) or is_admin_session(shown) or (is_word and len(text) <= LONGEST_TOKEN_BYTES)


def _find(request: Request) -> tuple[Route, str | None] | GatewayError:
    """The route and the id in its path; or why there is none."""
    method = "GET" if request.method == "HEAD" else request.method
    routes, target = routes_at(request.path)
    for route in routes:
        if route.method == method:
            return route, target
    shown = request.path[:_LONGEST_PATH]
    if routes:
        allowed = ", ".join(route.method for route in routes)
        return invalid_request(f"{shown} takes {allowed}, not {method[:20]}.", hint=f"Use {allowed}.")
    return GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"There is no door at {shown}.",
        blame=Blame.CLIENT,
        hint="/admin/v1/openapi.json describes those there are.",
    )


async def _body_of(request: Request) -> bytes:
    """Raises: GatewayError for one that is longer than anything that is asked here."""
    declared = request.headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > _MOST_BODY_BYTES:
        raise _too_long()
    body = await request.body()
    if len(body) > _MOST_BODY_BYTES:
        raise _too_long()
    return body


def _query_of(request: Request) -> dict[str, str]:
    """Raises: GatewayError where it cannot be read, or says something twice."""
    if not request.query:
        return {}
    try:
        if len(request.query) > _LONGEST_QUERY:
            raise ValueError("too long")
        pairs = parse_qsl(
            request.query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise invalid_request("The part of the address behind the question mark cannot be read.") from None
    query = dict(pairs)
    if len(query) < len(pairs):
        raise invalid_request("A parameter stands in the address twice.", hint="Write each of them once.")
    return query


def _header(request: Request, name: bytes) -> str | None:
    value = request.headers.get(name)
    if value is None:
        return None
    if len(value) > _LONGEST_HEADER or not value.isascii():
        raise invalid_request(f"The header {name.decode()} cannot be taken.", param=name.decode())
    return value.decode("ascii")


def _taken_over(report: ReloadReport) -> dict[str, object]:
    return {
        "hash": report.hash,
        "warnings": report.problems,
        "waits_for_restart": report.waits_for_restart,
    }


def _refuse(house: House, error: GatewayError, request: Request, reply: Reply) -> None:
    door = f"{request.method} {request.path[:_LONGEST_PATH]}"
    refuse(house, error, reply, door=door, peer=request.peer, dialect=_DIALECT)


def _closed() -> GatewayError:
    return GatewayError(
        ErrorKind.FORBIDDEN,
        "The admin API is closed: this gateway was started without an admin key.",
        blame=Blame.OPERATOR,
        hint="Start it with a long random text in the environment variable TOLLHOUSE_ADMIN_KEY, or show an admin key "
        "of an account.",
    )


def _wrong_key(text: bytes) -> GatewayError:
    hint = "Send `Authorization: Bearer ak-th-…`, or the text of TOLLHOUSE_ADMIN_KEY."
    if text.startswith(KEY_PREFIX.encode()):
        hint = f"Virtual keys open the doors of models, not this one. {hint}"
    if text.startswith(ADMIN_KEY_PREFIX.encode()):
        hint = "Its length or checksum is wrong: copy it again, all 55 letters of it."
    return GatewayError(
        ErrorKind.UNAUTHENTICATED,
        "This is not the admin key." if text else "No admin key was sent.",
        blame=Blame.CLIENT,
        hint=hint,
    )


def _too_often(wait_s: float) -> GatewayError:
    return GatewayError(
        ErrorKind.RATE_LIMITED,
        "Too many admin keys from your address have been wrong.",
        blame=Blame.CLIENT,
        hint="Wait, and send the right one.",
        retry_after_s=wait_s,
    )


def _too_long() -> GatewayError:
    return GatewayError(
        ErrorKind.INVALID_REQUEST,
        f"The body is longer than {_MOST_BODY_BYTES} bytes.",
        blame=Blame.CLIENT,
        hint="Nothing that can be asked here is so long.",
        status=413,
    )


def _nobody_knows() -> GatewayError:
    return GatewayError(
        ErrorKind.AUTH_UNAVAILABLE,
        "The process that keeps the store did not answer.",
        blame=Blame.OPERATOR,
        hint="Get what you wanted to change before you try again: it may have been done. The log says more.",
    )


def _nobody_can_tell(why: str) -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"Nobody can say now how the deployments are: {why}.",
        blame=Blame.OPERATOR,
        hint="Ask again shortly; look at the log.",
    )


def _nobody_can(why: str) -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"The configuration could not be read again now: {why}.",
        blame=Blame.OPERATOR,
        hint="The one before is still in force; look at the log.",
    )


def _defect() -> GatewayError:
    return GatewayError(
        ErrorKind.INTERNAL,
        "The gateway has a defect and could not answer.",
        blame=Blame.GATEWAY,
        hint="Tell the operator the request id; the log has the details.",
    )
