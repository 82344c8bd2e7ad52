"""The admin API as an OpenAPI 3.1 document, written from the table of paths and the types of bodies and answers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse import __version__
from tollhouse.administration import HANDLERS, Handler
from tollhouse.core.authority import RULES

from .table import ROUTES, Route

_REF: Final = "#/components/schemas/{name}"
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "request_id", "source", "hint", "docs"],
            "properties": {
                "type": {"type": "string"},
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "request_id": {"type": "string"},
                "source": {"type": "string"},
                "hint": {"type": "string"},
                "docs": {"type": "string"},
            },
        }
    },
}


def openapi() -> dict[str, Any]:
    """The whole document."""
    types = _types()
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollhouse admin API",
            "version": __version__,
            "description": "What is sent is described by the schemas; a field that is not there is refused.",
        },
        "security": [{"admin_key": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {
                "admin_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An admin key (`ak-th-…`), a session (`as-th-…`), or the text of "
                    "TOLLHOUSE_ADMIN_KEY. At `POST /admin/v1/session` an identity provider's ID token.",
                }
            },
        },
    }


def _types() -> list[Any]:
    found = [
        part
        for handler in HANDLERS.values()
        for part in (handler.answer, handler.body, handler.query)
        if part is not None
    ]
    return list(dict.fromkeys(found))


def _operation(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    handler = HANDLERS[route.action]
    operation: dict[str, Any] = {
        "operationId": route.action.value.replace(".", "_"),
        "tags": [route.action.value.partition(".")[0]],
        "summary": route.about,
        "description": f"For the roles {_roles(route)}.",
        "parameters": _parameters(route, handler),
        "responses": {
            str(handler.status): _answer(handler, schemas),
            "default": {
                "description": "It could not be done; `error.code` and `error.hint` say why.",
                "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
            },
        },
    }
    if handler.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[handler.body]}},
        }
    return operation


def _roles(route: Route) -> str:
    return ", ".join(f"{role.value} ({reach.value})" for role, reach in RULES[route.action].reach.items())


def _answer(handler: Handler, schemas: dict[Any, Any]) -> dict[str, Any]:
    schema = schemas.get(handler.answer, {"type": "object"})
    if handler.is_list:
        schema = {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next": {"type": ["string", "null"], "description": "`after` for the next part."},
            },
        }
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _parameters(route: Route, handler: Handler) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in route.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if handler.query is not None:
        properties = msgspec.json.schema_components([handler.query])[1][handler.query.__name__]["properties"]
        found += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in properties.items()
        ]
    if handler.is_write and "{id}" in route.path:
        found.append({"name": "if-match", "in": "header", "required": False, "schema": {"type": "string"}})
    if handler.is_write and route.action.value.endswith((".create", ".rotate")):
        found.append(
            {"name": "idempotency-key", "in": "header", "required": False, "schema": {"type": "string"}}
        )
    return found
