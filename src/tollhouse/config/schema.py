"""The JSON Schema and the reference page of `tollhouse.yaml`, written from the types in `tree.py`.

Both are documents in `docs/reference/`; a test compares them with what is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec
from msgspec import inspect

from .tree import Config

EXAMPLE: Final = """\
version: 1
server:
  listen: 127.0.0.1:8080
  workers: 1
  trusted_proxies: [10.1.0.0/16]
  drain_s: 30
  max_body_bytes: 33554432
  max_buffered_bytes: 268435456
  max_memory_bytes: 1073741824
  snapshot_max_age_hours: 24
  heartbeat_after_s: 15
  cors: {origins: [https://app.example], max_age_s: 600}
store: sqlite:///tollhouse.db
shared: memory
accept_unshared_limits: false
journal: {folder: tollhouse-journal, durability: process, max_bytes: 1073741824}
providers:
  openai:
    kind: openai
    credential: [env:OPENAI_API_KEY, env:OPENAI_SECOND_KEY]
    breaker:
      consecutive_failures: 5
      failure_percent: 50
      minimum_calls: 20
      window_s: 30
      open_s: 1
      longest_open_s: 8
      most_ejected_percent: 50
    health_check: {path: /, every_s: 10, timeout_s: 2}
  openai-eu:
    kind: openai
    credential: file:secrets/openai-eu
    base_url: https://eu.api.openai.com/v1
    dialects: [openai_chat]
    proxy: http://proxy.internal:3128
    ca_file: proxy-ca.pem
    foreign_ids: refuse
  azure:
    {kind: azure_openai, base_url: https://example.openai.azure.com, credential: env:AZURE, api_version: 2024-10-21}
  vertex: {kind: vertex, credential: file:secrets/vertex.json, project: example, region: europe-west4}
routes:
  gpt-4o:
    deployments:
      - {provider: openai, model: gpt-4o-2024-08-06, weight: 3, max_concurrency: 200}
      - {provider: openai-eu, model: gpt-4o-2024-08-06, dialect: openai_chat, max_output_tokens: 16384}
      - {provider: openai-eu, model: gpt-4o, credential: env:OPENAI_EU_SECOND_KEY, weight: 0}
      - provider: azure
        model: gpt-4o
        context_window_tokens: 128000
        price: {input_per_million_usd: 2.5, output_per_million_usd: 10}
    strategy: weighted
    fallbacks: {outage: [openai/gpt-4.1], rate_limit: [openai/gpt-4.1], context_overflow: [long], content_filter: []}
    retry: {max_attempts: 3, replay: until_headers, longest_wait_s: 30}
    timeouts: {connect_s: 3, tls_s: 5, first_header_s: 60, first_token_s: 60, idle_s: 60, total_s: 600}
    longest_timeouts: {connect_s: 3, tls_s: 5, first_header_s: 120, first_token_s: 120, idle_s: 120, total_s: 1800}
    heartbeat_after_s: 15
    on_disconnect: cancel
    queue: {length: 100, age_s: 10}
    mirror: {route: long, share: 0.01, max_concurrency: 4}
    limits: {requests_per_minute: 6000, concurrency: 500}
    budget: {usd: 5000, period: month, hard: false}
    unknown_parameters: pass
  long:
    deployments: [{provider: vertex, model: gemini-2.5-pro}]
  openai/*:
    deployments: [{provider: openai, model: "*"}]
teams:
  search:
    limits: {requests_per_minute: 600, tokens_per_minute: 1000000, concurrency: 50}
    budget:
      {usd: 500, period: month, timezone: Europe/Berlin, hard: true, on_low_budget: refuse, alerts_percent: [80, 100]}
    routes: [gpt-4o]
tags:
  nightly: {limits: {output_tokens_per_minute: 200000}, budget: {usd: 20, period: day}}
end_users:
  limits: {requests_per_minute: 20, input_tokens_per_minute: 100000, max_body_bytes: 1048576}
  budget: {usd: 1, period: rolling_30d}
keys:
  - name: ci
    sha256: 5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a
    routes: ["gpt-*"]
    team: search
    expires: 2027-12-31
    networks: [10.0.0.0/8, "fd00::/8"]
    hours: [Mon-Fri 08:00-18:00 Europe/Berlin]
    doors: [chat, embeddings]
    tags: [nightly]
    max_output_tokens: 4000
    metadata: {owner: alice@example.org}
secrets: {refresh_s: 300}
identity:
  jwt:
    builds:
      issuer: https://token.actions.example.com
      audience: [tollhouse]
      jwks_url: https://token.actions.example.com/.well-known/jwks
      ca_file: builds-ca.pem
      algorithms: [RS256, ES256]
      leeway_s: 60
      claims: {subject: sub, name: workflow, team: org.team, routes: models, tags: labels}
      require: {repository_owner: example}
      routes: [gpt-4o]
      team: search
      tags: [nightly]
      limits: {requests_per_minute: 60}
      budget: {usd: 5, period: day}
    cluster: {issuer: https://kubernetes.default.svc, audience: [tollhouse], jwks_file: keys.json, routes: ["*"]}
  mtls:
    header: x-client-cert
    subjects:
      ci: {uri: spiffe://example.org/ci, team: search, routes: [gpt-4o], tags: [nightly]}
      reports: {dns: reports.example.org, subject: "CN=reports,O=Example", key: cfg-ci}
      old:
        sha256: 0f0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a
        routes: [gpt-4o]
        limits: {concurrency: 2}
        budget: {usd: 1, period: day}
  oidc:
    issuer: https://login.example.org
    client_id: tollhouse-cli
    allowed_domains: [example.org]
    roles: [{group: platform, role: admin}, {group: search-leads, role: team_admin, team: search}]
    groups_claim: groups
    scopes: [openid, email, profile]
    jwks_url: https://login.example.org/keys
    ca_file: login-ca.pem
    algorithms: [RS256]
observability: {log: json, content: none, prometheus: true}
fetch: {allow: [10.0.0.0/8], max_bytes: 20971520, timeout_s: 15}
"""
"""A file with every key in it."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_INTRODUCTION: Final = """\
# Configuration

Written from the types in `src/tollhouse/config/tree.py`; do not edit this page.

Everything stands in one file, `tollhouse.yaml`. It is YAML 1.2 (core schema): only `true` and `false` are booleans,
so `no` and `on` are texts, and JSON is YAML too. A key that is not on this page is an error, as is a key written
twice; `tollhouse check` tells all errors at once, each with its path and line. A file has at most 4 MiB. Secrets
never stand in it, only references to them: `env:NAME` is an environment variable, `file:PATH` a file of one line,
`store:NAME` one of the house's own encrypted store; [the guide to secrets](../guides/secrets.md) has them all. Relative
paths begin at the folder of the file.

`tollhouse.schema.json` beside this page is the same as a JSON Schema, for editors.

## An example with every key

```yaml
"""


def json_schema() -> str:
    """The JSON Schema (draft 2020-12) of the configuration, as the text of its file."""
    schema = {"$schema": _DIALECT, "title": "tollhouse.yaml"} | msgspec.json.schema(Config)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = " ".join(definition["description"].split())
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def reference_page() -> str:
    """The reference page in Markdown, as the text of its file."""
    root = inspect.type_info(Config)
    assert isinstance(root, inspect.StructType)
    sections = "".join(_section(path, kind) for path, kind in _structs("", root))
    return f"{_INTRODUCTION}{EXAMPLE}```\n{sections}"


def _structs(path: str, kind: inspect.StructType) -> Iterator[tuple[str, inspect.StructType]]:
    """The struct and those in its fields, with their paths, from the top down."""
    yield path, kind
    for field in kind.fields:
        place = f"{path}.{field.name}" if path else field.name
        for form in _forms(field.type):
            match form:
                case inspect.StructType() as inner:
                    yield from _structs(place, inner)
                case inspect.DictType(value_type=inspect.StructType() as inner):
                    yield from _structs(f"{place}.NAME", inner)
                case inspect.VarTupleType(item_type=inspect.StructType() as inner):
                    yield from _structs(f"{place}[]", inner)


def _section(path: str, kind: inspect.StructType) -> str:
    title = f"`{path}`" if path else "The whole file"
    about = " ".join((kind.cls.__doc__ or "").split())
    rows = "".join(_row(field) for field in kind.fields)
    return f"\n## {title}\n\n{about}\n\n| key | type | default | what it is |\n|---|---|---|---|\n{rows}"


def _row(field: inspect.Field) -> str:
    assert isinstance(field.type, inspect.Metadata)
    description = (field.type.extra_json_schema or {})["description"]
    cells = (f"`{field.name}`", _type_words(field.type), _default_words(field), description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _forms(kind: inspect.Type) -> list[inspect.Type]:
    """The types a value may have, without their notes, and without the null that stands for a key left away."""
    match kind:
        case inspect.Metadata():
            return _forms(kind.type)
        case inspect.UnionType():
            return [
                form for part in kind.types for form in _forms(part) if not isinstance(form, inspect.NoneType)
            ]
    return [kind]


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type without its notes, and without the null that stands for a key left away."""
    match kind:
        case inspect.Metadata():
            return _bare(kind.type)
        case inspect.UnionType():
            return _bare(kind.types[0])
    return kind


def _type_words(kind: inspect.Type) -> str:
    return ", or ".join(_form_words(form) for form in _forms(kind))


def _form_words(form: inspect.Type) -> str:  # noqa: PLR0911 - one line a kind is the table
    match form:
        case inspect.StructType():
            return "keys, see below"
        case inspect.DictType():
            return "keys by name, see below"
        case inspect.VarTupleType(item_type=item):
            return "list, see below" if isinstance(_bare(item), inspect.StructType) else "list of texts"
        case inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case inspect.EnumType(cls=cls):
            return " or ".join(f"`{member.value}`" for member in cls)
        case inspect.IntType() as number:
            return f"whole number{_bounds(number)}"
        case inspect.FloatType() as number:
            return f"number{_bounds(number)}"
        case inspect.BoolType():
            return "`true` or `false`"
    return "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f"more than {kind.gt}" if kind.gt is not None else f"at least {kind.ge}"
    return f", {low}, at most {kind.le}"


def _default_words(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(_bare(field.type), inspect.StructType):
        return "the defaults below"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default in ((), {}):
        return "none"
    return f"`{_written(default)}`"


def _written(default: object) -> str:
    """A default as one would write it in the file."""
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"{default:g}" if isinstance(default, float) else str(default)
