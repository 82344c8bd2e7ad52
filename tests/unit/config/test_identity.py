"""What cannot work under `identity` is said at the start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.identity import issuers_of, sign_on_of, subjects_of
from tollhouse.config.load import load
from tollhouse.config.tree import Config
from tollhouse.core.authority import Grant, Role
from tollhouse.core.problem import ConfigInvalid, Severity

CI = {"issuer": "https://ci.example.org", "audience": ["tollhouse"], "routes": ["*"]}
OIDC = {"issuer": "https://login.example.org", "client_id": "cli", "allowed_domains": ["example.org"]}


def compiled(identity: dict[str, Any], **server: Any) -> Any:
    tree = {"version": 1, "identity": identity, "server": server}
    return compile_config(msgspec.convert(tree, Config), {}, folder="/etc/tollhouse")


def mtls(**subject: Any) -> dict[str, Any]:
    return {"mtls": {"header": "x-client-cert", "subjects": {"ci": subject}}}


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ({"jwt": {"a": CI, "b": CI}}, "identity.jwt.b.issuer"),
        ({"jwt": {"a": {**CI, "jwks_url": "https://x.org/k", "jwks_file": "k"}}}, "identity.jwt.a.jwks_file"),
        ({"jwt": {"a": {**CI, "issuer": "http://ci.example.org"}}}, "identity.jwt.a.issuer"),
        ({"jwt": {"a": {**CI, "jwks_url": "http://ci.example.org/k?x"}}}, "identity.jwt.a.jwks_url"),
        (mtls(routes=["*"]), "identity.mtls.subjects.ci"),
        (mtls(dns="a", key="cfg-a", routes=["*"]), "identity.mtls.subjects.ci.key"),
        ({"oidc": {**OIDC, "issuer": "http://login.example.org"}}, "identity.oidc.issuer"),
        ({"oidc": {**OIDC, "scopes": ["email"]}}, "identity.oidc.scopes"),
        ({"oidc": {**OIDC, "roles": [{"group": "g", "role": "member"}]}}, "identity.oidc.roles[0].team"),
        (
            {"oidc": {**OIDC, "roles": [{"group": "g", "role": "admin", "team": "t"}]}},
            "identity.oidc.roles[0].team",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_path(identity: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(identity, trusted_proxies=["10.0.0.0/8"])
    assert [p.path for p in caught.value.problems if p.severity is Severity.ERROR] == [path]


def test_certificates_need_a_proxy_that_is_believed() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(mtls(dns="a", routes=["*"]))
    assert "identity.mtls" in {problem.path for problem in caught.value.problems}
    assert compiled(mtls(dns="a", routes=["*"]), trusted_proxies=["10.0.0.0/8"]).identity.mtls is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"jwt": {"a": {**CI, "algorithms": ["HS256"]}}},
        {"jwt": {"a": {**CI, "algorithms": ["none"]}}},
        {"jwt": {"a": {**CI, "audience": []}}},
        {"jwt": {"a": {**CI, "jwks_url": "ftp://ci.example.org"}}},
        {"jwt": {"a:b": CI}},
        {"mtls": {"header": "authorization", "subjects": {"ci": {"dns": "a"}}}},
        {"mtls": {"header": "x-client-cert", "subjects": {"ci": {"sha256": "AB" * 32}}}},
        {"oidc": {**OIDC, "allowed_domains": []}},
        {"oidc": {**OIDC, "allowed_domains": ["*"]}},
        {"oidc": {**OIDC, "client_secret": "x"}},
    ],
)
def test_what_is_no_value_is_refused(wrong: dict[str, Any]) -> None:
    text = msgspec.json.encode({"version": 1, "identity": wrong}).decode()
    with pytest.raises(ConfigInvalid):
        load(text)


def test_warns_of_callers_who_may_use_nothing() -> None:
    snapshot = compiled({"jwt": {"a": {**CI, "routes": []}}, **mtls(dns="a")}, trusted_proxies=["10.0.0.0/8"])
    assert {p.path for p in snapshot.warnings} >= {"identity.jwt.a", "identity.mtls.subjects.ci"}


def test_house_knows_them_as_they_are_written() -> None:
    identity = compiled(
        {
            "jwt": {"a": {**CI, "jwks_file": "keys.json", "claims": {"team": "org.team"}}},
            **mtls(dns="a", routes=["*"], limits={"concurrency": 2}),
            "oidc": {
                **OIDC,
                "ca_file": "/ca.pem",
                "roles": [{"group": "g", "role": "admin"}, {"group": "g", "role": "auditor"}],
            },
        },
        trusted_proxies=["10.0.0.0/8"],
    ).identity
    (issuer,) = issuers_of(identity)
    assert (issuer.name, issuer.audiences, issuer.claims.team) == ("a", ("tollhouse",), "org.team")
    assert identity.jwt["a"].jwks_file == "/etc/tollhouse/keys.json"
    (subject,) = subjects_of(identity.mtls)
    assert (subject.name, subject.limits.concurrency) == ("ci", 2)
    assert identity.oidc.ca_file == "/ca.pem"
    assert sign_on_of(identity.oidc).roles == {"g": (Grant(Role.ADMIN), Grant(Role.AUDITOR))}
