"""What makes a call dearer than its tokens, or has it answered by another model than the one whose price is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS
from tollhouse.ports.dialect import ClientCall

from .members import text_of, value_of

_USUAL_TIERS: Final = frozenset(
    ["auto", "default", "flex", "standard", "standard_only", "on_demand", "batch", "unspecified"]
)
PRIORITY: Final = b"x-vertex-ai-llm-shared-request-type"
"""Goes out with calls to Vertex's own paths."""


def _is_usual_tier(value: Any) -> bool:
    name = value.get("type") if isinstance(value, dict) else value
    return isinstance(name, str) and name.lower() in _USUAL_TIERS


def _is_off(value: Any) -> bool:
    return value in (False, [], {}, "", "none", "off")


DEARER: Final[Mapping[str, Callable[[Any], bool]]] = {
    "service_tier": _is_usual_tier,
    "serviceTier": _is_usual_tier,
    "speed": lambda value: value == "standard",
    "inference_geo": lambda value: value == "global",
    "performanceConfig": lambda value: isinstance(value, dict) and value.get("latency") == "standard",
    "context_management": lambda value: "compact" not in repr(value),
    "models": _is_off,
    "fallbacks": _is_off,
    "provider": _is_off,
    "plugins": _is_off,
    "mcp_servers": _is_off,
    "web_search_options": lambda _: False,
    "search_parameters": lambda value: isinstance(value, dict) and value.get("mode") == "off",
    "enable_search": _is_off,
    "guardrailConfig": _is_off,
}
"""Members that can make a call dearer than its tokens, or have it answered by another model, and when they do not."""


def asks_to_pay_more(call: ClientCall) -> tuple[bool, str | None]:
    """Whether an answer is to be heard, and what else there is to be paid for."""
    if PRIORITY in call.headers:
        return False, PRIORITY.decode()
    for name in DEARER.keys() & call.spans.keys():
        value = value_of(call, name)
        if value is not None and not DEARER[name](value):
            return False, name
    kinds = set(_kinds_of_answer(call))
    other = next((kind for kind in sorted(kinds) if kind not in ("text", "audio")), None)
    return "audio" in kinds, f"an answer as {other}" if other is not None else None


def _kinds_of_answer(call: ClientCall) -> Iterator[str]:
    listed = [value_of(call, "modalities")]
    for name in ("generationConfig", "generation_config"):
        config = value_of(call, name)
        if isinstance(config, dict):
            listed += [config.get("responseModalities"), config.get("response_modalities")]
    for kinds in listed:
        yield from [str(kind).lower() for kind in kinds] if isinstance(kinds, list) else []


class _Tool(msgspec.Struct):
    """What matters of a tool."""

    type: Any = None
    systemTool: Any = None  # noqa: N815 - Amazon's word


_LISTED: Final = msgspec.json.Decoder(list[_Tool])
_NAMED: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_OURS: Final = frozenset(
    [
        None,
        "function",
        "custom",
        "namespace",
        "local_shell",
        "apply_patch",
        "computer",
        "computer_use_preview",
    ]
)
"""Types of tools that the caller runs itself."""
_DEFINED: Final = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
"""Anthropic's that the caller runs and Anthropic has words for."""
_DECLARED: Final = frozenset(["functionDeclarations", "function_declarations"])


class Tools:
    """The tools of a call: those a provider runs itself cost by the use, and bring in what nobody has counted."""

    def __init__(self, dialect: str, call: ClientCall) -> None:
        self.prompts = 0
        self.hosted: str | None = None
        texts = [text_of(call, "tools")]
        if dialect == "bedrock_converse":
            for outer in ("toolConfig", "additionalModelRequestFields"):
                inside = value_of(call, outer)
                if isinstance(inside, dict) and inside.get("tools"):
                    texts.append(msgspec.json.encode(inside["tools"]))
        for text in texts:
            if text[:1] in (b"[", b"{"):
                self._read(
                    text if text[:1] == b"[" else b"[" + text + b"]", is_google=dialect == "gemini_generate"
                )

    def _read(self, text: bytes, *, is_google: bool) -> None:
        try:
            if is_google:
                for named in _NAMED.decode(text):
                    self.hosted = self.hosted or next((name for name in named if name not in _DECLARED), None)
                return
            for tool in _LISTED.decode(text):
                self._note(tool)
        except DECODE_FAULTS:
            self.hosted = self.hosted or "tools"

    def _note(self, tool: _Tool) -> None:
        kind = "systemTool" if tool.systemTool is not None else tool.type
        if isinstance(kind, str) and kind.startswith(_DEFINED):
            self.prompts += 1
        elif not (kind is None or (isinstance(kind, str) and kind in _OURS)):
            self.hosted = self.hosted or str(kind)[:100]
