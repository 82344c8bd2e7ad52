"""Why a provider refuses, where its status does not tell: by codes first, by known sentences where there is no code.

Sources: recorded answers, the providers' error references and reports of their users; read 2026-11-25. A sentence
stands here only if the provider has no code for it or hides it behind a general one.
"""

from __future__ import annotations

import re
from typing import Final

from .words import Words

_BLOCKED_CODES: Final = frozenset(
    [
        "content_filter", "content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked",
        "content_blocked", "data_inspection_failed", "datainspectionfailed", "bio_policy", "cyber_policy",
        "moderation",
    ]
)  # fmt: skip
_BLOCKED: Final = re.compile(
    r"content management policy|content filtering policy|violates? (our )?usage (guidelines|policy)"
    r"|potentially violating our usage policy|rejected as a result of our safety system|content exists risk"
    r"|considered high risk|inappropriate content|potentially unsafe or sensitive content|your input was flagged",
    re.IGNORECASE,
)
"""As Azure, Anthropic, xAI, OpenAI (reasoning models, images), DeepSeek, Moonshot, Alibaba, Z.AI and OpenRouter
say it."""

_UNPAID_CODES: Final = frozenset(
    [
        "insufficient_quota", "billing_error", "billing_hard_limit_reached", "insufficient_balance",
        "exceeded_current_quota_error", "insufficient_credits", "usage_not_included",
    ]
)  # fmt: skip
_UNPAID: Final = re.compile(
    r"credit balance is too low|API usage limits|spend(ing)? limit|insufficient (account )?balance"
    r"|used all available credits|doesn't have any credits|run out of credits|reached the end of your .{0,40}credits"
    r"|too many tokens per day",
    re.IGNORECASE,
)

_KEY_CODES: Final = frozenset(
    [
        "invalid_api_key", "api_key_invalid", "api_key_expired", "api_key_service_blocked", "authentication_error",
        "invalid_authentication_error", "invalidapikey",
    ]
)  # fmt: skip
_KEY: Final = re.compile(
    r"(incorrect|invalid) api key|api key (not valid|expired)|security token .{0,40}(invalid|expired)",
    re.IGNORECASE,
)
"""Google and xAI answer 400 to a wrong key."""

_PLACE: Final = re.compile(
    r"location is not supported|not available in your (country|region)|unsupported_country|please enable billing",
    re.IGNORECASE,
)
"""The provider would not serve the house from where it stands, or not without a bill, whoever asks."""

_MODEL_CODES: Final = frozenset(
    ["model_not_found", "invalid_model", "model_not_available", "deploymentnotfound", "model_not_supported"]
)
_MODEL: Final = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|could not resolve the foundation model"
    r"|access to the model with the specified model id|end of its life|model not exist\b|^invalid model: "
    r"|model .{1,100} (does not exist|not found)$",
    re.IGNORECASE,
)
"""What others say with 404, Bedrock, Mistral, DeepSeek and OpenAI's Responses say with 400."""

_TOO_MUCH: Final = re.compile(r"request too large for .{0,300}\btokens per min", re.IGNORECASE | re.DOTALL)
"""One request that is more than an account may send in a minute, however long one waits. Groq answers 413, OpenAI
429."""

_PARAMETER_CODES: Final = frozenset(["unsupported_parameter", "unsupported_value"])
_PARAMETER: Final = re.compile(
    r"^unsupported (parameter|value)\b|extra inputs are not permitted", re.IGNORECASE
)
"""OpenAI's Responses name no code for it; the second is what Pydantic says for Mistral, Anthropic and many servers."""


def is_blocked(words: Words) -> bool:
    """A policy on contents refused the request or the answer to it."""
    return is_named_blocked(words) or _BLOCKED.search(words.message) is not None


def is_named_blocked(words: Words) -> bool:
    """The same, by its code alone."""
    return words.is_moderated or _has(words, _BLOCKED_CODES)


def is_unpaid(words: Words) -> bool:
    """The account has no money or no allowance left."""
    return _has(words, _UNPAID_CODES) or _UNPAID.search(words.message) is not None


def is_key_refused(words: Words) -> bool:
    """The credential is not accepted, whatever the status pretends."""
    return _has(words, _KEY_CODES) or _KEY.search(words.message) is not None


def is_place_refused(words: Words) -> bool:
    """The house is refused for where or what it is."""
    return _PLACE.search(words.message) is not None or _PLACE.search(words.code or "") is not None


def is_unknown_model(words: Words) -> bool:
    """The model is not one of the provider's, or not one for this account."""
    return _has(words, _MODEL_CODES) or _MODEL.search(words.message) is not None


def is_too_much_at_once(words: Words) -> bool:
    """The request alone is larger than the account's rate allows."""
    return _TOO_MUCH.search(words.message) is not None


def is_parameter_refused(words: Words) -> bool:
    """The upstream knows no such parameter, or the model takes none."""
    return _has(words, _PARAMETER_CODES) or _PARAMETER.search(words.message) is not None


def _has(words: Words, codes: frozenset[str]) -> bool:
    return any(name is not None and name.lower() in codes for name in (words.code, words.type, words.reason))
