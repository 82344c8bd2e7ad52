from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config import yaml_text
from tollhouse.config.findings import Findings
from tollhouse.core.problem import ConfigInvalid, ConfigProblem


def plain(node: yaml_text.Node) -> object:
    match node:
        case yaml_text.Mapping():
            return {entry.key: plain(entry.node) for entry in node.entries}
        case yaml_text.Sequence():
            return [plain(item) for item in node.items]
    return node.value


def compose(text: str) -> object:
    findings = Findings()
    node = yaml_text.compose(text, findings)
    assert findings.problems() == ()
    return plain(node)


def faults(text: str) -> tuple[ConfigProblem, ...]:
    findings = Findings()
    try:
        yaml_text.compose(text, findings)
    except ConfigInvalid as invalid:
        return invalid.problems
    return findings.problems()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-7", -7),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2024-08-06", "2024-08-06"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        (".INF", math.inf),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("!!int 12", 12),
        ("!!float 12", 12.0),
        ("!!bool true", True),
        ("!!null ~", None),
        ("=", "="),
    ],
)
def test_scalar_means_what_the_core_schema_says(written: str, meant: object) -> None:
    found = compose(f"key: {written}")
    assert found == {"key": meant}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(meant)


def test_nan_is_a_number() -> None:
    value = yaml_text.core_value(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


def test_number_stays_text_when_it_is_endless() -> None:
    assert compose("key: " + "9" * 5000) == {"key": "9" * 5000}


def test_json_is_yaml() -> None:
    assert compose('{"a": [1, 2.5, null, true, "x\\u00e9"], "b": {}}') == {
        "a": [1, 2.5, None, True, "xé"],
        "b": {},
    }


def test_empty_file_is_null() -> None:
    assert compose("") is None
    assert compose("# nothing but this\n") is None


def test_directive_for_yaml_1_2_is_read() -> None:
    assert compose("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}


def test_alias_repeats_its_anchor() -> None:
    assert compose("a: &x {k: [1]}\nb: *x\nc: !!map {}\nd: !!seq []\n") == {
        "a": {"k": [1]},
        "b": {"k": [1]},
        "c": {},
        "d": [],
    }


def test_lines_are_those_of_the_file() -> None:
    node = yaml_text.compose("a: 1\n\nb:\n  - x\n  - y\n", Findings())
    assert isinstance(node, yaml_text.Mapping)
    assert [entry.line for entry in node.entries] == [1, 3]
    items = node.entries[1].node
    assert isinstance(items, yaml_text.Sequence)
    assert [item.line for item in items.items] == [4, 5]


def test_duplicate_key_is_told_with_both_lines() -> None:
    (problem,) = faults("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert (problem.path, problem.line) == ("a.b", 4)
    assert "line 2" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: [1,\n", 2, "not YAML"),
        ("a: 1\nb: 'x", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\nb: \x07", 2, "not YAML"),
        ("a: 1\nb: \ud800", 2, "Unicode"),
        ("%TAG ! tag:x,2000:\n---\na: 1", 1, "Tag directives"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: *nowhere\n", 2, "alias"),
        ("a: &x\n  b: *x\n", 2, "alias"),
        ("b: &x 1\na: &x [*x]\n", 2, "alias"),
        ("a: 1\n? [x]\n: 2\n", 2, "key must be text"),
        ("a: 1\n5: x\n", 2, '"5" is not text'),
        ("a: &x 5\n*x : x\n", 2, '"5" is not text'),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys"),
        ("a: 1\nb: !secret x\n", 2, "tag"),
        ("a: 1\nb: !!int x\n", 2, "tag"),
        ("a: 1\nb: !mine {}\n", 2, "tag"),
        ("a: 1\nb: !!map []\n", 2, "tag"),
    ],
)
def test_fault_carries_its_line(text: str, line: int, word: str) -> None:
    (problem,) = faults(text)
    assert problem.line == line
    assert word in problem.message


def test_merge_key_may_be_a_name_when_it_is_quoted() -> None:
    assert compose('"<<": 1') == {"<<": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: *sk-secret\n",
        "a: !sk-secret x\n",
        "a: sk-secret: x\n",
        "a: 'sk-secret\n",
        "a: {sk-secret\n",
        "a: &sk-secret &b x\n",
    ],
)
def test_fault_repeats_nothing_of_a_value(text: str) -> None:
    assert "sk-secret" not in "".join(map(str, faults(text)))


def test_aliases_are_refused_when_they_multiply() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    (problem,) = faults("\n".join(lines))
    assert str(yaml_text.MOST_NODES) in problem.message


@pytest.mark.parametrize("text", ["- " * 40, "? " * 40, "{a: " * 40, "[" * 5000])
def test_depth_is_bounded(text: str) -> None:
    (problem,) = faults(text)
    assert "nest" in problem.message


def test_depth_is_bounded_through_aliases() -> None:
    deep = "&a " + "[" * 20 + "]" * 20
    (problem,) = faults(f"x: {deep}\ny: {'[' * 15}*a{']' * 15}\n")
    assert "nested" in problem.message


def test_size_is_bounded() -> None:
    assert compose("a: " + "x" * (yaml_text.MOST_BYTES - 3)) is not None
    (problem,) = faults("a: " + "é" * (yaml_text.MOST_BYTES // 2))
    assert str(yaml_text.MOST_BYTES) in problem.message


@given(st.text() | st.text(alphabet="{}[]:,-?*&!|>'\"%#@ \n\tab1~.=<"))
def test_composing_raises_nothing_but_config_invalid(text: str) -> None:
    assert isinstance(faults(text), tuple)
