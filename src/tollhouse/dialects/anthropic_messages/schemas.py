"""JSON schemas as Anthropic takes them."""

from __future__ import annotations

from typing import Any, Final

_ONE: Final = ("items", "not", "if", "then", "else", "contains", "additionalItems")
_MANY: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_NAMED: Final = ("properties", "$defs", "definitions", "patternProperties")


def input_schema(schema: Any) -> dict[str, Any]:
    """The schema of a tool's arguments: it must say that they are an object (API reference, `tools`)."""
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    if "type" not in schema:
        return {"type": "object"} | schema
    return schema if schema["type"] == "object" else schema | {"type": "object"}


def closed(schema: Any) -> Any:
    """The schema with `additionalProperties: false` at objects that say nothing about it: the API demands it of output
    formats and strict tools (structured outputs guide, "JSON Schema limitations"). All else stays in its order.

    Raises: RecursionError, when it is nested too deeply.
    """
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _closed_member(key, value) for key, value in schema.items()}
    if (out.get("type") == "object" or "properties" in out) and "additionalProperties" not in out:
        out["additionalProperties"] = False
    return out


def _closed_member(key: str, value: Any) -> Any:
    if key in _ONE or key in _MANY:
        return closed(value)
    if key in _NAMED and isinstance(value, dict):
        return {name: closed(one) for name, one in value.items()}
    return value
