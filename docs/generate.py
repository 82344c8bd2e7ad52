"""`make docs`: writes what can be read off the code. A page that is stale fails the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.main import build
from tollhouse.cli.settings import VARIABLES
from tollhouse.config.schema import json_schema, reference_page
from tollhouse.core.errors import ErrorKind, status_of
from tollhouse.plugins import load_plugins
from tollhouse.surface.http.doors import DOORS, OPEN_DOORS, PREFIXES

FOLDER: Final = Path(__file__).parent / "reference"
MARK: Final = "<!-- Written by docs/generate.py: `make docs`. -->\n"


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
        ErrorKind.KEY_EXPIRED: "The key was good until it expired.",
        ErrorKind.FORBIDDEN: (
            "The key may not use what was asked for. Said of routes that do not exist as well."
        ),
        ErrorKind.ROUTE_NOT_FOUND: "No route, door, provider or upstream model of that name.",
        ErrorKind.UNSUPPORTED_PARAMETER: "A field that the upstream cannot take.",
        ErrorKind.CONTEXT_LENGTH_EXCEEDED: "The upstream says the input is longer than the model's window.",
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
        ErrorKind.OVERLOADED: "The house is at one of its bounds, or its journal cannot be written.",
        ErrorKind.INTERNAL: "A defect of the house. The log has the details under the request id.",
    }
    lines = [_ERRORS_HEAD]
    for kind in ErrorKind:
        lines += [f"## {kind.value}\n", f"Status {status_of(kind)}. {meanings[kind]}\n"]
    return "\n".join(lines)


def doors() -> str:
    """Every path that answers."""
    lines = ["# Doors\n", "| method | path | what | dialect |", "|---|---|---|---|"]
    lines += [
        f"| {method} | `{path}` | {door.operation.value} | {door.dialect} |"
        for path, (method, door) in DOORS.items()
    ]
    lines += [f"| {method} | `{prefix}…` | {door.operation.value} | |" for prefix, method, door in PREFIXES]
    lines += [f"| GET | `{path}` | open: asks for no key | |" for path in OPEN_DOORS]
    lines += [
        "",
        "A key is taken as `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`. `/metrics` answers callers on the",
        "same machine only, and not those whom a proxy forwards. `/passthrough/{provider}/{path}` needs a key whose",
        "routes cover `passthrough/{provider}`; a key with the route `*` covers everything, this too.\n",
        "A caller that closes its sending side before the answer is complete counts as gone, as it does for nginx.",
        "Bodies come as plain JSON, with a length or in chunks; compressed ones are refused.\n",
        "## Headers of answers\n",
        "| header | meaning |",
        "|---|---|",
        "| `x-request-id` | the exchange's id in the book |",
        "| `x-tollhouse-route` | the route that served |",
        "| `x-tollhouse-deployment` | the deployment that answered last |",
        "| `x-tollhouse-attempts` | how many upstream calls were begun |",
        "| `x-tollhouse-config` | hash of the configuration that decided |",
        "| `x-tollhouse-overhead-ms` | time in the house up to the first byte, without waiting for upstreams |",
        "| `retry-after` | the upstream's, or the house's own |",
        "| `x-should-retry` | `false` where the same request would fail the same way |",
        "",
    ]
    return "\n".join(lines)


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


def providers() -> str:
    """Every built-in kind of provider."""
    lines = [
        "# Kinds of providers\n",
        "| kind | what | base URL | offers | its documentation |",
        "|---|---|---|---|---|",
    ]
    for kind, provider in sorted(load_plugins().providers.items()):
        offers = ", ".join(dict.fromkeys(endpoint.dialect for endpoint in provider.endpoints))
        base_url = provider.base_url or ("inside the house" if kind == "mock" else "yours")
        lines.append(f"| `{kind}` | {provider.title} | {base_url} | {offers} | {provider.docs_url} |")
    return "\n".join([*lines, ""])


PAGES: Final[dict[str, Callable[[], str]]] = {
    "configuration.md": reference_page,
    "tollhouse.schema.json": json_schema,
    "errors.md": errors,
    "doors.md": doors,
    "commands.md": commands,
    "environment.md": environment,
    "providers.md": providers,
}


def main() -> int:
    """Write every page that differs."""
    for name, write in PAGES.items():
        path, text = FOLDER / name, write()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(FOLDER.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
