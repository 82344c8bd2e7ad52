"""Tokens that others have signed: which let in, as whom, and everything that does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tollhouse.adapters.signatures import PublishedKeys
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.limits import Limits
from tollhouse.core.secret import Secret
from tollhouse.core.tokens import (
    LONGEST_TOKEN_BYTES,
    ClaimNames,
    Issuer,
    TokenRefused,
    looks_like_token,
    principal_of,
    read_token,
)
from tollhouse.stages.authenticate import Keyring, TrustedIssuers, authenticate

NOW = 1_800_000_000.0
US = "https://idp.example.org/"
RSA: Any = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"}, private=True)
EC: Any = ECKey.generate_key("P-256", {"kid": "e1", "use": "sig", "alg": "ES256"}, private=True)
OTHER_RSA: Any = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
ENCRYPTING: Any = RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"}, private=True)
ED: Any = OKPKey.generate_key("Ed25519", {"kid": "d1"}, private=True)
DOCUMENT = json.dumps(
    {
        "keys": [key.as_dict(private=False) for key in (RSA, EC, ENCRYPTING)]
        + [{"kty": "oct", "k": "AAAA", "kid": "s"}]
    }
).encode()
REGISTRY = jws.JWSRegistry(
    algorithms=["none", "HS256", "RS256", "RS512", "PS256", "ES256", "Ed25519"], strict_check_header=False
)


def b64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def claims(**more: Any) -> dict[str, Any]:
    said = {"iss": US, "aud": "tollhouse", "sub": "build-7", "iat": NOW - 5, "exp": NOW + 300, **more}
    return {name: value for name, value in said.items() if value is not None}


def signed(said: Any, key: Any = RSA, **header: Any) -> str:
    head = {"alg": "RS256", "kid": "r1", "typ": "JWT", **header}
    head = {name: value for name, value in head.items() if value is not None}
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    # Past the library's own care: it would not make most of what is refused here.
    to_sign = f"{b64(json.dumps(head).encode())}.{b64(text)}"
    return f"{to_sign}.{b64(REGISTRY.get_alg(head['alg']).sign(to_sign.encode(), key))}"


def raw(head: bytes, said: bytes, key: Any = RSA) -> str:
    """A header and claims that no library writes, well signed."""
    text = f"{b64(head)}.{b64(said)}"
    signature = REGISTRY.get_alg("RS256").sign(text.encode(), key)
    return f"{text}.{b64(signature)}"


def issuer(**more: Any) -> Issuer:
    return Issuer(
        name="ci",
        issuer=US,
        audiences=("tollhouse",),
        algorithms=("RS256", "ES256"),
        routes=("gpt-*",),
        **more,
    )


def trusted(*issuers: Issuer, document: bytes = DOCUMENT, until: float = NOW + 3_600) -> TrustedIssuers:
    book = TrustedIssuers(PublishedKeys)
    book.trust(issuers or (issuer(),))
    for each in issuers or (issuer(),):
        book.learn(each.name, document, NOW, until)
    return book


def refusal(book: TrustedIssuers, token: str, now: float = NOW) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        book.identify(token.encode(), now)
    return caught.value


def test_good_token_lets_in_by_each_header_of_the_contract() -> None:
    book, ring = trusted(), Keyring(Secret("pepper"))
    for token in (signed(claims()), signed(claims(), EC, alg="ES256", kid="e1"), signed(claims(), kid=None)):
        for name, value in ((b"authorization", f"Bearer {token}"), (b"x-api-key", token)):
            caller = authenticate({name: value.encode()}, ring, NOW, issuers=book)
            assert (caller.key_id, caller.key_name) == ("jwt:ci:build-7", "build-7")
            assert caller.routes == ("gpt-*",)
            assert caller.tenant == "key:jwt:ci:build-7"


def test_edwards_curves_are_taken_under_both_of_their_names() -> None:
    here = msgspec.structs.replace(issuer(), algorithms=("EdDSA", "Ed25519"))
    book = trusted(here, document=json.dumps({"keys": [ED.as_dict(private=False)]}).encode())
    head = b64(b'{"alg":"EdDSA","kid":"d1"}') + "." + b64(dumps(claims()))
    old = f"{head}.{b64(REGISTRY.get_alg('Ed25519').sign(head.encode(), ED))}"
    for token in (signed(claims(), ED, alg="Ed25519", kid="d1"), old):
        assert book.identify(token.encode(), NOW).key_id == "jwt:ci:build-7"


def test_token_is_no_key_where_nobodys_tokens_are_taken() -> None:
    ring = Keyring(Secret("pepper"))
    ring.set_loaded()
    with pytest.raises(GatewayError) as caught:
        authenticate({b"x-api-key": signed(claims()).encode()}, ring, NOW)
    assert caught.value.kind is ErrorKind.UNAUTHENTICATED


# -- A06: none of these lets anybody in

GOOD = signed(claims())
HEAD, CLAIMS, SIGNATURE = GOOD.split(".")
PUBLIC_PEM = RSA.as_pem(private=False)


def hs256(secret: bytes, **header: Any) -> str:
    text = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'r1', **header}).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}"


def unsigned(algorithm: str, signature: str = "") -> str:
    return f"{b64(json.dumps({'alg': algorithm}).encode())}.{CLAIMS}.{signature}"


def dumps(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said).encode()


HOSTILE = {
    "none": unsigned("none"),
    "None": unsigned("None", "AAAA"),
    "nOnE": unsigned("nOnE", SIGNATURE),
    "no algorithm": raw(b'{"typ":"JWT"}', dumps(claims())),
    "algorithm is a list": raw(b'{"alg":["RS256"]}', dumps(claims())),
    "HS256 with the public key as PEM": hs256(PUBLIC_PEM),
    "HS256 with the public key as JWK": hs256(json.dumps(RSA.as_dict(private=False)).encode()),
    "HS256 with an empty secret": hs256(b""),
    "HS256 with a published secret": hs256(base64.b64decode("AAAA"), kid="s"),
    "RS512, which is not taken from them": signed(claims(), alg="RS512"),
    "PS256 by an RS256 issuer": signed(claims(), alg="PS256"),
    "Ed25519, which is not taken from them": signed(claims(), ED, alg="Ed25519", kid="d1"),
    "ES256 header over an RSA key": signed(claims(), EC, alg="ES256", kid="r1"),
    "RS256 header over an EC key": signed(claims(), kid="e1"),
    "another's key under the same id": signed(claims(), OTHER_RSA),
    "a key for encryption": signed(claims(), ENCRYPTING, kid="enc"),
    "kid is a path": signed(claims(), OTHER_RSA, kid="../../../../dev/null"),
    "kid is SQL": signed(claims(), OTHER_RSA, kid="x' UNION SELECT 'secret'--"),
    "kid is a URL": signed(claims(), OTHER_RSA, kid="https://evil.example/jwks"),
    "kid is a number": raw(b'{"alg":"RS256","kid":7}', dumps(claims())),
    "jwk brings its own key": signed(claims(), OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)),
    "jku says where its key is": signed(claims(), OTHER_RSA, jku="https://evil.example/jwks"),
    "x5u says where its certificate is": signed(claims(), OTHER_RSA, x5u="https://evil.example/cert"),
    "crit": signed(claims(), crit=["exp"]),
    "b64 is off": raw(b'{"alg":"RS256","kid":"r1","b64":false,"crit":["b64"]}', dumps(claims())),
    "compressed": signed(claims(), zip="DEF"),
    "nested": signed(claims(), cty="JWT"),
    "a logout token": signed(claims(), typ="logout+jwt"),
    "an event token": signed(claims(), typ="secevent+jwt"),
    "type is a number": raw(b'{"alg":"RS256","kid":"r1","typ":1}', dumps(claims())),
    "encrypted, five parts": f"{HEAD}.{CLAIMS}.{SIGNATURE}.AAAA.AAAA",
    "two parts": f"{HEAD}.{CLAIMS}",
    "no signature": f"{HEAD}.{CLAIMS}.",
    "signature of other claims": f"{HEAD}.{b64(dumps(claims(sub='root')))}.{SIGNATURE}",
    "signature cut short": GOOD[:-2],
    "padded": f"{HEAD}.{CLAIMS}.{SIGNATURE}==",
    "base64 with other last bits": GOOD[:-1] + ("B" if GOOD[-1] != "B" else "C"),
    "plain base64 letters": f"{HEAD}.{CLAIMS}.++++{SIGNATURE[4:]}",
    "white space": f"{HEAD}.{CLAIMS}. {SIGNATURE}",
    "1 MB": signed(claims(padding="x" * 1_000_000)),
    "as deep as the sea": raw(b'{"alg":"RS256","kid":"r1"}', b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
    "claims are a list": signed(b"[]"),
    "claims are no JSON": signed(b"\xff\xfe"),
    "duplicate claims": raw(b'{"alg":"RS256","kid":"r1"}', dumps(claims())[:-1] + b', "sub": "root"}'),
    "duplicate header": raw(b'{"alg":"none","alg":"RS256","kid":"r1"}', dumps(claims())),
    "NaN": raw(b'{"alg":"RS256","kid":"r1"}', dumps(claims())[:-1] + b', "nbf": NaN}'),
    "no issuer": signed(claims(iss=None)),
    "another issuer": signed(claims(iss="https://idp.example.com/")),
    "issuer without its slash": signed(claims(iss=US.rstrip("/"))),
    "issuer is a list": signed(claims(iss=[US])),
    "another audience": signed(claims(aud="another")),
    "no audience": signed(claims(aud=None)),
    "audience that begins like ours": signed(claims(aud="tollhouse2")),
    "audience in an object": signed(claims(aud={"tollhouse": True})),
    "expired": signed(claims(exp=NOW - 60)),
    "never expires": signed(claims(exp=None)),
    "expires as a text": signed(claims(exp=str(NOW + 300))),
    "expires is true": signed(claims(exp=True)),
    "expires beyond all time": signed(claims(exp=1e300)),
    "not yet": signed(claims(nbf=NOW + 61)),
    "issued in the future": signed(claims(iat=NOW + 61)),
    "nobody's": signed(claims(sub=None)),
    "of an empty subject": signed(claims(sub="")),
    "subject is a number": signed(claims(sub=7)),
    "subject with a line break": signed(claims(sub="a\nb")),
    "subject of a thousand letters": signed(claims(sub="a" * 1_000)),
}


def test_there_are_at_least_forty_of_them() -> None:
    assert len(HOSTILE) >= 40
    assert len(set(HOSTILE.values())) == len(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_token_is_refused(name: str) -> None:
    book = trusted()
    assert book.identify(GOOD.encode(), NOW).key_id == "jwt:ci:build-7"
    error = refusal(book, HOSTILE[name])
    assert error.kind is ErrorKind.UNAUTHENTICATED
    assert book.take_wanted() == []
    # Nor is it remembered as good afterwards, and the good one is as good as before.
    assert refusal(book, HOSTILE[name]).kind is ErrorKind.UNAUTHENTICATED
    assert book.identify(GOOD.encode(), NOW).key_id == "jwt:ci:build-7"


def test_the_bounds_of_time_are_those_of_the_leeway() -> None:
    book = trusted()
    for said in (
        claims(exp=NOW - 59),
        claims(nbf=NOW + 60),
        claims(iat=NOW + 60),
        claims(aud=["x", "tollhouse"]),
    ):
        assert book.identify(signed(said).encode(), NOW).key_id == "jwt:ci:build-7"


def test_remembered_token_does_not_outlive_itself() -> None:
    book, token = trusted(), signed(claims(exp=NOW + 10))
    book.identify(token.encode(), NOW)
    assert book.identify(token.encode(), NOW + 69).expires_at == NOW + 10
    assert "expired" in str(refusal(book, token, NOW + 70))


# -- keys that come and go


def test_keys_that_are_not_known_are_no_fault_of_the_caller() -> None:
    book = TrustedIssuers(PublishedKeys)
    book.trust([issuer()])
    assert refusal(book, GOOD).kind is ErrorKind.AUTH_UNAVAILABLE
    book.learn("ci", DOCUMENT, NOW, NOW + 3_600)
    assert book.identify(GOOD.encode(), NOW).key_id == "jwt:ci:build-7"


def test_keys_are_gone_by_for_an_hour_and_no_longer_also_for_remembered_tokens() -> None:
    book, token = trusted(), signed(claims(exp=NOW + 86_400))
    for at in (NOW, NOW + 3_599):
        assert book.identify(token.encode(), at).key_id == "jwt:ci:build-7"
    assert refusal(book, token, NOW + 3_600).kind is ErrorKind.AUTH_UNAVAILABLE


def test_unknown_key_is_asked_for_once_the_keys_are_old_enough_to_have_changed() -> None:
    book, token = trusted(), signed(claims(), EC, alg="ES256", kid="new")
    assert refusal(book, token, NOW + 29).kind is ErrorKind.UNAUTHENTICATED
    assert book.take_wanted() == []
    for _ in range(100):
        assert refusal(book, token, NOW + 30).kind is ErrorKind.AUTH_UNAVAILABLE
    assert book.take_wanted() == ["ci"]
    new = json.dumps({"keys": [{**EC.as_dict(private=False), "kid": "new"}]}).encode()
    book.learn("ci", new, NOW + 31, NOW + 3_600)
    assert book.identify(token.encode(), NOW + 31).key_id == "jwt:ci:build-7"


def test_remembered_token_falls_with_the_key_that_has_signed_it() -> None:
    book = trusted()
    book.identify(GOOD.encode(), NOW)
    book.learn("ci", json.dumps({"keys": [EC.as_dict(private=False)]}).encode(), NOW, NOW + 3_600)
    assert refusal(book, GOOD).kind is ErrorKind.UNAUTHENTICATED


def test_remembered_token_falls_with_what_it_was_good_for() -> None:
    book = trusted()
    book.identify(GOOD.encode(), NOW)
    book.trust([issuer(require={"tenant": "us"})])
    assert refusal(book, GOOD).kind is ErrorKind.UNAUTHENTICATED
    book.trust([])
    assert refusal(book, GOOD).kind is ErrorKind.UNAUTHENTICATED
    book.trust([issuer()])
    assert book.identify(GOOD.encode(), NOW).key_id == "jwt:ci:build-7"


def test_token_without_a_key_id_needs_one_key_that_fits() -> None:
    twins = json.dumps(
        {"keys": [RSA.as_dict(private=False), {**OTHER_RSA.as_dict(private=False), "kid": "r2"}]}
    )
    book = trusted(document=twins.encode())
    assert refusal(book, signed(claims(), kid=None)).kind is ErrorKind.UNAUTHENTICATED
    assert book.identify(GOOD.encode(), NOW).key_id == "jwt:ci:build-7"


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[' + b"{}," * 100 + b"{}]}"]
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        PublishedKeys(document)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_weak_shared_and_damaged_keys_check_nothing() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "w"}, private=True)
    document = {
        "keys": [
            weak.as_dict(private=False),
            OctKey.generate_key(256, {"kid": "s"}).as_dict(private=True),
            {"kty": "RSA", "n": "AQAB", "e": "!!", "kid": "d"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "p"},
            {"kty": ["RSA"]},
            {"kty": "RSA", "crv": {}},
            7,
        ]
    }
    assert len(PublishedKeys(json.dumps(document).encode())) == 0


# -- whose it is


def test_callers_never_get_anothers_identity_in_a_million_pairs() -> None:
    """Two tokens that share everything but a few letters, in any order and again and again."""

    class Agreeing:
        """Keys that find every signature good: the cache alone is looked at."""

        def has(self, key_id: str) -> bool:
            return True

        def check(self, algorithm: str, key_id: str | None, signed: bytes, signature: bytes) -> bool:
            return True

    book = TrustedIssuers(lambda _: Agreeing())
    book.trust(
        [
            issuer(),
            Issuer(
                name="other", issuer="https://other.example/", audiences=("tollhouse",), algorithms=("RS256",)
            ),
        ]
    )
    for name in ("ci", "other"):
        book.learn(name, b"", NOW, NOW + 3_600)
    head = b64(b'{"alg":"RS256"}')

    def token(iss: str, subject: str) -> bytes:
        return f"{head}.{b64(dumps(claims(iss=iss, sub=subject)))}.{SIGNATURE}".encode()

    names = {US: "ci", "https://other.example/": "other"}
    subjects = [f"person-{number:04}" for number in range(1_000)]
    tokens = [
        (token(iss, subject), f"jwt:{name}:{subject}") for iss, name in names.items() for subject in subjects
    ]
    chance = random.Random(7)
    identify, wrong = book.identify, 0
    for _ in range(500_000):
        (text, whose), (other, whose_other) = (
            tokens[int(chance.random() * 2_000)],
            tokens[int(chance.random() * 2_000)],
        )
        wrong += identify(text, NOW).key_id != whose
        wrong += identify(other, NOW).key_id != whose_other
    assert wrong == 0


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("gpt-4o") | st.just("search"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    said=st.dictionaries(st.sampled_from(["sub", "team", "r", "t", "a", "a.b", "n"]), JSON_VALUES),
    team=st.sampled_from([None, "team", "a.b", "a"]),
)
def test_whatever_claims_say_a_principal_is_sound_or_there_is_none(
    said: dict[str, Any], team: str | None
) -> None:
    names = ClaimNames(team=team, routes="r", tags="t", name="n")
    here = issuer(claims=names, limits=Limits(concurrency=3), tags=("ci",))
    try:
        caller = principal_of(here, said, NOW)
    except TokenRefused:
        return
    assert caller.key_id == f"jwt:ci:{said['sub']}"
    assert said["sub"].isprintable()
    assert caller.limits is here.limits
    for words in (caller.routes, caller.tags):
        assert all(isinstance(word, str) and word and word.isascii() and " " not in word for word in words)
    assert caller.routes == ("gpt-*",) or set(caller.routes) <= _words(said["r"])
    assert caller.tags[0] == "ci"
    if caller.team is not None:
        found = said.get(team or "", said["a"].get("b") if isinstance(said.get("a"), dict) else None)
        assert caller.team == found


def _words(value: Any) -> set[str]:
    return set(value.split() if isinstance(value, str) else value)


@given(st.binary(max_size=200) | st.text(alphabet="eyJ.AQ-_=0", max_size=60).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(text: bytes) -> None:
    looks_like_token(text)
    try:
        read_token(text)
    except TokenRefused:
        return
    raise AssertionError("nothing of this has an issuer")


def test_subjects_of_two_issuers_are_two_callers() -> None:
    other = Issuer(name="ci2", issuer="https://two.example/", audiences=("tollhouse",), algorithms=("RS256",))
    book = trusted(issuer(), other)
    one = book.identify(GOOD.encode(), NOW)
    two = book.identify(signed(claims(iss="https://two.example/")).encode(), NOW)
    assert one.tenant != two.tenant
    assert two.routes == ()


def test_a_token_of_the_longest_length_is_taken_and_one_byte_more_is_not() -> None:
    room = LONGEST_TOKEN_BYTES
    sizes = {len(signed(claims(p="x" * size))): size for size in range(11_500, 11_900, 1)}
    longest = max(length for length in sizes if length <= room)
    assert isinstance(trusted().identify(signed(claims(p="x" * sizes[longest])).encode(), NOW), Principal)
    over = min((length for length in sizes if length > room), default=None)
    assert over is not None
    assert "longer" in str(refusal(trusted(), signed(claims(p="x" * sizes[over]))))


def test_cache_is_bounded() -> None:
    class Agreeing:
        def has(self, key_id: str) -> bool:
            return True

        def check(self, algorithm: str, key_id: str | None, signed: bytes, signature: bytes) -> bool:
            return True

    book = TrustedIssuers(lambda _: Agreeing())
    book.trust([issuer()])
    book.learn("ci", b"", NOW, NOW + 3_600)
    head = b64(b'{"alg":"RS256"}')
    for number in itertools.islice(itertools.count(), 12_000):
        said = b64(dumps(claims(sub=hashlib.sha256(str(number).encode()).hexdigest())))
        book.identify(f"{head}.{said}.AAAA".encode(), NOW)
    assert len(book._known[US].bearers) <= 10_000
