"""A row of the audit log that was altered, taken out, put elsewhere or cut off is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.audit import AuditFault, AuditHead, AuditRow, Verifier, sealed, signed

KEY = b"k" * 32
FIELDS = [
    "at",
    "actor_id",
    "actor_name",
    "action",
    "object",
    "before",
    "after",
    "before_digest",
    "request_id",
    "peer",
]


def log(count: int) -> tuple[list[AuditRow], AuditHead]:
    rows, head = [], AuditHead()
    for number in range(count):
        row = AuditRow(
            number=0,
            at=1_800_000_000.25 + number,
            actor_id="usr_1",
            actor_name="Ada",
            action="keys.create",
            object=f"key:{number}",
            after='{"a":1}',
        )
        row, head = sealed(KEY, row, head)
        rows.append(row)
    return rows, head


def faults(
    rows: list[AuditRow], head: AuditHead | None, *, parts: int = 3, kept: AuditHead | None = None
) -> set[int | None]:
    """Read as a store gives them: by number, in parts."""
    verifier = Verifier([KEY])
    ordered = sorted(rows, key=lambda row: row.number)
    for start in range(0, len(ordered), parts):
        verifier.read(ordered[start : start + parts], wanted=kept.count if kept is not None else None)
    return {fault.number for fault in verifier.faults(head, kept)}


@given(st.integers(0, 20))
def test_log_that_nobody_has_touched_is_whole(count: int) -> None:
    rows, head = log(count)
    assert faults(rows, head if count else None) == set()


@given(st.integers(1, 12), st.data())
def test_rows_that_were_taken_out_are_named_and_no_others(count: int, data: st.DataObject) -> None:
    rows, head = log(count)
    gone = data.draw(st.sets(st.integers(1, count), min_size=1))
    assert faults([row for row in rows if row.number not in gone], head) == gone


@given(st.integers(1, 12), st.data())
def test_rows_that_were_altered_are_named_and_no_others(count: int, data: st.DataObject) -> None:
    rows, head = log(count)
    altered = data.draw(st.sets(st.integers(1, count), min_size=1))
    field = data.draw(st.sampled_from([*FIELDS, "seal", "seal_before"]))
    value = 5.0 if field == "at" else "x"
    changed = [
        msgspec.structs.replace(row, **{field: value}) if row.number in altered else row for row in rows
    ]
    assert faults(changed, head) == altered


@given(st.integers(2, 12), st.data())
def test_rows_that_changed_places_are_both_named(count: int, data: st.DataObject) -> None:
    rows, head = log(count)
    one, other = data.draw(st.lists(st.integers(1, count), min_size=2, max_size=2, unique=True))
    places = {one: other, other: one}
    moved = [msgspec.structs.replace(row, number=places.get(row.number, row.number)) for row in rows]
    assert faults(moved, head) == {one, other}


@given(st.integers(1, 12), st.data())
def test_end_that_was_cut_off_is_named(count: int, data: st.DataObject) -> None:
    rows, head = log(count)
    left = data.draw(st.integers(0, count - 1))
    assert faults(rows[:left], head) == set(range(left + 1, count + 1))
    # A head that fits what is left, made without the key, is no better.
    seal = rows[left - 1].seal if left else AuditHead().seal
    forged = AuditHead(count=left, seal=seal, signature=head.signature)
    assert None in faults(rows[:left], forged)
    assert faults(rows[:left], None) == ({None} if left else set())


def test_log_that_was_put_back_to_an_earlier_day_is_found_by_a_head_that_was_kept() -> None:
    rows, head = log(5)
    earlier_rows, earlier_head = log(3)
    assert faults(earlier_rows, earlier_head) == set(), "from the log alone nobody can tell"
    assert faults(earlier_rows, earlier_head, kept=head) == {5}
    assert faults(rows, head, kept=earlier_head) == set()


def test_row_that_was_forged_with_another_key_is_named() -> None:
    rows, head = log(2)
    forged, forged_head = sealed(b"x" * 32, msgspec.structs.replace(rows[0], object="key:mine"), head)
    assert faults([*rows, forged], forged_head) == {3, None}
    assert faults([*rows, forged], head) == {3}


def test_rows_beyond_the_head_are_named() -> None:
    rows, _ = log(3)
    assert faults(rows, log(2)[1]) == {3}


def test_faults_are_bounded_and_in_words() -> None:
    verifier = Verifier([KEY])
    head = signed(KEY, AuditHead(count=10**12, seal="a" * 64))
    found = verifier.faults(head)
    assert len(found) == 1000
    assert found[0] == AuditFault(number=1, what="is missing at the end")


@pytest.mark.parametrize("keys", [[KEY, b"n" * 32], [b"n" * 32, KEY]])
def test_log_that_was_sealed_with_an_older_key_is_whole(keys: list[bytes]) -> None:
    rows, head = log(3)
    verifier = Verifier(keys)
    verifier.read(rows)
    assert verifier.faults(head) == ()
