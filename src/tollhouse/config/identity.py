"""The part of the tree that says who is let in by somebody else's word: by tokens, by certificates, by single sign-on.

See `tree` for what the fields mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from tollhouse.core import tokens
from tollhouse.core.problem import ConfigProblem, Severity

from .address import is_private_looking, parse_base_url
from .allowances import Budget, Limits, budget_of, limits_of
from .findings import path_of
from .values import Glob, Name, Path

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
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


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is let in besides those with keys of the house."""

    jwt: Annotated[
        Mapping[Name, JwtIssuer],
        Meta(max_length=16, description="Issuers of tokens that open the doors of models, by name."),
    ] = {}


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
    )


def identity_problems(identity: Identity) -> list[ConfigProblem]:
    """What cannot work."""
    problems: list[ConfigProblem] = []
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


def _in_clear(path: str, written: JwtIssuer) -> list[ConfigProblem]:
    origin = parse_base_url((written.jwks_url or written.issuer).partition("?")[0]).origin
    if origin.scheme == "https" or is_private_looking(origin.host):
        return []
    message = "Keys are fetched by https only: whoever stands between could put their own in their place."
    return [ConfigProblem(path=path, message=message, hint="Write https://.")]
