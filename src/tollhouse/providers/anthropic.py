"""Anthropic itself.

Sources, read 2026-11-25: https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/api/versioning. Bodies this house writes are of API version 2023-06-01, which goes
on beside 2026-10-21; a caller's own version stays the caller's. All names in `anthropic-beta` are taken here. What
differs by model stands in `claude_family`.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, Endpoint, Provider, Traits
from tollhouse.providers.claude_family import CLAUDE, NEWEST_CLAUDE

PROVIDER = Provider(
    kind="anthropic",
    title="Anthropic",
    docs_url="https://platform.claude.com/docs/en/api/messages",
    base_url="https://api.anthropic.com",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="anthropic_messages", path="/v1/messages"),
        Endpoint(
            operation=Operation.COUNT_TOKENS, dialect="anthropic_messages", path="/v1/messages/count_tokens"
        ),
    ),
    auth=Auth(header="x-api-key", prefix=""),
    headers=(("anthropic-version", "2023-06-01"),),
    traits=Traits(
        issuer="anthropic",
        server_tools=frozenset({"web_search", "web_fetch", "code_execution", "computer_use", "mcp"}),
    ),
    models=(("*", NEWEST_CLAUDE), *CLAUDE),
)
