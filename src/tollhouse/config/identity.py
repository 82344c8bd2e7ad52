"""The part of the tree that says who is let in by somebody else's word: by tokens, by certificates, by single sign-on.

See `tree` for what the fields mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from tollhouse.core import tokens
from tollhouse.core.authority import TEAM_ROLES, Grant, Role
from tollhouse.core.certificates import CertificateSubject
from tollhouse.core.problem import ConfigProblem, Severity
from tollhouse.core.sign_on import SignOn

from .address import is_private_looking, parse_base_url
from .allowances import Budget, Limits, budget_of, limits_of
from .findings import path_of
from .values import Glob, Name, Path

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
]
ClaimName = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]+$",
        max_length=200,
        extra={"expected": "the name of a claim, or a path of names with dots between them"},
    ),
]


def _check_keys_url(text: str) -> None:
    """Like a base URL, and may have a query."""
    parse_base_url(text.partition("?")[0])


def _check_fingerprint(text: str) -> None:
    if re.fullmatch("[0-9a-f]{64}", text) is None:
        raise ValueError("A fingerprint has 64 hex digits in lower case, without colons.")


Fingerprint = Annotated[
    str,
    Meta(
        max_length=64,
        extra={"check": _check_fingerprint, "expected": "64 hex digits in lower case, without colons"},
    ),
]
KeysUrl = Annotated[
    str, Meta(max_length=2048, extra={"check": _check_keys_url, "expected": "an http or https URL"})
]
IssuerName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        extra={"check": parse_base_url, "expected": "an http or https URL"},
    ),
]
Audience = Annotated[str, Meta(min_length=1, max_length=2048)]
Domain = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9-]+(?:\.[a-z0-9-]+)*$",
        max_length=189,
        extra={"expected": "a domain in lower case, such as example.org"},
    ),
]


class JwtClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which claim says what. `a.b` is the claim of that name, or else `b` within `a`."""

    subject: Annotated[ClaimName, Meta(description="Whose the token is.")] = "sub"
    name: Annotated[ClaimName | None, Meta(description="What the books call its bearer.")] = None
    team: Annotated[ClaimName | None, Meta(description="The team, a text.")] = None
    routes: Annotated[
        ClaimName | None,
        Meta(description="Globs over route names: a list, or one text with spaces between them."),
    ] = None
    tags: Annotated[ClaimName | None, Meta(description="Labels of every call: a list, or one text.")] = None


class JwtIssuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whose signed tokens (JWT) open the doors of models. Each subject counts as one caller."""

    issuer: Annotated[IssuerName, Meta(description="What stands in the tokens' `iss`, letter by letter.")]
    audience: Annotated[
        Annotated[tuple[Audience, ...], Meta(min_length=1, max_length=16)],
        Meta(description="What the tokens' `aud` must name: one of these."),
    ]
    jwks_url: Annotated[
        KeysUrl | None,
        Meta(
            description="Where the issuer publishes its keys; https, unless the host is of your own network. "
            "Without it and without `jwks_file` its discovery document at `/.well-known/openid-configuration` says so."
        ),
    ] = None
    jwks_file: Annotated[
        Path | None,
        Meta(description="A file with its keys instead. Relative to the folder of the configuration file."),
    ] = None
    ca_file: Annotated[
        Path | None,
        Meta(
            description="A PEM file of certificate authorities to trust on the way there, not the system's."
        ),
    ] = None
    algorithms: Annotated[
        Annotated[tuple[Algorithm, ...], Meta(min_length=1, max_length=10)],
        Meta(description="How its tokens may be signed; in no other way, whatever they say."),
    ] = ("RS256", "ES256")
    leeway_s: Annotated[
        float, Meta(ge=0, le=300, description="How far its clock and ours may be apart, in seconds.")
    ] = 60.0
    claims: Annotated[JwtClaims, Meta(description="Which claim says what.")] = JwtClaims()
    require: Annotated[
        Mapping[ClaimName, Audience],
        Meta(
            max_length=20,
            description="Claims that must have these values, such as the organisation: anybody may have a token of an "
            "issuer that serves many.",
        ),
    ] = {}
    routes: Annotated[
        tuple[Glob, ...],
        Meta(max_length=1000, description="Globs over route names, for tokens that do not say any."),
    ] = ()
    team: Annotated[Name | None, Meta(description="The team of tokens that do not say one.")] = None
    tags: Annotated[
        tuple[Name, ...], Meta(max_length=50, description="Labels of every call with such a token.")
    ] = ()
    limits: Annotated[Limits, Meta(description="Of each subject.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="Of each subject.")] = None


class MtlsSubject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who shows a client certificate. Of `uri`, `dns`, `subject` and `sha256` all that stand here must be so;
    at least one does."""

    uri: Annotated[
        Audience | None,
        Meta(description="A URI of its alternative names, such as `spiffe://example.org/ci`."),
    ] = None
    dns: Annotated[Audience | None, Meta(description="A host of its alternative names.")] = None
    subject: Annotated[
        Audience | None, Meta(description="Its subject as RFC 4514 writes it, such as `CN=ci,O=Example`.")
    ] = None
    sha256: Annotated[
        Fingerprint | None,
        Meta(description="Its fingerprint: SHA-256 of the certificate in DER, 64 hex digits in lower case."),
    ] = None
    key: Annotated[
        Name | None,
        Meta(
            description="The id of a virtual key that it stands for, with everything that is said of that. Without it "
            "it is a caller of its own, of whom the rest here is said."
        ),
    ] = None
    team: Annotated[Name | None, Meta(description="Whose limits and budget it shares.")] = None
    routes: Annotated[
        tuple[Glob, ...], Meta(max_length=1000, description="Globs over route names it may use.")
    ] = ()
    tags: Annotated[tuple[Name, ...], Meta(max_length=50, description="Labels of every call with it.")] = ()
    limits: Annotated[Limits, Meta(description="How much may be used with it.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="How much money may be spent with it.")] = None


class Mtls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Callers known by a client certificate that a proxy of `server.trusted_proxies` has checked and tells of."""

    header: Annotated[
        Literal["x-client-cert", "x-forwarded-client-cert"],
        Meta(
            description="Where it tells of it: `x-client-cert` is the certificate itself, in PEM and percent-encoded, "
            "as nginx has it in `$ssl_client_escaped_cert`; `x-forwarded-client-cert` is Envoy's."
        ),
    ]
    subjects: Annotated[
        Mapping[Name, MtlsSubject],
        Meta(min_length=1, max_length=1000, description="Who is let in, by name; the first that fits."),
    ]


class OidcRole(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that a group holds."""

    group: Annotated[Audience, Meta(description="As the provider names it.")]
    role: Annotated[
        Role, Meta(description="What its people are here; `team_admin` and `member` are so in a team.")
    ]
    team: Annotated[Name | None, Meta(description="Where, for the roles of teams.")] = None


class Oidc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Single sign-on for people who administer: `tollhouse login`."""

    issuer: Annotated[
        IssuerName,
        Meta(description="The OpenID provider, as its discovery document and its tokens name it."),
    ]
    client_id: Annotated[
        Audience,
        Meta(
            description="What the provider knows this gateway's command line by: a public client with PKCE."
        ),
    ]
    allowed_domains: Annotated[
        tuple[Domain, ...],
        Meta(
            min_length=1,
            max_length=100,
            description="Domains of the e-mail addresses that are let in; the provider must have verified them.",
        ),
    ]
    roles: Annotated[
        tuple[OidcRole, ...],
        Meta(
            max_length=1000,
            description="Which groups hold which roles, for as long as a session lasts. Whoever holds none, neither so "
            "nor by the house's own books, does not come in.",
        ),
    ] = ()
    groups_claim: Annotated[ClaimName, Meta(description="Where the provider names the groups.")] = "groups"
    scopes: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...],
        Meta(max_length=20, description="What the provider is asked for."),
    ] = ("openid", "email", "profile")
    jwks_url: Annotated[
        KeysUrl | None,
        Meta(description="Where the provider publishes its keys, if not where its discovery document says."),
    ] = None
    ca_file: Annotated[
        Path | None,
        Meta(
            description="A PEM file of certificate authorities to trust on the way there, not the system's."
        ),
    ] = None
    algorithms: Annotated[
        Annotated[tuple[Algorithm, ...], Meta(min_length=1, max_length=10)],
        Meta(description="How its word may be signed."),
    ] = ("RS256", "ES256")


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is let in besides those with keys of the house."""

    jwt: Annotated[
        Mapping[Name, JwtIssuer],
        Meta(max_length=16, description="Issuers of tokens that open the doors of models, by name."),
    ] = {}
    mtls: Annotated[
        Mtls | None, Meta(description="Callers known by the client certificates they show to a proxy.")
    ] = None
    oidc: Annotated[Oidc | None, Meta(description="Single sign-on for people who administer.")] = None


def issuers_of(identity: Identity) -> tuple[tokens.Issuer, ...]:
    """Those whose tokens are taken, as the house knows them."""
    return tuple(
        tokens.Issuer(
            name=name,
            issuer=written.issuer,
            audiences=written.audience,
            algorithms=written.algorithms,
            leeway_s=written.leeway_s,
            claims=tokens.ClaimNames(
                subject=written.claims.subject,
                name=written.claims.name,
                team=written.claims.team,
                routes=written.claims.routes,
                tags=written.claims.tags,
            ),
            require=written.require,
            routes=written.routes,
            team=written.team,
            tags=written.tags,
            limits=limits_of(written.limits),
            budget=budget_of(written.budget),
        )
        for name, written in identity.jwt.items()
    )


def subjects_of(mtls: Mtls) -> tuple[CertificateSubject, ...]:
    """Those who are known by certificates, as the house knows them."""
    return tuple(
        CertificateSubject(
            name=name,
            uri=written.uri,
            dns=written.dns,
            subject=written.subject,
            sha256=written.sha256,
            key=written.key,
            team=written.team,
            routes=written.routes,
            tags=written.tags,
            limits=limits_of(written.limits),
            budget=budget_of(written.budget),
        )
        for name, written in mtls.subjects.items()
    )


def sign_on_of(oidc: Oidc) -> SignOn:
    """The provider that people come from, as the house knows it."""
    roles: dict[str, tuple[Grant, ...]] = {}
    for one in oidc.roles:
        roles[one.group] = (*roles.get(one.group, ()), Grant(one.role, one.team))
    return SignOn(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        allowed_domains=oidc.allowed_domains,
        groups_claim=oidc.groups_claim,
        roles=roles,
        algorithms=oidc.algorithms,
    )


def rooted_identity(identity: Identity, rooted: Callable[[str], str]) -> Identity:
    """The same with a folder before its relative paths."""
    return replace(
        identity,
        jwt={
            name: replace(
                written,
                jwks_file=rooted(written.jwks_file) if written.jwks_file is not None else None,
                ca_file=rooted(written.ca_file) if written.ca_file is not None else None,
            )
            for name, written in identity.jwt.items()
        },
        oidc=replace(identity.oidc, ca_file=rooted(identity.oidc.ca_file))
        if identity.oidc is not None and identity.oidc.ca_file is not None
        else identity.oidc,
    )


def identity_problems(identity: Identity, *, has_proxies: bool) -> list[ConfigProblem]:
    """What cannot work. `has_proxies`: whether there is anybody whose word on certificates is believed."""
    problems: list[ConfigProblem] = []
    if identity.mtls is not None:
        problems += _mtls_problems(identity.mtls, has_proxies=has_proxies)
    if identity.oidc is not None:
        problems += _oidc_problems(identity.oidc)
    seen: dict[str, str] = {}
    for name, written in identity.jwt.items():
        path = path_of(("identity", "jwt", name))
        if written.jwks_url is not None and written.jwks_file is not None:
            message = "The keys of the issuer come from one place, and two are written."
            hint = "Keep `jwks_url` or `jwks_file`."
            problems.append(ConfigProblem(path=f"{path}.jwks_file", message=message, hint=hint))
        if (first := seen.setdefault(written.issuer, name)) != name:
            message = f"{first!r} is the same issuer."
            hint = "Write both audiences there; an issuer's tokens make callers in one way."
            problems.append(ConfigProblem(path=f"{path}.issuer", message=message, hint=hint))
        if written.jwks_file is None:
            problems += _in_clear(f"{path}.{'jwks_url' if written.jwks_url else 'issuer'}", written)
        if not written.routes and written.claims.routes is None:
            message = "Its tokens have no routes and may use none."
            hint = 'Write `routes: ["*"]` for all, or `claims: {routes: …}`.'
            problems.append(ConfigProblem(path=path, message=message, hint=hint, severity=Severity.WARNING))
    return problems


def _mtls_problems(mtls: Mtls, *, has_proxies: bool) -> Iterator[ConfigProblem]:
    if not has_proxies:
        message = "Nobody's word on certificates is believed: there are no trusted proxies."
        hint = "Write the addresses of your proxies into `server.trusted_proxies`."
        yield ConfigProblem(path="identity.mtls", message=message, hint=hint)
    for name, written in mtls.subjects.items():
        path = path_of(("identity", "mtls", "subjects", name))
        if not any((written.uri, written.dns, written.subject, written.sha256)):
            message = "It does not say by which certificate it is known."
            hint = "Write at least one of `uri`, `dns`, `subject` and `sha256`."
            yield ConfigProblem(path=path, message=message, hint=hint)
        if written.key is not None and written != _only_key(written):
            message = "It stands for a key, and what is written beside that counts for nothing."
            hint = "Keep `key` alone, or leave it out."
            yield ConfigProblem(path=f"{path}.key", message=message, hint=hint)
        if written.key is None and not written.routes:
            message, hint = "It has no routes and may use none.", 'Write `routes: ["*"]` for all.'
            yield ConfigProblem(path=path, message=message, hint=hint, severity=Severity.WARNING)


def _oidc_problems(oidc: Oidc) -> Iterator[ConfigProblem]:
    yield from _in_clear("identity.oidc.issuer", oidc)
    for position, one in enumerate(oidc.roles):
        if (one.role in TEAM_ROLES) != (one.team is not None):
            path = f"identity.oidc.roles[{position}].team"
            if one.team is None:
                message, hint = f"The role {one.role.value} is held in a team.", "Write `team: …`."
            else:
                message, hint = f"The role {one.role.value} is held in the whole house.", "Leave it out."
            yield ConfigProblem(path=path, message=message, hint=hint)
    if "openid" not in oidc.scopes:
        hint = "Write it into the list."
        yield ConfigProblem(path="identity.oidc.scopes", message="`openid` is missing.", hint=hint)


def _only_key(written: MtlsSubject) -> MtlsSubject:
    return MtlsSubject(
        uri=written.uri,
        dns=written.dns,
        subject=written.subject,
        sha256=written.sha256,
        key=written.key,
    )


def _in_clear(path: str, written: JwtIssuer | Oidc) -> list[ConfigProblem]:
    origin = parse_base_url((written.jwks_url or written.issuer).partition("?")[0]).origin
    if origin.scheme == "https" or is_private_looking(origin.host):
        return []
    message = "Keys are fetched by https only: whoever stands between could put their own in their place."
    return [ConfigProblem(path=path, message=message, hint="Write https://.")]
