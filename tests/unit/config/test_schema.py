from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tollhouse.config import schema
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.tree import Config
from tollhouse.plugins import load_plugins

LISTED = """
version: 1
providers: {p: {kind: mock, credential: [env:A, env:B]}}
routes: {a: {deployments: [{provider: p, model: m}], fallbacks: [b]}}
"""
REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
SCHEMA: dict[str, Any] = json.loads(schema.json_schema())


def definitions() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in SCHEMA["$defs"].items():
        if definition.get("type") == "object":
            yield name, definition


def places(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from places(inner)


@pytest.mark.parametrize(
    ("name", "text"),
    [("tollhouse.schema.json", schema.json_schema()), ("configuration.md", schema.reference_page())],
)
def test_document_is_up_to_date(name: str, text: str) -> None:
    assert (REFERENCE / name).read_text() == text, f"docs/reference/{name} is stale: run `make docs`"


def test_schema_names_its_draft() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$ref"] in {f"#/$defs/{name}" for name, _ in definitions()}


def test_schema_refuses_unknown_keys_everywhere() -> None:
    assert {
        name for name, definition in definitions() if definition["additionalProperties"] is not False
    } == set()
    assert len(list(definitions())) == 31


def test_every_key_has_a_description() -> None:
    keys = [
        (name, key, rule)
        for name, definition in definitions()
        for key, rule in definition["properties"].items()
    ]
    assert len(keys) > 40
    assert [(name, key) for name, key, rule in keys if not rule.get("description", "").endswith(".")] == []


def test_every_key_is_required_or_has_a_default() -> None:
    for name, definition in definitions():
        for key, rule in definition["properties"].items():
            assert ("default" in rule) != (key in definition["required"]), (name, key)


def test_everything_is_bounded() -> None:
    for place in places(SCHEMA):
        match place.get("type"):
            case "string":
                assert "maxLength" in place or "pattern" in place, place
            case "integer" | "number":
                assert "maximum" in place, place
                assert "minimum" in place or "exclusiveMinimum" in place, place
            case "array":
                assert "maxItems" in place, place
            case "object":
                assert "properties" in place or "maxProperties" in place, place


def test_references_inside_the_schema_lead_somewhere() -> None:
    for place in places(SCHEMA):
        if "$ref" in place:
            assert place["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Enough of a validator for what our schema uses."""
    if "$ref" in rule:
        return fits(value, SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")])
    if "anyOf" in rule:
        return any(fits(value, inner) for inner in rule["anyOf"])
    if "enum" in rule:
        return value in rule["enum"]
    match rule["type"]:
        case "object" if "properties" in rule:
            return (
                isinstance(value, dict)
                and set(rule["required"]) <= set(value) <= set(rule["properties"])
                and all(fits(inner, rule["properties"][key]) for key, inner in value.items())
            )
        case "object":
            names = {"type": "string", **rule["propertyNames"]}
            return isinstance(value, dict) and all(
                fits(key, names) and fits(inner, rule["additionalProperties"]) for key, inner in value.items()
            )
        case "array":
            return (
                isinstance(value, list)
                and rule.get("minItems", 0) <= len(value) <= rule["maxItems"]
                and all(fits(inner, rule["items"]) for inner in value)
            )
        case "string":
            return isinstance(value, str) and re.search(rule.get("pattern", ""), value) is not None
        case "integer" | "number":
            low, above = rule.get("minimum"), rule.get("exclusiveMinimum")
            is_number = isinstance(value, int | float) and value <= rule["maximum"]
            return is_number and (value > above if low is None else value >= low)
        case "boolean":
            return isinstance(value, bool)
    return value is None


def as_written(config: Config) -> dict[str, Any]:
    import msgspec

    return json.loads(msgspec.json.encode(config))


def test_value_of_several_forms_is_any_of_them_in_the_schema() -> None:
    credential = SCHEMA["$defs"]["Provider"]["properties"]["credential"]
    assert [form["type"] for form in credential["anyOf"]] == ["string", "array", "null"]
    fallbacks = SCHEMA["$defs"]["Route"]["properties"]["fallbacks"]
    assert [form.get("type", form.get("$ref")) for form in fallbacks["anyOf"]] == [
        "array",
        "#/$defs/Fallbacks",
    ]


def test_example_works_with_the_kinds_of_the_house() -> None:
    snapshot = compile_config(load(schema.EXAMPLE), load_plugins().providers)
    assert snapshot.warnings == ()
    assert [fallback.route.name for fallback in snapshot.routes["gpt-4o"].fallbacks] == ["openai/*", "long"]


@pytest.mark.parametrize("text", [schema.EXAMPLE, "version: 1", LISTED])
def test_what_the_loader_takes_fits_the_schema(text: str) -> None:
    assert fits(as_written(load(text)), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"extra": 1},
        {"server": {"workers": 300}},
        {"store": "mysql://h/db"},
        {"store": "postgresql://u:secret@h/db"},
        {"shared": "redis://:secret@h/0"},
        {"providers": {"a": {"kind": "openai", "credential": "sk-abc"}}},
        {"routes": {"a b": {"deployments": []}}},
        {"providers": {"a": {"kind": "openai", "credential": ["env:A", "sk-abc"]}}},
        {"providers": {"a": {"kind": "openai", "credential": []}}},
        {"routes": {"a": {"deployments": [{"provider": "p", "model": "m"}], "fallbacks": "b"}}},
        {"routes": {"a": {"deployments": [{"provider": "p", "model": "m"}], "fallbacks": None}}},
        {
            "routes": {
                "a": {"deployments": [{"provider": "p", "model": "m"}], "fallbacks": {"outages": ["b"]}}
            }
        },
    ],
)
def test_what_the_loader_refuses_does_not_fit_the_schema(change: dict[str, Any]) -> None:
    assert not fits({"version": 1, **change}, SCHEMA)


def test_example_has_every_key() -> None:
    for _, definition in definitions():
        for key in definition["properties"]:
            assert re.search(rf"\b{key}:", schema.EXAMPLE), key


def test_page_has_every_key_with_type_default_and_description() -> None:
    page = schema.reference_page()
    for _, definition in definitions():
        for key, rule in definition["properties"].items():
            assert re.search(
                rf"^\| `{key}` \| [^|]+ \| [^|]+ \| {re.escape(rule['description'])} \|$", page, re.M
            ), key
    assert schema.EXAMPLE in page
    for title in (
        "server", "providers.NAME", "providers.NAME.breaker", "routes.NAME.deployments[]", "routes.NAME.timeouts",
        "routes.NAME.longest_timeouts", "routes.NAME.fallbacks", "routes.NAME.queue", "routes.NAME.mirror", "keys[]",
    ):  # fmt: skip
        assert f"\n## `{title}`\n" in page


def test_page_writes_defaults_as_one_would_in_the_file() -> None:
    page = schema.reference_page()
    for row in (
        "| `drain_s` | number, at least 0, at most 3600 | `30` |",
        "| `prometheus` | `true` or `false` | `true` |",
        "| `on_disconnect` | `cancel` or `drain` | `cancel` |",
        "`lowest_cost` or `sticky` | `ordered` |",
        "| `credential` | text, or list of texts | none |",
        "| `fallbacks` | list of texts, or keys, see below | none |",
        "| `breaker` | keys, see below | the defaults below |",
        "| `base_url` | text | none |",
        "| `share` | number, more than 0, at most 1 | required |",
        "| `max_concurrency` | whole number, at least 1, at most 1000000 | none |",
        "| `kind` | text | required |",
    ):
        assert row in page
