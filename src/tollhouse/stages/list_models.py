"""The models a key may name: answered by the house itself."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import msgspec

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal

_ONE: Final = "/v1/models/"


def list_models(snapshot: Snapshot, principal: Principal, path: str) -> bytes:
    """The routes this key may use, or the one named after `/v1/models/`; those that end in a star have no end to list.

    Raises: GatewayError `route_not_found`, alike for what does not exist and what the key may not use.
    """
    routes = snapshot.routes.values()
    names = [route.name for route in routes if not route.is_wildcard and principal.may_use(route.name)]
    if not path.startswith(_ONE):
        return msgspec.json.encode({"object": "list", "data": [_model(name) for name in names]})
    wanted = unquote(path.removeprefix(_ONE))
    if wanted not in names:
        raise GatewayError(
            ErrorKind.ROUTE_NOT_FOUND,
            f"There is no model {wanted[:200]!r} for this key.",
            blame=Blame.CLIENT,
            hint="GET /v1/models lists what this key may use.",
        )
    return msgspec.json.encode(_model(wanted))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tollhouse"}
