"""Where the members of a JSON object lie."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.wire.json_scan import JsonFault, top_level

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SPACES = st.text(" \t\r\n", max_size=3)


@st.composite
def written_objects(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Any]]]:
    """An object as somebody might write it: duplicates, escapes and odd whitespace included."""
    pairs = draw(st.lists(st.tuples(TEXTS | st.sampled_from(["a", "model"]), VALUES), max_size=6))
    pieces = []
    for key, value in pairs:
        is_ascii = draw(st.booleans())
        name = json.dumps(key, ensure_ascii=is_ascii)
        if draw(st.booleans()):
            name = (
                '"'
                + "".join(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter for letter in key)
                + '"'
            )
        inner = json.dumps(value, ensure_ascii=is_ascii, indent=draw(st.sampled_from([None, 2])))
        spaces = [draw(SPACES) for _ in range(4)]
        pieces.append(spaces[0] + name + spaces[1] + ":" + spaces[2] + inner + spaces[3])
    text = draw(SPACES) + "{" + (",".join(pieces) or draw(SPACES)) + "}" + draw(SPACES)
    return text.encode(), pairs


@given(written_objects())
def test_spans_are_those_of_the_values_however_the_object_is_written(
    case: tuple[bytes, list[tuple[str, Any]]],
) -> None:
    body, pairs = case
    scan = top_level(body)
    assert {key: json.loads(body[slice(*span)]) for key, span in scan.members.items()} == dict(pairs)
    for start, end in scan.members.values():
        assert body[start:end] == body[start:end].strip()
    keys = [key for key, _ in pairs]
    assert scan.duplicates == {key for key in keys if keys.count(key) > 1}
    assert body[slice(*scan.whole)] == body.strip(b" \t\r\n")


def test_duplicates_are_told_and_the_last_one_counts_when_lengths_would_hide_them() -> None:
    body = b'{"a":[1,"b"  ,"b":2],"a":3,"b":"x"}'.replace(b',"b":2]', b"]")
    scan = top_level(body)
    assert scan.duplicates == {"a"}
    assert body[slice(*scan.members["a"])] == b"3"
    assert body[slice(*scan.members["b"])] == b'"x"'


def test_an_escaped_key_is_the_key_it_means() -> None:
    scan = top_level(b'{"mod\\u0065l":1,"model":2}')
    assert scan.duplicates == {"model"}


@pytest.mark.parametrize(
    ("body", "position", "word"),
    [
        (b"", None, "empty"),
        (b" \n ", None, "empty"),
        (b"[1]", None, "array"),
        (b'"x"', None, "str"),
        (b"null", None, "null"),
        (b'{"a":1} x', 8, "trailing"),
        (b'{"a":1}{"a":1}', 7, "trailing"),
        (b'{"a":1,}', 7, "comma"),
        (b'{"a":NaN}', 5, "character"),
        (b'{"a":Infinity}', 5, "character"),
        (b'{"a":01}', 6, "number"),
        (b'{"a":"\xff"}', 6, "UTF-8"),
        (b'{"\xc3":1}', 2, "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', 6, "UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', 0, "character"),
        (b'{"a":"\n"}', 6, "character"),
        (b'{"a":"\\ud83d"}', None, "other half"),
        (b'{"a":1', 6, "too early"),
        (b'{"a":"' + b"x" * 40, 46, "too early"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "deep"),
    ],
)
def test_a_fault_names_its_place_and_reason_when_the_body_is_no_object(
    body: bytes, position: int | None, word: str
) -> None:
    with pytest.raises(JsonFault) as caught:
        top_level(body)
    assert word in str(caught.value)
    # The decoder counts from its own idea of a token's beginning: within a byte is near enough for people.
    if position is None:
        assert caught.value.position is None
    else:
        assert caught.value.position is not None
        assert abs(caught.value.position - position) <= 1
        assert f"at byte {caught.value.position}" in str(caught.value)


@given(st.binary(max_size=60) | st.text('{}[]":,\\ua1 \n', max_size=60).map(str.encode))
def test_any_bytes_give_an_object_or_a_fault(body: bytes) -> None:
    try:
        scan = top_level(body)
    except JsonFault:
        return
    assert isinstance(json.loads(body), dict)
    assert set(scan.members) == set(json.loads(body))


def test_work_in_python_does_not_grow_with_the_values() -> None:
    """One match per key: a value of a megabyte takes no more of them than a short one."""
    body = b'{"messages":[' + b'{"role":"user","content":"x"},' * 40_000 + b'1],"model":"m"}'
    scan = top_level(body)
    assert list(scan.members) == ["messages", "model"]
    assert body[slice(*scan.members["model"])] == b'"m"'


def test_large_object_of_very_many_members_is_refused() -> None:
    def of(count: int, padding: str = "") -> bytes:
        return json.dumps({str(place): padding for place in range(count)}).encode()

    assert len(top_level(of(1_000, "x" * 100)).members) == 1_000
    with pytest.raises(JsonFault, match="more than 1000 members"):
        top_level(of(1_001, "x" * 100))
    with pytest.raises(JsonFault, match="more than 1000 members"):
        top_level(b"{" + b'"a":1,' * 20_000 + b'"a":1}')
    assert len(top_level(of(5_000)).members) == 5_000, "what is small is cheap"
