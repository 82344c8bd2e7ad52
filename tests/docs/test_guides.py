"""What the guides show works as they say."""

from __future__ import annotations

import ast
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from docs.test_reference import GENERATOR, ROOT, blocks
from tollhouse.absorption import absorb, lost
from tollhouse.absorption.rules import Rule, without
from tollhouse.ports.dialect import Dialect
from tollhouse.surface.http.doors import PATTERNS, find_door

GUIDES = ROOT / "docs" / "guides"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_blocks() -> list[tuple[str, str]]:
    found = [(page.name, text) for page in PAGES for text in blocks(page, "python")]
    assert found
    return found


def test_table_of_the_readme_is_fresh() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == GENERATOR.with_table(text), "run `make docs`"


def test_every_pattern_of_the_doors_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "doors.md").read_text()
    listed = list(GENERATOR.pattern_doors())
    assert len(listed) >= len(PATTERNS)
    for method, path, door in listed:
        assert f"| {method} | `{path}` |" in text
        assert find_door(method, path)[0] == door


@pytest.mark.parametrize(("page", "text"), python_blocks())
def test_python_in_the_documents_is_python_and_our_names_in_it_exist(page: str, text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tollhouse"):
            module = import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == [], page


# -- any door, any provider


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings",
        "/openai/deployments/gpt/chat/completions",
        "/v1/messages", "/v1/messages/count_tokens",
        "/v1beta/models/gemini:streamGenerateContent",
        "/v2/chat", "/v2/embed", "/v2/rerank",
        "/model/claude/converse", "/model/claude/converse-stream",
    ],
)  # fmt: skip
def test_doors_are_where_the_base_urls_of_the_guide_lead(path: str) -> None:
    assert find_door("POST", path)[0] is not None


# -- absorption


def test_the_absorbed_example_is_what_the_house_does() -> None:
    before, after = blocks(GUIDES / "absorption.md", "json")
    body, rules = absorb("openai", "openai_chat", json.loads(before)["model"], before.encode())
    assert json.loads(body) == json.loads(after)
    assert list(json.loads(body)) == list(json.loads(after))
    assert lost(rules) == ()


def test_the_rule_of_the_guide_does_what_its_example_says() -> None:
    (text,) = blocks(GUIDES / "absorption.md", "python")
    rule = eval(text, {"Rule": Rule, "without": without})
    given, wanted = rule.example
    assert rule.apply(given) == wanted
    assert set(Rule.__struct_fields__) >= {"since", "source", "when", "apply", "example"}


# -- adding a dialect


def test_the_methods_a_dialect_is_said_to_have_are_the_ones_it_must_have() -> None:
    text = (GUIDES / "adding-a-dialect.md").read_text()
    rows = re.findall(r"^\| (`[a-z_`, ]+) \| [^|]+ \|$", text, re.M)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    methods = {name for name, value in vars(Dialect).items() if callable(value) and name[0] != "_"}
    assert methods - named <= {"stream_kind"}


# -- decisions and words


def test_decisions_are_numbered_without_a_gap() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    assert all(page.read_text().startswith(f"# {number}. ") for number, page in enumerate(decisions, 1))


def test_no_document_names_a_place_on_somebodys_machine() -> None:
    """Paths of a developer's own machine, and figures nobody has filled in."""
    found: list[Any] = [
        (page.relative_to(ROOT), match[0])
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for match in re.finditer(r"/(?:work|root|home)/[a-z]\S*|\bTODO\b|\bTBD\b|\bXXX\b", page.read_text())
    ]
    assert found == []


def test_guides_are_reachable_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    known = {Path(target).name for target in re.findall(r"\]\((docs/guides/[^)#]+)", text)}
    assert {page.name for page in GUIDES.glob("*.md")} - known <= {"responses-state.md"}
