"""Gemini's schemas, which are OpenAPI 3.0's with names of their own, as JSON schemas.

Source: Schema in https://ai.google.dev/api/caching#Schema, read 2026-11-25: types in capitals, `nullable`, bounds of
kind int64 as texts, `propertyOrdering` for what JSON leaves open. The way back is not needed: both of Google's APIs
take JSON schemas as they are (`parametersJsonSchema`, `responseJsonSchema`).
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.dialects.ground_family.google_spelling import camel

_TYPES: Final = (None, "string", "number", "integer", "boolean", "array", "object", "null")
_BOUNDS: Final = frozenset(
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"]
)
_RENAMED: Final = {"ref": "$ref", "defs": "$defs"}


def json_schema_of(schema: Any) -> Any:
    """The JSON schema that says the same. What is no schema of Gemini's comes back as it is.

    Raises: RecursionError where it is nested without end.
    """
    if not isinstance(schema, dict):
        return schema
    members = {camel(name): value for name, value in schema.items()}
    order = members.pop("propertyOrdering", None)
    is_nullable = members.pop("nullable", None) is True
    written: dict[str, Any] = {}
    for name, value in members.items():
        if value is not None:
            _member(written, name, value, order)
    return _nullable(written) if is_nullable else written


def _member(written: dict[str, Any], name: str, value: Any, order: Any) -> None:
    match name:
        case "type":
            kind = _type(value)
            if kind is not None:
                written["type"] = kind
        case "properties" if isinstance(value, dict):
            written["properties"] = _properties(value, order)
        case "anyOf" | "oneOf" | "allOf" | "prefixItems" if isinstance(value, list):
            written[name] = [json_schema_of(item) for item in value]
        case "items" | "additionalProperties":
            written[name] = json_schema_of(value)
        case "defs" | "$defs" if isinstance(value, dict):
            written["$defs"] = {key: json_schema_of(item) for key, item in value.items()}
        case "example":
            written["examples"] = [value]
        case "format" if value == "enum":
            pass  # Gemini's mark of a string with an `enum`, which says it all
        case _ if name in _BOUNDS and isinstance(value, str) and value.isascii() and value.isdigit():
            written[name] = int(value)
        case _:
            written[_RENAMED.get(name, name)] = value


def _type(value: Any) -> Any:
    """Lower-case words; the number of an enumeration counts too. None where it is left open."""
    if isinstance(value, list):
        return [_type(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_TYPES):
        return _TYPES[value]
    if not isinstance(value, str):
        return value
    return None if value == "TYPE_UNSPECIFIED" else value.lower()


def _properties(properties: dict[str, Any], order: Any) -> dict[str, Any]:
    """Property names are the caller's own and stay as they are; the order is the one Gemini would write them in."""
    names = list(properties)
    if isinstance(order, list):
        places = {name: place for place, name in enumerate(order) if isinstance(name, str)}
        names.sort(key=lambda name: places.get(name, len(places)))
    return {name: json_schema_of(properties[name]) for name in names}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema
