"""Every rule proves itself: it is dated, says where it is from, does what its example says, and does it once."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tollhouse.absorption import PACKS, RULES, absorb, lost
from tollhouse.absorption.rules import Rule
from tollhouse.ports.provider import Provider
from unit.providers.shelf import all_providers

ALL = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)


def kinds(rule: Rule) -> list[str]:
    return [
        kind
        for kind, provider in all_providers().items()
        if rule.is_for(kind, rule.dialects[0], model_of(rule))
    ]


def model_of(rule: Rule) -> str:
    """A model the rule is for."""
    name = re.sub(r"\[!0-9\]", "-", rule.models[0])
    return re.sub(r"\[([^-\]])[^\]]*\]", r"\1", name).replace("*", "")


@ALL
def test_rule_says_since_when_and_where_from(rule: Rule) -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", rule.since)
    assert rule.source.startswith("https://")
    assert re.fullmatch(r"[a-z0-9.-]+", rule.name)
    assert rule.when


@ALL
def test_rule_is_for_a_provider_that_offers_its_dialect(rule: Rule) -> None:
    offering = [kind for kind in kinds(rule) if rule.dialects[0] in dialects(all_providers()[kind])]
    assert offering


def dialects(provider: Provider) -> set[str]:
    return {endpoint.dialect for endpoint in provider.endpoints}


@ALL
def test_rule_does_what_its_example_says_and_only_once(rule: Rule) -> None:
    before, after = rule.example
    body = msgspec.json.encode({"model": "m", **before})
    where = (kinds(rule)[0], rule.dialects[0], model_of(rule))
    changed, names = absorb(*where, body)
    assert rule.name in names
    assert msgspec.json.decode(changed) == {"model": "m", **after}
    assert list(msgspec.json.decode(changed)) == ["model", *after]
    same, again = absorb(*where, changed)
    assert same is changed
    assert again == ()


@ALL
def test_rule_leaves_alone_what_says_nothing(rule: Rule) -> None:
    body = msgspec.json.encode({"model": "m"} | dict.fromkeys(rule.when))
    same, names = absorb(kinds(rule)[0], rule.dialects[0], model_of(rule), body)
    assert same is body
    assert names == ()


@ALL
def test_rule_says_what_it_loses(rule: Rule) -> None:
    before, after = rule.example
    gone = before.keys() - after.keys()
    known = {"max_tokens", "output_format"}
    assert gone - known <= {member.partition(".")[0] for member in rule.loses}


def test_names_are_unique() -> None:
    assert len(RULES) == sum(len(pack.rules) for pack in PACKS)


def test_what_is_lost_is_told_in_the_callers_words() -> None:
    names = ["openai.reasoning-without-temperature", "openai.max-completion-tokens"]
    assert lost(names) == ("temperature",)
    assert lost([]) == ()


UNTOUCHED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("openai", "openai_chat", "gpt-4o", {"max_tokens": 5, "temperature": 0.1, "functions": []}),
    ("openai", "openai_chat", "gpt-5-chat-latest", {"max_tokens": 5, "temperature": 0.1}),
    (
        "openai",
        "openai_chat",
        "gpt-5",
        {"temperature": 1, "top_p": 1.0, "presence_penalty": 0, "logprobs": False},
    ),
    ("openai", "openai_chat", "gpt-5", {"max_tokens": 5, "max_completion_tokens": 6}),
    ("openai", "openai_chat", "gpt-5.2", {"temperature": 0.1}),
    ("openai", "openai_chat", "gpt-5.2", {"temperature": 0.1, "reasoning_effort": "none"}),
    ("openai", "openai_responses", "gpt-5.6-sol", {"temperature": 0.5, "reasoning": {"effort": "none"}}),
    ("openai", "openai_responses", "o3", {"presence_penalty": 0.5}),
    ("openai", "openai_chat", "gpt-5", {"reasoning_effort": "minimal"}),
    ("openai_compatible", "openai_chat", "gpt-5", {"max_tokens": 5, "temperature": 0.1}),
    ("openrouter", "openai_chat", "openai/gpt-5", {"max_tokens": 5, "temperature": 0.1}),
    (
        "anthropic",
        "anthropic_messages",
        "claude-sonnet-4-6",
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
    ),
    ("anthropic", "anthropic_messages", "claude-opus-4-20250514", {"temperature": 0.1, "top_p": 0.2}),
    ("anthropic", "anthropic_messages", "claude-sonnet-4-5", {"output_format": {"type": "json_schema"}}),
    (
        "anthropic",
        "anthropic_messages",
        "claude-opus-5",
        {"thinking": {"type": "disabled"}, "temperature": 1.0},
    ),
    ("anthropic", "anthropic_messages", "claude-mythos-preview", {"thinking": {"type": "enabled"}}),
    (
        "gemini",
        "gemini_generate",
        "gemini-3.5-flash",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}}},
    ),
    (
        "gemini",
        "gemini_generate",
        "gemini-2.5-flash",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "low"}}},
    ),
]


@pytest.mark.parametrize(("kind", "dialect", "model", "fields"), UNTOUCHED)
def test_request_that_is_answered_as_it_is_goes_out_as_it_is(
    kind: str, dialect: str, model: str, fields: dict[str, Any]
) -> None:
    body = msgspec.json.encode({"model": model} | fields)
    same, names = absorb(kind, dialect, model, body)
    assert (same, names) == (body, ())
    assert same is body


CHANGED: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("azure_openai", "openai_chat", "o4-mini", {"max_tokens": 5}, {"max_completion_tokens": 5}),
    ("openai", "openai_chat", "gpt-5.5", {"temperature": 0.1}, {}),
    (
        "openai",
        "openai_responses",
        "gpt-5.4",
        {"top_p": 0.1, "reasoning": {"effort": "low"}},
        {"reasoning": {"effort": "low"}},
    ),
    ("openai", "openai_chat", "gpt-5.1-codex-mini", {"top_p": 0.1}, {}),
    (
        "vertex_anthropic",
        "anthropic_messages",
        "claude-opus-4-7@20260416",
        {"thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, "top_k": 5},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
    ),
    ("anthropic", "anthropic_messages", "claude-opus-5-5", {"thinking": {"type": "disabled"}}, {}),
    (
        "bedrock_anthropic",
        "anthropic_messages",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        {"temperature": 1.0, "top_p": 0.9},
        {"temperature": 1.0},
    ),
    (
        "bedrock_anthropic",
        "anthropic_messages",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        {"output_format": {"type": "json_schema"}},
        {"output_config": {"format": {"type": "json_schema"}}},
    ),
    (
        "vertex",
        "gemini_generate",
        "gemini-3-pro-preview",
        {"generation_config": {"thinking_config": {"thinking_budget": 5, "thinking_level": "LOW"}}},
        {"generation_config": {"thinking_config": {"thinking_level": "LOW"}}},
    ),
]


@pytest.mark.parametrize(("kind", "dialect", "model", "fields", "after"), CHANGED)
def test_request_in_older_words_is_put_right(
    kind: str, dialect: str, model: str, fields: dict[str, Any], after: dict[str, Any]
) -> None:
    changed, names = absorb(kind, dialect, model, msgspec.json.encode({"model": model} | fields))
    assert msgspec.json.decode(changed) == {"model": model} | after
    assert names
