"""What OpenAI renamed and retired in chat completions and Responses, at OpenAI and on Azure.

Not absorbed, because nothing says that a model refuses them: `functions` and `function_call` (deprecated, and still
taken). Not absorbed, because the answer would be another one: `stop` with models that refuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tollhouse.absorption.rules import Fields, Pack, Rule, renamed, with_value, without

_SERVED: Final = ("openai", "azure_openai")
_CHAT: Final = ("openai_chat",)
_BOTH: Final = ("openai_chat", "openai_responses")
_ALWAYS_REASONING: Final = (
    "o[1-9]",
    "o[1-9]-*",
    "gpt-5",
    "gpt-5-*",
    "gpt-5.[1-3]-chat*",
    "gpt-5.1-codex*",
    "gpt-5.*-pro*",
    "gpt-6-astra*",
)
_UNREASONING: Final = ("gpt-5-chat*", "gpt-5-search*")
_DEFAULT_REASONING: Final = ("gpt-5.[56]", "gpt-5.[56]-*")
_OPTIONAL_REASONING: Final = ("gpt-5.[1-4]", "gpt-5.[1-4]-*")
_REASONING_GUIDE: Final = "https://developers.openai.com/api/docs/guides/latest-model"

_NEUTRAL: Final[tuple[tuple[str, Any], ...]] = (
    ("temperature", 1),
    ("top_p", 1),
    ("presence_penalty", 0),
    ("frequency_penalty", 0),
    ("logprobs", False),
    ("top_logprobs", 0),
    ("logit_bias", {}),
)
"""What steers sampling, with the value that steers nothing and is taken everywhere."""
_IN_RESPONSES: Final = ("temperature", "top_p", "top_logprobs")


def _reasons(fields: Fields, *, by_default: bool) -> bool:
    """Whether the call makes a model reason that can be asked not to."""
    effort = fields.get("reasoning_effort")
    reasoning = fields.get("reasoning")
    if effort is None and isinstance(reasoning, dict):
        effort = reasoning.get("effort")
    return by_default if effort is None else effort != "none"


def _dropping(
    name: str, neutral: Any, is_reasoning: Callable[[Fields], bool]
) -> Callable[[Fields], Fields | None]:
    def apply(fields: Fields) -> Fields | None:
        value = fields[name]
        if value is None or value == neutral or not is_reasoning(fields):
            return None
        return without(fields, name)

    return apply


def _sampling(
    family: str,
    since: str,
    models: tuple[str, ...],
    is_reasoning: Callable[[Fields], bool],
    except_models: tuple[str, ...] = (),
    asked: Fields | None = None,
) -> tuple[Rule, ...]:
    """One rule for each way to steer sampling, for models that refuse it while they reason."""
    return tuple(
        Rule(
            name=f"openai.{family}-without-{name.replace('_', '-')}",
            since=since,
            source=_REASONING_GUIDE,
            providers=_SERVED,
            dialects=_BOTH if name in _IN_RESPONSES else _CHAT,
            models=models,
            except_models=except_models,
            when=(name,),
            reads=("reasoning_effort", "reasoning"),
            apply=_dropping(name, neutral, is_reasoning),
            loses=(name,),
            example=(
                (asked or {}) | {name: _STEERING[name], "stream": True},
                (asked or {}) | {"stream": True},
            ),
        )
        for name, neutral in _NEUTRAL
    )


_STEERING: Final[dict[str, Any]] = {
    "temperature": 0.2,
    "top_p": 0.9,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"50256": -100},
}


def _completion_tokens(fields: Fields) -> Fields | None:
    if fields["max_tokens"] is None or "max_completion_tokens" in fields:
        return None
    return renamed(fields, "max_tokens", "max_completion_tokens")


def _as_users(fields: Fields) -> Fields | None:
    """Instructions said by the user, for the first models that reasoned: they knew no other role."""
    messages = fields["messages"]
    if not isinstance(messages, list):
        return None
    changed = [
        message | {"role": "user"}
        if isinstance(message, dict) and message.get("role") in {"system", "developer"}
        else message
        for message in messages
    ]
    return with_value(fields, "messages", changed) if changed != messages else None


def _low_effort(fields: Fields) -> Fields | None:
    return with_value(fields, "reasoning_effort", "low") if fields["reasoning_effort"] == "minimal" else None


def _low_reasoning(fields: Fields) -> Fields | None:
    reasoning = fields["reasoning"]
    if not isinstance(reasoning, dict) or reasoning.get("effort") != "minimal":
        return None
    return with_value(fields, "reasoning", reasoning | {"effort": "low"})


PACK: Final = Pack(
    name="openai",
    rules=(
        Rule(
            name="openai.max-completion-tokens",
            since="2024-09-12",
            source="https://platform.openai.com/docs/api-reference/chat/create#chat-create-max_tokens",
            providers=_SERVED,
            dialects=_CHAT,
            models=("o[1-9]", "o[1-9]-*", "gpt-5", "gpt-5-*", "gpt-5.*", "gpt-6*"),
            except_models=_UNREASONING,
            when=("max_tokens",),
            apply=_completion_tokens,
            example=({"max_tokens": 100, "n": 1}, {"max_completion_tokens": 100, "n": 1}),
        ),
        Rule(
            name="openai.o1-without-instructions",
            since="2024-09-12",
            source="https://platform.openai.com/docs/guides/reasoning#beta-limitations",
            providers=_SERVED,
            dialects=_CHAT,
            models=("o1-mini*", "o1-preview*"),
            when=("messages",),
            apply=_as_users,
            example=(
                {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
                {"messages": [{"role": "user", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
            ),
        ),
        Rule(
            name="openai.minimal-effort-is-low",
            since="2025-11-13",
            source=_REASONING_GUIDE,
            providers=_SERVED,
            dialects=_CHAT,
            models=("gpt-5.*", "gpt-6*"),
            when=("reasoning_effort",),
            apply=_low_effort,
            example=({"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}),
        ),
        Rule(
            name="openai.minimal-reasoning-is-low",
            since="2025-11-13",
            source=_REASONING_GUIDE,
            providers=_SERVED,
            dialects=("openai_responses",),
            models=("gpt-5.*", "gpt-6*"),
            when=("reasoning",),
            apply=_low_reasoning,
            example=(
                {"reasoning": {"effort": "minimal", "summary": "auto"}},
                {"reasoning": {"effort": "low", "summary": "auto"}},
            ),
        ),
        *_sampling("reasoning", "2024-09-12", _ALWAYS_REASONING, lambda _: True, except_models=_UNREASONING),
        *_sampling(
            "default-reasoning",
            "2026-04-23",
            _DEFAULT_REASONING,
            lambda fields: _reasons(fields, by_default=True),
            except_models=_ALWAYS_REASONING,
        ),
        *_sampling(
            "asked-reasoning",
            "2025-11-13",
            _OPTIONAL_REASONING,
            lambda fields: _reasons(fields, by_default=False),
            except_models=_ALWAYS_REASONING,
            asked={"reasoning_effort": "high"},
        ),
    ),
)
