"""From where, when and for what a key opens, and until when a former text does."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest
from msgspec.structs import replace

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import Upgrade, VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.limits import Budget, Limits
from tollhouse.core.operation import Operation
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import KeyRefused, Keyring, entries_of, key_digest, pepper_of

PEPPER = pepper_of(Secret("a master key of some length"))
TEXT = virtual_key_text(bytes(range(32)))
FORMER = virtual_key_text(bytes(range(1, 33)))
NOW = datetime.fromisoformat("2026-11-25T12:00:00+00:00").timestamp()  # a Wednesday


def made(text: str = TEXT, **more: object) -> VirtualKey:
    fields: dict[str, object] = {"id": "key_1", "name": "ci", "routes": ("*",), **more}
    return VirtualKey(digest=key_digest(PEPPER, text), **fields)


def ring(*keys: VirtualKey) -> Keyring:
    keyring = Keyring(PEPPER)
    keyring.learn(keys)
    keyring.set_loaded()
    keyring.set_freshness(is_fresh=True)
    return keyring


def refused(
    keyring: Keyring,
    *,
    text: str = TEXT,
    now: float = NOW,
    operation: Operation = Operation.CHAT,
    peer: str = "192.0.2.1",
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        keyring.identify(text.encode(), now, operation, peer)
    return caught.value


# -- what the principal knows


def test_principal_has_what_later_rooms_go_by() -> None:
    limits, budget = Limits(requests_per_minute=5), Budget(nanousd=7)
    key = made(tags=("nightly",), limits=limits, budget=budget, max_output_tokens=100, team="search")
    principal = ring(key).identify(TEXT.encode(), NOW)
    assert (principal.tags, principal.limits, principal.budget) == (("nightly",), limits, budget)
    assert (principal.max_output_tokens, principal.team, principal.tenant) == (100, "search", "team:search")


def test_keys_share_what_they_have_in_common() -> None:
    keys = [
        made(virtual_key_text(bytes([number]) * 32), id=f"key_{number}", limits=Limits(concurrency=5), hours=("UTC",))
        for number in range(2)
    ]  # fmt: skip
    keyring = ring(*keys)
    one, two = (keyring._by_id[key.id] for key in keys)
    assert one.principal.limits is two.principal.limits
    assert one.restrictions is two.restrictions


# -- stopped


def test_disabled_key_is_refused_and_told_apart_from_a_revoked_one() -> None:
    error = refused(ring(made(disabled_at=NOW - 1)))
    assert (error.kind, error.message) == (ErrorKind.UNAUTHENTICATED, "This key has been disabled.")
    assert "tollhouse keys enable key_1" in error.hint
    assert refused(ring(made(disabled_at=NOW - 1, revoked_at=NOW))).message == "This key has been revoked."


def test_enabled_key_opens_again() -> None:
    keyring = ring(made(disabled_at=NOW - 1))
    keyring.learn([made()])
    assert keyring.identify(TEXT.encode(), NOW).key_id == "key_1"


def test_refusal_of_a_known_key_names_it_for_the_log() -> None:
    for key in (
        made(disabled_at=NOW),
        made(revoked_at=NOW),
        made(expires_at=NOW),
        made(networks=("10.0.0.0/8",)),
    ):
        error = refused(ring(key))
        assert isinstance(error, KeyRefused)
        assert error.key_id == "key_1"


# -- rotation


def test_both_texts_open_until_grace_is_over() -> None:
    keyring = ring(made(former_digest=key_digest(PEPPER, FORMER), former_until=NOW + 60))
    for text in (TEXT, FORMER):
        assert keyring.identify(text.encode(), NOW).key_id == "key_1"
    assert keyring.identify(TEXT.encode(), NOW + 60).key_id == "key_1"
    error = refused(keyring, text=FORMER, now=NOW + 60)
    assert error.kind is ErrorKind.KEY_EXPIRED
    assert "rotated" in error.message


def test_former_text_opens_no_key_that_was_stopped() -> None:
    former = {"former_digest": key_digest(PEPPER, FORMER), "former_until": NOW + 60}
    assert refused(ring(made(revoked_at=NOW, **former)), text=FORMER).message == "This key has been revoked."
    assert refused(ring(made(expires_at=NOW, **former)), text=FORMER).message == "This key has expired."
    assert (
        refused(ring(made(disabled_at=NOW, **former)), text=FORMER).message == "This key has been disabled."
    )


def test_text_before_the_former_one_is_forgotten() -> None:
    oldest = virtual_key_text(b"o" * 32)
    keyring = ring(made(oldest))
    keyring.learn([made(FORMER, former_digest=key_digest(PEPPER, oldest), former_until=NOW + 60)])
    assert keyring.identify(oldest.encode(), NOW).key_id == "key_1"
    keyring.learn([made(TEXT, former_digest=key_digest(PEPPER, FORMER), former_until=NOW + 60)])
    assert refused(keyring, text=oldest).message == "This key is not known here."
    assert len(keyring) == 1


# -- networks


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"], ["10.2.0.0", "10.0.255.255", "::a01:203"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::"], ["2001:db9::1", "32.1.13.184", "::1"]),
        ("192.0.2.7/32", ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"], ["192.0.2.6", "192.0.2.8"]),
        ("::ffff:192.0.2.0/120", ["192.0.2.9", "::ffff:192.0.2.9"], ["192.0.3.0"]),
        ("0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["::1", "2001:db8::1"]),
        ("fe80::/10", ["fe80::1", "fe80::1%eth0"], ["fec0::1"]),
    ],
)  # fmt: skip
def test_key_opens_from_its_networks_only(network: str, inside: list[str], outside: list[str]) -> None:
    keyring = ring(made(networks=("203.0.113.0/24", network)))
    for peer in inside:
        for _ in range(2):
            assert keyring.identify(TEXT.encode(), NOW, Operation.CHAT, peer).key_id == "key_1"
    for peer in [*outside, "", "unix", "10.1.0.0, 192.0.2.7", "1.2.3"]:
        for _ in range(2):
            assert refused(keyring, peer=peer).kind is ErrorKind.FORBIDDEN


def test_refusal_by_network_does_not_tell_a_thief_where_the_key_opens() -> None:
    error = refused(ring(made(networks=("10.1.0.0/16",))))
    assert "192.0.2.1" in error.message
    assert "10.1" not in error.message + error.hint


def test_addresses_that_are_remembered_are_bounded() -> None:
    keyring = ring(made(networks=("10.0.0.0/8",)))
    for number in range(3_000):
        keyring.identify(TEXT.encode(), NOW, Operation.CHAT, f"10.0.{number // 256}.{number % 256}")
    restrictions = keyring._by_id["key_1"].restrictions
    assert restrictions is not None
    assert len(restrictions._verdicts) <= 1_000


# -- hours


def test_key_that_is_closed_now_says_when_it_opens() -> None:
    keyring = ring(made(hours=("Mon-Fri 08:00-12:00 Europe/Berlin", "Sat 10:00-12:00 Europe/Berlin")))
    error = refused(keyring)  # noon in UTC is one o'clock in Berlin
    assert error.kind is ErrorKind.FORBIDDEN
    assert "it opens next at 2026-11-26T08:00+01:00" in error.message
    assert error.retry_after_s == 19 * 3_600
    assert keyring.identify(TEXT.encode(), NOW - 2 * 3_600).key_id == "key_1"


# -- doors


def test_key_opens_the_doors_it_names_only() -> None:
    keyring = ring(made(doors=("chat", "embeddings")))
    assert keyring.identify(TEXT.encode(), NOW, Operation.EMBEDDINGS).key_id == "key_1"
    error = refused(keyring, operation=Operation.RERANK)
    assert (error.kind, error.message) == (ErrorKind.FORBIDDEN, "This key may not ask for rerank.")
    assert "chat, embeddings" in error.hint


@pytest.mark.parametrize(
    "more", [{"networks": ("10.0.0.0/99",)}, {"hours": ("Mon Europe/Atlantis",)}, {"hours": ("whenever you like",)}]
)  # fmt: skip
def test_key_whose_restrictions_cannot_be_read_here_opens_nothing_and_is_no_fault_of_its_caller(
    more: dict[str, tuple[str, ...]],
) -> None:
    error = refused(ring(made(**more)), peer="10.0.0.1")
    assert error.kind is ErrorKind.AUTH_UNAVAILABLE
    assert "tollhouse keys edit" in error.hint


def test_declared_keys_are_narrowed_the_same_way() -> None:
    keyring = ring()
    declared = VirtualKey(
        id="cfg-ci",
        name="ci",
        digest=hashlib.sha256(b"mine").hexdigest(),
        scheme="sha256",
        doors=("chat",),
        networks=("10.0.0.0/8",),
        expires_at=NOW + 10,
    )
    keyring.declare(entries_of([declared]))
    assert keyring.identify(b"mine", NOW, Operation.CHAT, "10.0.0.1").key_id == "cfg-ci"
    assert refused(keyring, text="mine", peer="11.0.0.1").kind is ErrorKind.FORBIDDEN
    assert refused(keyring, text="mine", peer="10.0.0.1", now=NOW + 10).kind is ErrorKind.KEY_EXPIRED
    assert keyring.take_upgrades() == []


# -- imported keys


FOREIGN = "sk-from-elsewhere-0123456789"


def imported(**more: object) -> VirtualKey:
    digest = hashlib.sha256(FOREIGN.encode()).hexdigest()
    return VirtualKey(id="key_i", name="imported", digest=digest, scheme="sha256", routes=("*",), **more)


def test_first_use_of_an_imported_key_reports_the_digest_that_is_to_replace_its_own() -> None:
    keyring = ring(imported())
    assert keyring.take_upgrades() == []
    for _ in range(3):
        assert keyring.identify(FOREIGN.encode(), NOW).key_id == "key_i"
    digest = key_digest(PEPPER, FOREIGN)
    assert keyring.take_upgrades() == [Upgrade(key_id="key_i", foreign=imported().digest, digest=digest)]
    keyring.learn([replace(imported(), digest=digest, scheme="hmac", version=2)])
    assert keyring.identify(FOREIGN.encode(), NOW).key_id == "key_i"
    assert keyring.take_upgrades() == []
    assert imported().digest not in {entry.hex() for entry in keyring._entries}


def test_upgrade_that_was_lost_is_reported_again_after_a_while() -> None:
    keyring = ring(imported())
    keyring.identify(FOREIGN.encode(), NOW)
    assert len(keyring.take_upgrades()) == 1
    keyring.identify(FOREIGN.encode(), NOW + 59)
    assert keyring.take_upgrades() == []
    keyring.identify(FOREIGN.encode(), NOW + 60)
    assert len(keyring.take_upgrades()) == 1


def test_upgrades_that_wait_are_bounded() -> None:
    texts = [f"foreign {number}" for number in range(1_500)]
    keyring = ring(
        *[replace(imported(), id=text, digest=hashlib.sha256(text.encode()).hexdigest()) for text in texts]
    )
    for text in texts:
        keyring.identify(text.encode(), NOW)
    assert len(keyring.take_upgrades()) == 1_000
    for text in texts:
        keyring.identify(text.encode(), NOW)
    assert len(keyring.take_upgrades()) == 500


def test_imported_key_that_does_not_open_is_not_upgraded_in_vain() -> None:
    keyring = ring(imported(revoked_at=NOW))
    assert refused(keyring, text=FOREIGN).message == "This key has been revoked."


# -- what became of a key


def test_why_a_key_is_closed_is_known_by_its_id() -> None:
    keyring = ring(made(expires_at=NOW + 5), made(FORMER, id="key_2", disabled_at=NOW))
    assert keyring.why_closed("key_1", NOW) is None
    expired = keyring.why_closed("key_1", NOW + 5)
    assert expired is not None
    assert expired.kind is ErrorKind.KEY_EXPIRED
    disabled = keyring.why_closed("key_2", NOW)
    assert disabled is not None
    assert "disabled" in disabled.message
    assert keyring.why_closed("no key at all", NOW) is None


def test_declared_key_that_is_taken_out_counts_as_revoked_until_it_is_declared_again() -> None:
    keyring = ring()
    keyring.declare(entries_of([made(id="cfg-ci")]))
    assert keyring.why_closed("cfg-ci", NOW) is None
    keyring.declare({})
    withdrawn = keyring.why_closed("cfg-ci", NOW)
    assert withdrawn is not None
    assert withdrawn.message == "This key has been revoked."
    keyring.declare(entries_of([made(id="cfg-ci")]))
    assert keyring.why_closed("cfg-ci", NOW) is None
