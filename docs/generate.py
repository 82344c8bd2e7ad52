"""`make docs`: writes what can be read off the code. A page that is stale fails the tests."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeGuard

import msgspec

from tollhouse.absorption import PACKS
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.main import build
from tollhouse.cli.settings import VARIABLES
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.schema import json_schema, reference_page
from tollhouse.config.snapshot import Upstream
from tollhouse.config.tree import Config
from tollhouse.core.errors import ErrorKind, status_of
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Deployment
from tollhouse.pipeline import Door
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import ClientCall, Dialect
from tollhouse.ports.provider import AuthScheme, Provider, Traits
from tollhouse.stages.translate import find_way
from tollhouse.surface.admin import ADMIN_PATHS
from tollhouse.surface.http.doors import DOORS, OPEN_DOORS, PATTERNS, PREFIXES

FOLDER: Final = Path(__file__).parent / "reference"
README: Final = Path(__file__).parents[1] / "README.md"
TABLE_BEGINS: Final = "<!-- written by docs/generate.py -->\n"
TABLE_ENDS: Final = "<!-- end -->\n"
PLUGINS: Final = load_plugins([])
"""Our own: what happens to be installed beside us is no part of the reference."""


_ERRORS_HEAD: Final = """# Errors

Errors come in the shape of the caller's dialect. `code` is stable, `source` says whose side failed, `hint` what to do:

```json
{"error": {"type": "invalid_request_error", "code": "route_not_found", "message": "There is no route named 'gpt-5'.",
           "param": "model", "request_id": "req_…", "source": "gateway", "hint": "Did you mean 'gpt-4o'?",
           "docs": "docs/reference/errors.md#route_not_found"}}
```

An upstream's 4xx keeps its status; its own code stands in `upstream_code`. In a stream that has begun, the same object
comes as a frame `data: {"error": …}`, and no terminal event follows.
"""


def errors() -> str:
    """Every code, its status and what it means."""
    meanings = {
        ErrorKind.INVALID_REQUEST: (
            "The request cannot be taken as it is; `param` names the field where there is one. Also an "
            "upstream's own 4xx, with its status and words."
        ),
        ErrorKind.UNAUTHENTICATED: "No key, a malformed key, an unknown or a revoked one.",
        ErrorKind.KEY_EXPIRED: (
            "The key, or the browser token, was good until it expired. Also a browser token whose use is not known any "
            "more."
        ),
        ErrorKind.FORBIDDEN: (
            "The key may not use what was asked for. Said of routes that do not exist as well."
        ),
        ErrorKind.ROUTE_NOT_FOUND: "No route, door, provider or upstream model of that name.",
        ErrorKind.UNSUPPORTED_PARAMETER: (
            "A field that the upstream cannot be told and without which the answer would be another one; `param` names "
            "it in the caller's words. With `unknown_parameters: strict` any field the upstream cannot be told."
        ),
        ErrorKind.CONTEXT_LENGTH_EXCEEDED: "The upstream says the input is longer than the model's window.",
        ErrorKind.CONTENT_BLOCKED: (
            "A policy on contents refused the request, or the answer to it. An upstream's own 4xx keeps its status."
        ),
        ErrorKind.MODEL_PRICE_UNKNOWN: (
            "A hard budget is to pay for the call and nobody knows what the model costs; the hint says what to write."
        ),
        ErrorKind.RATE_LIMITED: (
            "A limit of this gateway: the message names whose and which, `retry-after` says when the same call fits."
        ),
        ErrorKind.BUDGET_EXCEEDED: (
            "The call could cost more than a budget has left. Asking again does not help before the period ends or "
            "somebody raises the budget, and `x-should-retry: false` says so."
        ),
        ErrorKind.IDEMPOTENCY_MISMATCH: (
            "The `idempotency-key` was used for another request: another path, query or body. "
            "A new call needs a new key."
        ),
        ErrorKind.IDEMPOTENCY_ANSWER_GONE: (
            "The call with this `idempotency-key` was made, but its answer was too large to be kept or had to make "
            "room. It is not made again under the same key."
        ),
        ErrorKind.UPSTREAM_RATE_LIMITED: "The upstream's rate limit; `retry-after` is the upstream's.",
        ErrorKind.UPSTREAM_UNAVAILABLE: (
            "The upstream could not be reached, broke off, failed, or refused the house's own credential."
        ),
        ErrorKind.UPSTREAM_INVALID_RESPONSE: "The upstream answered with something that is not an answer.",
        ErrorKind.TIMEOUT_CONNECT: "The clock `connect_s` ran out.",
        ErrorKind.TIMEOUT_TLS: "The clock `tls_s` ran out.",
        ErrorKind.TIMEOUT_FIRST_HEADER: "The clock `first_header_s` ran out.",
        ErrorKind.TIMEOUT_FIRST_TOKEN: "The clock `first_token_s` ran out.",
        ErrorKind.TIMEOUT_IDLE: "The clock `idle_s` ran out.",
        ErrorKind.TIMEOUT_TOTAL: "The clock `total_s` ran out.",
        ErrorKind.AUTH_UNAVAILABLE: "The key cannot be checked now. It may be good: keep it and try again.",
        ErrorKind.LIMITS_UNAVAILABLE: (
            "A hard budget is to pay for the call, and what is left of it cannot be known now. The key is good: try "
            "again shortly."
        ),
        ErrorKind.OVERLOADED: "The house is at one of its bounds, or its journal cannot be written.",
        ErrorKind.INTERNAL: "A defect of the house. The log has the details under the request id.",
    }
    lines = [_ERRORS_HEAD]
    for kind in ErrorKind:
        lines += [f"## {kind.value}\n", f"Status {status_of(kind)}. {meanings[kind]}\n"]
    return "\n".join(lines)


_DOORS_TAIL: Final = """
A key is taken as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `api-key`, the first that is there; at the
doors of the `gemini_…` dialects as `?key=` as well. Where `identity` names somebody, [a token of an identity
provider or a client certificate](../guides/single-sign-on.md) does as well.
`/metrics` answers callers on the same machine only, and not those
whom a proxy forwards. `/passthrough/{provider}/{path}` needs a key whose routes cover `passthrough/{provider}`; a key
with the route `*` covers everything, this too.

