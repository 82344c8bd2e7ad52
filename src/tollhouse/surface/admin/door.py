"""The paths under `/admin/v1`: who may use them, and what is answered there.

One key opens them all, the operator's. Nobody who has not shown it learns which paths there are.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.ids import KEY_PREFIX, key_hint
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House, refuse
from tollhouse.ports.reply import Reply
from tollhouse.ports.request import Request

from .office import Office

ADMIN_PATHS: Final = {
    ("GET", "/admin/v1/deployments"): "how the deployments are: breakers, load, latency",
    ("GET", "/admin/v1/config"): "the configuration in force: hash, warnings, what waits for a restart",
    ("POST", "/admin/v1/config/reload"): "read the configuration file again and serve by it",
}
"""What is done there; GET brings HEAD with it."""
_ROOT: Final = "/admin"
_DIALECT: Final = "openai_chat"
"""Errors are told in its shape, which is the house's own."""
_KEY_ID: Final = "admin"
"""Stands in the authentication log for the operator's key."""
_BEARER: Final = b"bearer "
_LONGEST_PATH: Final = 200
_JSON: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def is_admin_path(path: str) -> bool:
    """Whether a path is the operator's, be there anything at it or not."""
    return path == _ROOT or path.startswith("/admin/")


class AdminDoor:
    """Leads the operator to the office, and nobody else."""

    def __init__(self, key: Secret | None, office: Office) -> None:
        self._key = key.reveal().encode() if key is not None else None
        self._office = office
        self._rooms: Mapping[str, Callable[[], Awaitable[tuple[int, object]]]] = {
            "/admin/v1/deployments": self._deployments,
            "/admin/v1/config": self._config,
            "/admin/v1/config/reload": self._reload,
        }

    async def serve(self, house: House, request: Request, reply: Reply) -> None:
        """One question of the operator's, from its head to its answer. Raises only CancelledError."""
        try:
            self._identify(house, request)
            room = self._room(request)
            await request.body()
            status, document = await room()
            reply.send(status, _JSON, msgspec.json.encode(document))
        except GatewayError as error:
            _refuse(house, error, request, reply)
        except Exception as defect:  # noqa: BLE001 - whatever it is, the caller gets an answer and the book its row
            house.report(_KEY_ID, defect)
            _refuse(house, _defect(), request, reply)

    def _identify(self, house: House, request: Request) -> None:
        """Raises: GatewayError `forbidden` where no key is set, `unauthenticated` where another one is shown."""
        log = house.accountant.authentication_log
        shown = request.headers.get(b"authorization", b"")
        text = shown[len(_BEARER) :] if shown[: len(_BEARER)].lower() == _BEARER else b""
        if self._key is None:
            error = _closed()
        elif hmac.compare_digest(text, self._key):
            log.note("ok", _KEY_ID, "", request.peer)
            return
        else:
            error = _wrong_key(text)
        hint = key_hint(text[:512].decode("latin-1")) if text else ""
        log.note(error.kind.value, None, hint, request.peer)
        raise error

    def _room(self, request: Request) -> Callable[[], Awaitable[tuple[int, object]]]:
        method = "GET" if request.method == "HEAD" else request.method
        if (method, request.path) in ADMIN_PATHS:
            return self._rooms[request.path]
        for allowed, path in ADMIN_PATHS:
            if path == request.path:
                raise invalid_request(f"{path} takes {allowed}, not {method[:20]}.", hint=f"Use {allowed}.")
        raise GatewayError(
            ErrorKind.ROUTE_NOT_FOUND,
            f"There is no door at {request.path[:_LONGEST_PATH]}.",
            blame=Blame.CLIENT,
            hint=f"There are {', '.join(path for _, path in ADMIN_PATHS)}.",
        )

    # -- the rooms

    async def _deployments(self) -> tuple[int, object]:
        return 200, {"deployments": self._office.deployments()}

    async def _config(self) -> tuple[int, object]:
        return 200, self._office.in_force()

    async def _reload(self) -> tuple[int, object]:
        try:
            report = await self._office.reload_by_keeper()
        except OSError as error:
            raise _nobody_can(str(error)) from error
        return (200, _taken_over(report)) if report.is_taken_over else (422, {"problems": report.problems})


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
        hint="Start it with a long random text in the environment variable TOLLHOUSE_ADMIN_KEY.",
    )


def _wrong_key(text: bytes) -> GatewayError:
    hint = "Send `Authorization: Bearer <the text of TOLLHOUSE_ADMIN_KEY>`."
    if text.startswith(KEY_PREFIX.encode()):
        hint = f"Virtual keys open the doors of models, not this one. {hint}"
    return GatewayError(
        ErrorKind.UNAUTHENTICATED,
        "This is not the admin key." if text else "No admin key was sent.",
        blame=Blame.CLIENT,
        hint=hint,
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
