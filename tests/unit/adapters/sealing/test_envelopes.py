"""An envelope opens where it was put, under the master key it was sealed with, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.adapters.sealing import MasterKeySealer
from tollhouse.core.master_key import MasterKey, MasterKeyring
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import Envelope, EnvelopeRefused, MasterKeyMissing, Place, Sealer

OLD, NEW = (
    MasterKey(Secret("4ee9d0c3a7518b62f0e1d2c3b4a59687")),
    MasterKey(Secret("9f31bb0ac2d7e84615aa77c0de93512e")),
)
PLACE = Place(tenant="red", table="secrets", row="sec_1", name="openai", version=3)
TEXTS = st.text(max_size=300).filter(lambda text: text.isprintable())


def sealer(*keys: MasterKey) -> MasterKeySealer:
    return MasterKeySealer(lambda: MasterKeyring(keys or (OLD,)))


@given(TEXTS)
def test_envelope_opens_at_its_place(text: str) -> None:
    made: Sealer = sealer()
    envelope = made.seal(Secret(text), PLACE)
    assert made.open(envelope, PLACE).reveal() == text
    if len(text) > 4:
        assert text.encode() not in envelope.sealed + envelope.wrapped_key


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "blue"},
        {"tenant": ""},
        {"table": "last known"},
        {"row": "sec_2"},
        {"name": "azure"},
        {"version": 2},
    ],
)
def test_envelope_opens_at_no_other_place(change: dict[str, object]) -> None:
    made = sealer()
    envelope = made.seal(Secret("sk-red"), PLACE)
    with pytest.raises(EnvelopeRefused):
        made.open(envelope, replace(PLACE, **change))


@given(st.sampled_from(["wrapped_key", "sealed"]), st.data())
def test_envelope_with_a_bit_flipped_or_its_end_cut_is_refused(part: str, data: st.DataObject) -> None:
    made = sealer()
    envelope = made.seal(Secret("sk-a-secret-of-some-length"), PLACE)
    content = bytearray(getattr(envelope, part))
    if data.draw(st.booleans(), label="cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(EnvelopeRefused):
        made.open(replace(envelope, **{part: bytes(content)}), PLACE)


def test_parts_of_two_envelopes_make_none() -> None:
    made = sealer()
    one, other = made.seal(Secret("one"), PLACE), made.seal(Secret("other"), PLACE)
    for mixed in (
        replace(one, sealed=other.sealed),
        replace(one, wrapped_key=other.wrapped_key),
        replace(one, sealed=one.wrapped_key),
        replace(one, wrapped_key=one.sealed),
    ):
        with pytest.raises(EnvelopeRefused):
            made.open(mixed, PLACE)


def test_same_text_is_never_sealed_alike() -> None:
    made = sealer()
    envelopes = [made.seal(Secret("same"), PLACE) for _ in range(2_000)]
    nonces = [content[1:13] for each in envelopes for content in (each.wrapped_key, each.sealed)]
    assert len(set(nonces)) == len(nonces) == 4_000


def test_rewrapped_envelope_needs_the_old_master_key_no_longer() -> None:
    envelope = sealer(OLD).seal(Secret("sk"), PLACE)
    both = sealer(NEW, OLD)
    assert both.open(envelope, PLACE).reveal() == "sk"
    fresh = both.rewrap(envelope, PLACE)
    assert (fresh.key_id, fresh.sealed) == (NEW.id, envelope.sealed)
    assert sealer(NEW).open(fresh, PLACE).reveal() == "sk"
    with pytest.raises(MasterKeyMissing) as caught:
        sealer(NEW).open(envelope, PLACE)
    assert caught.value.key_id == OLD.id


def test_envelope_that_claims_another_master_key_is_refused() -> None:
    both = sealer(NEW, OLD)
    envelope = both.seal(Secret("sk"), PLACE)
    with pytest.raises(EnvelopeRefused):
        both.open(replace(envelope, key_id=OLD.id), PLACE)


def test_damaged_envelope_is_not_rewrapped() -> None:
    envelope = sealer(OLD).seal(Secret("sk"), PLACE)
    damaged = replace(envelope, sealed=envelope.sealed[:-1] + bytes([envelope.sealed[-1] ^ 1]))
    with pytest.raises(EnvelopeRefused):
        sealer(NEW, OLD).rewrap(damaged, PLACE)


def test_master_key_that_has_come_meanwhile_is_found() -> None:
    keys = [OLD]
    reading = MasterKeySealer(lambda: MasterKeyring(keys))
    envelope = sealer(NEW).seal(Secret("sk"), PLACE)
    with pytest.raises(MasterKeyMissing):
        reading.open(envelope, PLACE)
    keys.insert(0, NEW)
    assert reading.open(envelope, PLACE).reveal() == "sk"


@pytest.mark.parametrize("version", [0, -1, 1 << 32])
def test_number_of_versions_of_a_row_is_bounded(version: int) -> None:
    with pytest.raises(EnvelopeRefused, match="versions"):
        sealer().seal(Secret("sk"), replace(PLACE, version=version))


def test_format_of_an_envelope_never_changes() -> None:
    """Sealed by the first version; every later one has to open it."""
    wrapped_key = (
        "01499bb09d1336de2e76534ca9194b1b7fe73c0b617b070260787e17d1cabf4172d4e485a54094e6c25def0348"
        "5e79fcda8484c143c48f89cec29fa813"
    )
    sealed = "01218508667022611de60463813a1200e29d2bbfcb57866b901cfe5d48b0921935831c3f7f80feb35368afae54"
    kept = Envelope(key_id=OLD.id, wrapped_key=bytes.fromhex(wrapped_key), sealed=bytes.fromhex(sealed))
    assert sealer().open(kept, PLACE).reveal() == "sk-kept-for-ever"