`/v1/models` and `/v1/models/{id}` answer in Anthropic's shape where `anthropic-version` is sent, and in Google's where
`x-goog-api-key` is; [what they tell](../guides/any-door-any-provider.md#asking-what-a-model-can-do) is in the guide.

`/v1/key` tells how the key stands that asks: `id`, `name`, `team`, `routes`, `expires_at`; `limits`, each with `scope`,
`what`, `limit`, `left`, `resets_s`; `budgets`, each with `scope`, `usd`, `left_usd`, `period`, `hard`, `resets_at`.
They are the key's own, its team's and those of its tags.

`/v1/client_tokens` gives a back end a short-lived token for its page. Such a token (`ct-th-…`) opens the doors to
models and `/v1/models`, and no others; [browser tokens](../guides/browser-tokens.md) has the rules, and those for calls
from pages of other origins, which `OPTIONS` asks about.

At `/passthrough/` usage and finish reason are noted where the path is an endpoint that the house knows of that kind of
provider, called by POST; the bytes are the provider's in every case.

The paths under `/admin/` take an admin key (`ak-th-…`) or the text of `TOLLHOUSE_ADMIN_KEY` as `Authorization: Bearer`,
and no virtual key. [Who may do what there](../guides/administration.md).

Where the path names the model, the name stands in it percent-encoded. Errors come in the shape of the door's dialect.

A caller that closes its sending side before the answer is complete counts as gone, as it does for nginx.
Bodies come as plain JSON, with a length or in chunks; compressed ones are refused.

## Headers of requests

| header | meaning |
|---|---|
| `x-tollhouse-timeout-s` | seconds for the whole call, or clocks by name such as `total=30, first_token=5`, within \
the route's `longest_timeouts` |
| `x-tollhouse-priority` | `interactive`, which is the default, or `batch`, which is the first to be turned away |
| `x-tollhouse-session` | any text: calls with the same one go to the same deployment on routes with \
`strategy: sticky` |
| `x-tollhouse-tags` | labels of the call beside its key's, parted by commas; tags can have limits and budgets |
| `x-tollhouse-end-user` | the caller's own user, instead of the one the body names (`user`, `safety_identifier`, \
`metadata.user_id`); end users can have limits and budgets |
| `idempotency-key` | one upstream call for all requests with this key, see [its guide](../guides/idempotency.md) |

## Headers of answers

| header | meaning |
|---|---|
| `x-request-id` | the exchange's id in the book |
| `x-tollhouse-route` | the route that served |
| `x-tollhouse-deployment` | the deployment that answered last |
| `x-tollhouse-attempts` | how many upstream calls were begun |
| `x-tollhouse-dropped` | what the caller said and the upstream was not told, in the caller's words, parted by commas; \
absent where nothing was; on successful answers |
| `x-tollhouse-config` | hash of the configuration that decided |
| `x-tollhouse-overhead-ms` | time in the house up to the first byte, without waiting for upstreams |
| `x-tollhouse-cost-usd` | what the answer cost, in USD, or `unknown`; on answers that are no streams |
| `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests`, and the same for \
`tokens` | the tightest limit per minute, what is left of it, and in how many seconds all of it is there again |
| `idempotent-replayed` | `true` where the answer is that of an earlier request with the same `idempotency-key` |
| `retry-after` | the upstream's, or the house's own |
| `x-should-retry` | `false` where the same request would fail the same way |

Streams have `cache-control: no-cache` and `x-accel-buffering: no` besides.
"""


def doors() -> str:
    """Every path that answers."""
    lines = ["# Doors\n", "| method | path | what | dialect |", "|---|---|---|---|"]
    lines += [
        f"| {method} | `{path}` | {door.operation.value} | {door.dialect} |"
        for path, (method, door) in DOORS.items()
    ]
    lines += [
        f"| {method} | `{path}` | {door.operation.value} | {door.dialect} |"
        for method, path, door in pattern_doors()
    ]
    lines += [f"| {method} | `{prefix}…` | {door.operation.value} | |" for prefix, method, door in PREFIXES]
    lines += [f"| GET | `{path}` | open: asks for no key | |" for path in OPEN_DOORS]
    lines += [
        f"| {method} | `{path}` | the operator's: {what} | |" for (method, path), what in ADMIN_PATHS.items()
    ]
    return "\n".join(lines) + "\n" + _DOORS_TAIL


_WORDS: Final = re.compile(r"\(([\w|/-]+)\)$")
"""How the expression of a pattern ends whose last word may be one of several."""
_LAST: Final = re.compile(r"(\{\w+\}|\w+\[[^\]]*\])$")
"""How its text ends then: in a name in braces, or in a word with an ending that may be left out."""


def pattern_doors() -> Iterator[tuple[str, str, Door]]:
    """Method, path and door of paths that name something, one for every word a path may end in."""
    for pattern in PATTERNS:
        words = _WORDS.search(pattern.path.pattern)
        texts = [_LAST.sub(word, pattern.text) for word in words[1].split("|")] if words else [pattern.text]
        for text in texts:
            match = pattern.path.fullmatch(text)
            assert match is not None, f"{text} is no path of its pattern"
            yield pattern.methods, text, pattern.door(match)


def commands() -> str:
    """Every verb with its parameters, from the same text as `--help`."""
    return build().generate_docs(output_format="markdown").rstrip() + "\n"


def environment() -> str:
    """Every environment variable."""
    lines = [
        "# Environment\n",
        "Read by the command line only. Variables that `env:NAME` references name are read as well, by the keeper,",
        "and are not handed on to workers.\n",
        "| variable | meaning |",
        "|---|---|",
        *[f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()],
        "",
        "# Exit statuses\n",
        "| status | meaning |",
        "|--:|---|",
        f"| {ExitStatus.DONE.value} | done |",
        f"| {ExitStatus.WRONG.value} | what was asked for is wrong: problems are printed with their paths |",
        f"| {ExitStatus.USAGE.value} | wrong usage |",
        f"| {ExitStatus.ENVIRONMENT.value} | the environment failed: address taken, disk, database |",
        f"| {ExitStatus.INTERRUPTED.value} | interrupted by Ctrl-C |",
        "",
    ]
    return "\n".join(lines)


# -- providers


_PROVIDERS_HEAD: Final = """# Kinds of providers

One file under `src/tollhouse/providers/` each; [adding one](../guides/adding-a-provider.md) is adding a file. Which of
these can be called from which door is the [table below](#doors-and-kinds). Kinds that a distribution installed beside
the house brings are not on this page.

"""


def providers() -> str:
    """Every built-in kind of provider, what it takes, and which doors lead to it."""
    lines = ["| kind | what | base URL | must be configured | its documentation |", "|---|---|---|---|---|"]
    kinds = sorted(PLUGINS.providers.items())
    for kind, provider in kinds:
        base_url = provider.base_url or ("inside the house" if kind == "mock" else "yours")
        lines.append(
            f"| [`{kind}`](#{kind}) | {provider.title} | {base_url} | {_demands(provider)} | {provider.docs_url} |"
        )
    lines += ["", "## Doors and kinds", "", *_legend(), "", *reach_table(), "", *_CREDENTIALS]
    lines += ["", "## Traits", "", *_TRAITS_HEAD, *_trait_rows()]
    for kind, provider in kinds:
        lines += _kind_section(kind, provider)
    return _PROVIDERS_HEAD + "\n".join(lines) + "\n"


def _demands(provider: Provider) -> str:
    own = dict(provider.setting_defaults)
    demands = ["`base_url`"] if provider.base_url is None and provider.kind != "mock" else []
    demands += ["`credential`"] if provider.needs_credential else []
    demands += [f"`{name}`" for name in provider.settings if name not in own]
    demands += [f"`{name}` (`{own[name]}`)" for name in provider.settings if name in own]
    return ", ".join(demands)


_CREDENTIALS: Final = (
    "## Credentials",
    "",
    "What the text behind `env:NAME` or `file:PATH` looks like:",
    "",
    "| scheme | credential | how a call is opened |",
    "|---|---|---|",
    "| `header` | the provider's key | it stands in the header |",
    "| `aws_sigv4` | `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, perhaps with `:SESSION_TOKEN` | each request is signed |",
    "| | a text without `:`, which is a Bedrock API key | it stands in the header |",
    "| `entra` | JSON with `tenant_id`, `client_id` and `client_secret` | by a token minted from it |",
    "| | any other text, which is an API key | it stands in the header |",
    "| `google_service_account` | the JSON key of a service account | by a token minted from it |",
    "| | any other text, which is an access token | it stands in the header |",
)


_TRAITS_HEAD: Final = (
    "What writers of requests must know of an upstream. A kind's own stand in its section below: those that differ",
    "from the default, then what differs by endpoint and by model. Every glob over the model's name that matches",
    "counts, and later ones win.",
    "",
    "| trait | default | meaning |",
    "|---|---|---|",
)


def _trait_rows() -> Iterator[str]:
    """The traits in the words of their docstrings, which stand below each field in the source."""
    (tree,) = ast.parse(inspect.getsource(Traits)).body
    assert isinstance(tree, ast.ClassDef)
    default = Traits()
    for position, line in enumerate(tree.body):
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        name = line.target.id
        after = tree.body[position + 1] if position + 1 < len(tree.body) else None
        value = getattr(default, name)
        meaning = after.value.value if _is_words(after) else ""
        if isinstance(value, Enum):
            words = ", ".join(f"`{member.value}`" for member in type(value))
            meaning = meaning or f"{type(value).__doc__} One of {words}."
        yield f"| `{name}` | {_value(value)} | {' '.join(meaning.split())} |"


def _is_words(line: ast.stmt | None) -> TypeGuard[Any]:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _kind_section(kind: str, provider: Provider) -> Iterator[str]:
    auth = provider.auth
    yield from ["", f"## `{kind}`", ""]
    opened = f"Opened by `{auth.header}: {auth.prefix}…`"
    if auth.scheme is not AuthScheme.HEADER:
        opened += f", scheme `{auth.scheme.value}`"
    yield opened + ("." if provider.needs_credential else "; a credential is not needed.")
    yield from ["", "| operation | dialect | path below the base URL |", "|---|---|---|"]
    for endpoint in provider.endpoints:
        yield f"| {endpoint.operation.value} | {endpoint.dialect} | `{endpoint.path}` |"
    rows = [("every model", "", _differences(provider.traits))]
    rows += [("every model", e.dialect, _changes(dict(e.traits))) for e in provider.endpoints if e.traits]
    rows += [(f"`{glob}`", "", _changes(changed)) for glob, changed in provider.models]
    yield from ["", "| models | in | traits |", "|---|---|---|"]
    yield from (f"| {models} | {dialect} | {traits} |" for models, dialect, traits in rows if traits)


def _differences(traits: Traits) -> str:
    """The traits that are not the defaults; the issuer always, because it decides on signatures."""
    default = Traits()
    return _changes(
        {
            name: getattr(traits, name)
            for name in Traits.__struct_fields__
            if name == "issuer" or getattr(traits, name) != getattr(default, name)
        }
    )


def _changes(changed: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {_value(value)}" for name, value in changed.items())


def _value(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(f"`{_word(item)}`" for item in sorted(value, key=_word)) or "none"
    return f"`{_word(value)}`"


def _word(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value if isinstance(value, Enum) else value)


# -- which doors lead where


_STRAIGHT: Final = "●"
_TRANSLATED: Final = "○"
_COLUMNS: Final = (
    ("chat/completions", Operation.CHAT, "openai_chat"),
    ("responses", Operation.CHAT, "openai_responses"),
    ("messages", Operation.CHAT, "anthropic_messages"),
    ("generateContent", Operation.CHAT, "gemini_generate"),
    ("converse", Operation.CHAT, "bedrock_converse"),
    ("v2/chat", Operation.CHAT, "cohere_chat"),
    ("completions", Operation.TEXT_COMPLETION, "openai_completions"),
    ("embeddings", Operation.EMBEDDINGS, "openai_embeddings"),
    ("embedContent", Operation.EMBEDDINGS, "gemini_embed"),
    ("v2/embed", Operation.EMBEDDINGS, "cohere_embed"),
    ("rerank", Operation.RERANK, "cohere_rerank"),
    ("count_tokens", Operation.COUNT_TOKENS, "anthropic_messages"),
    ("countTokens", Operation.COUNT_TOKENS, "gemini_generate"),
)
"""A short name for a door, and what it is."""


def _legend() -> list[str]:
    return [
        f"{_STRAIGHT} the caller's bytes go through, {_TRANSLATED} by translation; empty where the provider has no",
        "such thing. A model may be reachable in one of its dialects only (`only_dialect`, `tools_dialect`).",
    ]


def reach_table() -> list[str]:
    """Kinds of providers by doors, as the stage that chooses the way sees it."""
    lines = [
        "| kind | " + " | ".join(name for name, _, _ in _COLUMNS) + " |",
        "|---" + "|:-:" * len(_COLUMNS) + "|",
    ]
    for kind, upstream in sorted(_upstreams().items()):
        cells = [_reach(upstream, operation, PLUGINS.dialects[name]) for _, operation, name in _COLUMNS]
        lines.append(f"| `{kind}` | " + " | ".join(cells) + " |")
    return lines


def _upstreams() -> dict[str, Upstream]:
    """A provider of every kind, configured with what its kind demands."""
    tree = {
        "version": 1,
        "providers": {
            kind: {
                "kind": kind,
                "credential": "env:NAME",
                "region": "global",
                "project": "project",
                "base_url": "http://127.0.0.1:1/v1",
            }
            for kind in PLUGINS.providers
        },
    }
    return dict(compile_config(msgspec.convert(tree, Config), PLUGINS.providers).providers)


def _reach(upstream: Upstream, operation: Operation, dialect: Dialect) -> str:
    deployment = Deployment(id="provider/model", provider=upstream.name, model="model")
    candidate = Candidate(deployment=deployment, model="model")
    way = find_way(upstream, candidate, operation, dialect, PLUGINS.dialects)
    if way is None:
        return ""
    return _STRAIGHT if way.is_straight else _TRANSLATED


def with_table(text: str) -> str:
    """The README with the table of today between its two marks."""
    before, begins, rest = text.partition(TABLE_BEGINS)
    _, ends, after = rest.partition(TABLE_ENDS)
    assert begins, "README.md has no place for the table"
    assert ends, "README.md does not say where the table ends"
    return "".join(
        [before, begins, "\n", *[f"{line}\n" for line in (*_legend(), "", *reach_table())], "\n", ends, after]
    )


# -- dialects


_DIALECTS_HEAD: Final = """# Dialects

The wire APIs the house speaks, one folder under `src/tollhouse/dialects/` each. Faces say what can be translated to and
from another dialect; two dialects reach each other where both have the same face. `stream` is the content type its
callers get.

| dialect | operations | faces | stream | kinds of providers that offer it |
|---|---|---|---|---|
"""
_FACES: Final = ("chat", "counting", "embedding", "ranking")


def dialects() -> str:
    """Every dialect, and which top-level members of requests are known in it."""
    kinds = sorted(PLUGINS.providers.items())
    lines = []
    for name, dialect in sorted(PLUGINS.dialects.items()):
        offered = [f"`{kind}`" for kind, p in kinds if any(e.dialect == name for e in p.endpoints)]
        cells = (
            f"[`{name}`](#{name})",
            _listed(operation.value for operation in dialect.operations),
            ", ".join(face for face in _FACES if getattr(dialect, face) is not None),
            _stream_type(dialect),
            ", ".join(offered),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "The members below are those a route with `unknown_parameters: drop` or `strict` knows; others are left out or",
        "refused there, and go through unread otherwise.",
    ]
    for name, dialect in sorted(PLUGINS.dialects.items()):
        lines += ["", f"## `{name}`", "", ", ".join(f"`{member}`" for member in sorted(dialect.known))]
    return _DIALECTS_HEAD + "\n".join(lines) + "\n"


def _stream_type(dialect: Dialect) -> str:
    """Only conversations and texts come in streams; Gemini's callers choose the form by `alt`."""
    types: dict[str, None] = {}
    for operation in dialect.operations & {Operation.CHAT, Operation.TEXT_COMPLETION}:
        for query in ("", "alt=sse"):
            call = ClientCall(
                operation=operation,
                model="",
                is_stream=True,
                asks_usage=True,
                body=b"{}",
                spans={},
                query=query,
            )
            types[f"`{dialect.stream_kind(call).content_type.decode()}`"] = None
    return " or ".join(types)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


# -- absorption


_ABSORPTION_HEAD: Final = """# Absorption rules

What [absorption packs](../guides/absorption.md) change in requests that an upstream would refuse as they are. Globs are
over the upstream's model names in lower case. What a rule loses is named in `x-tollhouse-dropped`.
"""


def absorption() -> str:
    """Every rule of every pack, in the order in which they are applied."""
    lines = [_ABSORPTION_HEAD]
    for pack in PACKS:
        lines += [
            f"## `{pack.name}`\n",
            "| rule | since | at | dialects | models | loses | page |",
            "|---|---|---|---|---|---|---|",
        ]
        for rule in pack.rules:
            cells = (
                f"`{rule.name}`",
                rule.since,
                _globs(rule.providers),
                ", ".join(rule.dialects),
                _globs(rule.models) + (f", not {_globs(rule.except_models)}" if rule.except_models else ""),
                _globs(rule.loses),
                rule.source,
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _globs(globs: tuple[str, ...]) -> str:
    return ", ".join(f"`{glob}`" for glob in globs)


PAGES: Final[dict[str, Callable[[], str]]] = {
    "configuration.md": reference_page,
    "tollhouse.schema.json": json_schema,
    "errors.md": errors,
    "doors.md": doors,
    "commands.md": commands,
    "environment.md": environment,
    "providers.md": providers,
    "dialects.md": dialects,
    "absorption.md": absorption,
}


def main() -> int:
    """Write every page that differs."""
    for name, write in PAGES.items():
        path, text = FOLDER / name, write()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(FOLDER.parents[1])}")
    text = README.read_text()
    if text != with_table(text):
        README.write_text(with_table(text))
        print("wrote the table of README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
