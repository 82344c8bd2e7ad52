"""What a response repeats of its request, and what the request's tools say about the calls in it."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import ToolCall
from tollhouse.core.response import Choice, Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.dialects.ground_family.bad_input import decoded
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .usage import usage_document

_INCOMPLETE: Final = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTEXT_FULL: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.FAULTY_CALL: None,
}
"""Endings of answers that are not whole, and OpenAI's word for why; it has none for a call nobody can read."""
_DEFAULTS: Final[tuple[tuple[str, Any], ...]] = (
    ("instructions", None),
    ("max_output_tokens", None),
    ("max_tool_calls", None),
    ("parallel_tool_calls", True),
    ("previous_response_id", None),
    ("prompt_cache_key", None),
    ("prompt_cache_retention", None),
    ("safety_identifier", None),
    ("service_tier", "default"),
    ("store", True),
    ("temperature", 1.0),
    ("tool_choice", "auto"),
    ("tools", []),
    ("top_logprobs", 0),
    ("top_p", 1.0),
    ("truncation", "disabled"),
    ("user", None),
    ("metadata", {}),
)
"""Members a response repeats, with what they say where the request did not."""


class Echo:
    """One request, read once."""

    __slots__ = ("_conversation", "_namespaces", "_said")

    def __init__(self, call: ClientCall) -> None:
        body = decoded(call.body)
        body = body if isinstance(body, dict) else {}
        self._said: dict[str, Any] = {
            name: body[name] if body.get(name) is not None else default for name, default in _DEFAULTS
        }
        self._said["reasoning"] = {"effort": None, "summary": None, **_object(body.get("reasoning"))}
        self._said["text"] = {"format": {"type": "text"}, **_object(body.get("text"))}
        conversation = body.get("conversation")
        self._conversation = {"id": conversation} if isinstance(conversation, str) else conversation
        self._namespaces = _namespaces(self._said["tools"])

    def namespace(self, call: ToolCall) -> str | None:
        """The call's namespace; if the upstream knows none, that of the one tool that goes by the call's name."""
        return call.namespace or self._namespaces.get(call.name)

    def document(
        self,
        scene: Scene,
        *,
        model: str,
        created_at: int | None,
        output: list[dict[str, Any]],
        finish: Finish | None = None,
        usage: Usage | None = None,
        service_tier: str | None = None,
    ) -> dict[str, Any]:
        """The response object; without `finish` it is still in progress."""
        moment = created_at if created_at is not None else scene.now
        said = self._said if service_tier is None else {**self._said, "service_tier": service_tier}
        status = "in_progress" if finish is None else status_of(finish)
        document: dict[str, Any] = {
            "id": f"resp_{scene.id}",
            "object": "response",
            "created_at": moment,
            "status": status,
            "background": False,
            "completed_at": max(moment, scene.now) if status == "completed" else None,
            "error": None,
            "incomplete_details": {"reason": _INCOMPLETE.get(finish.reason)}
            if finish is not None and status == "incomplete"
            else None,
            "model": model or scene.model,
            "output": output,
            **said,
            "usage": usage_document(usage),
        }
        if self._conversation is not None:
            document["conversation"] = self._conversation
        return document


def status_of(finish: Finish) -> str:
    """How the response as a whole ended."""
    return "incomplete" if finish.reason in _INCOMPLETE else "completed"


def first_choice(choices: tuple[Choice, ...]) -> Choice:
    """The one answer this API has room for."""
    return choices[0] if choices else Choice(parts=(), finish=Finish(reason=FinishReason.OTHER))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _namespaces(tools: Any) -> dict[str, str]:
    """By the names of tools that stand in one namespace and nowhere else."""
    places: dict[str, set[str]] = {}
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        if tool.get("type") == "namespace":
            for inner in tool.get("tools") or ():
                places.setdefault(str(inner.get("name")), set()).add(str(tool.get("name")))
        else:
            places.setdefault(str(tool.get("name")), set()).add("")
    return {
        name: next(iter(spaces)) for name, spaces in places.items() if len(spaces) == 1 and "" not in spaces
    }
