"""Random requests, made of the official SDKs' own parameter types. Run in the environment of the newest SDKs:

    python random_requests.py SEED COUNT FOLDER

writes FOLDER/<dialect>.jsonl, COUNT lines each. The same seed makes the same requests. Every word and number is one of
its kind, so that it can be looked for in what becomes of the request.
"""

from __future__ import annotations

import base64
import collections.abc
import datetime
import enum
import functools
import itertools
import json
import random
import sys
import types as python_types
import typing
from pathlib import Path
from typing import Any

import typing_extensions
from pydantic import BaseModel

DEEPEST = 7
NEEDED = {
    "FunctionDeclaration": ("name",), "FunctionResponseBlob": ("mime_type", "data"),
    "FunctionResponseFileData": ("mime_type", "file_uri"), "FunctionResponsePart": ("inline_data",),
}  # fmt: skip
"""What the types leave open and the API does not."""


class Maker:
    """Makes one request."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._numbers = itertools.count(chance.randrange(1000, 9000))
        self._eager = chance.choice([0.08, 0.2, 0.4])
        """How likely a member is that may be left out."""

    def number(self) -> int:
        return next(self._numbers)

    def word(self) -> str:
        return "w" + "".join(self.chance.choices("bcdfghjklmnpqrstvz", k=9))

    def make(self, kind: Any, name: str = "", depth: int = 0) -> Any:
        kind = bare(kind)
        origin = typing.get_origin(kind)
        if origin in (typing.Union, python_types.UnionType):
            return self._one_of(typing.get_args(kind), name, depth)
        if origin is typing.Literal:
            return self.chance.choice(typing.get_args(kind))
        if typing_extensions.is_typeddict(kind):
            return self._typed_dict(kind, depth)
        if origin in (list, collections.abc.Iterable, collections.abc.Sequence, tuple):
            least = 0 if depth > 3 else 1
            inner = typing.get_args(kind)[0]
            return [
                self.make(inner, name, depth + 1)
                for _ in range(self.chance.randint(least, 4 if depth < 2 else 2))
            ]
        if origin in (dict, collections.abc.Mapping) or kind is dict:
            return self._mapping(kind, name, depth)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._model(kind, depth)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return self.chance.choice(
                [member.value for member in kind if "UNSPECIFIED" not in str(member.value)]
            )
        if name in ("parameters_json_schema", "response_json_schema"):
            return self._mapping(dict, name, depth)
        return self._plain(kind, name)

    def _one_of(self, kinds: tuple[Any, ...], name: str, depth: int) -> Any:
        kinds = tuple([kind for kind in kinds if kind is not type(None) and "Omit" not in str(kind)])
        plain = [kind for kind in kinds if bare(kind) in (str, int, float, bool)]
        if name == "data" and str in kinds:
            return self._text(name)
        if depth >= DEEPEST and plain:
            kinds = tuple(plain)
        return self.make(self.chance.choice(kinds), name, depth)

    def _typed_dict(self, kind: Any, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if kind.__name__ == "FileFile":
            return {"file_id": self.word(), "filename": self.word()}
        for member, wanted in hints(kind).items():
            needed = is_needed(kind, member, wanted)
            if not needed and (depth >= DEEPEST or self.chance.random() > self._eager):
                continue
            made[member] = self.make(wanted, member, depth + 1)
        return made

    def _model(self, kind: type[BaseModel], depth: int) -> dict[str, Any]:
        if kind.__name__ == "Schema":
            return {
                "type": "OBJECT",
                "properties": {self.word(): {"type": "STRING", "description": self.word()}},
            }
        made: dict[str, Any] = {}
        needed = NEEDED.get(kind.__name__, ())
        for member, field in kind.model_fields.items():
            is_left_out = depth >= DEEPEST or self.chance.random() > max(self._eager, 0.15)
            if is_left_out and not field.is_required() and member not in needed:
                continue
            made[field.alias or member] = self.make(field.annotation, member, depth + 1)
        return made

    def _mapping(self, kind: Any, name: str, depth: int) -> dict[str, Any]:
        if name in ("parameters", "input_schema", "schema", "parameters_json_schema", "response_json_schema"):
            return {
                "type": "object",
                "properties": {self.word(): {"type": "string", "description": self.word()}},
                "additionalProperties": False,
            }
        arguments = typing.get_args(kind)
        inner = arguments[1] if len(arguments) == 2 else object
        if name == "logit_bias":
            return {str(self.number()): self.chance.randint(-90, 90)}
        return {self.word(): self.make(inner, name, depth + 1) for _ in range(self.chance.randint(1, 2))}

    def _plain(self, kind: Any, name: str) -> Any:
        if kind is bool:
            return self.chance.random() < 0.5
        if kind is int:
            return self._integer(name)
        if kind is float and name == "top_k":
            return self.number()
        if kind is float:
            return round(self.chance.uniform(0.02, 0.98), 4)
        if kind is str:
            return self._text(name)
        if kind is bytes:
            return base64.b64encode(self.word().encode()).decode()
        if kind in (datetime.datetime, datetime.date):
            return "2026-11-25T00:00:00Z"
        return self.word()

    def _integer(self, name: str) -> int:
        if name in ("n", "candidate_count"):
            return self.chance.choice([1, 2])
        if name in ("top_logprobs", "logprobs"):
            return self.chance.choice([2, 3, 4, 5])
        return self.number()

    def _text(self, name: str) -> str:
        word = self.word()
        data = base64.b64encode(word.encode()).decode()
        if name in ("url", "image_url", "file_url", "file_uri", "server_url"):
            if name != "url" and self.chance.random() < 0.4:
                return f"data:image/png;base64,{data}"
            return f"https://x.test/{word}.png"
        if name == "response_modalities":
            return self.chance.choice(["TEXT", "IMAGE", "AUDIO"])
        if name in ("file_data",):
            return f"data:application/pdf;base64,{data}"
        if name in ("data", "signature", "encrypted_content"):
            return data
        if name == "arguments":
            return json.dumps({word: self.number()})
        if name == "mime_type":
            return self.chance.choice(["image/png", "application/pdf", "audio/wav", "video/mp4"])
        return word


def bare(kind: Any) -> Any:
    """Without what only annotates: Required, NotRequired, Annotated, aliases."""
    while True:
        origin = typing.get_origin(kind)
        if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing_extensions.TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def is_needed(kind: Any, member: str, wanted: Any) -> bool:
    origin = typing.get_origin(wanted)
    if origin in (typing_extensions.Required, typing_extensions.NotRequired):
        return origin is typing_extensions.Required
    return member in kind.__required_keys__


@functools.cache
def hints(kind: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(kind, include_extras=True)


# -- conversations that could have happened: results answer calls, and calls are answered


def name_of(tool: dict[str, Any]) -> str:
    """Of a tool of any of OpenAI's or Anthropic's forms; empty where it has none."""
    for member in ("function", "custom"):
        if isinstance(tool.get(member), dict):
            return str(tool[member].get("name", ""))
    return str(tool.get("name", ""))


def with_real_choice(maker: Maker, body: dict[str, Any]) -> None:
    """A tool that is chosen is one of the tools."""
    choice = body.get("tool_choice")
    names = [name for tool in body.get("tools", []) if (name := name_of(tool))]
    if not isinstance(choice, dict):
        return
    places = [
        choice,
        *[choice[m] for m in ("function", "custom", "allowed_tools") if isinstance(choice.get(m), dict)],
    ]
    if "name" in str(places) or "tools" in str(places):
        if not names:
            del body["tool_choice"]
            return
        for place in places:
            if "name" in place and place.get("type") != "mcp":
                place["name"] = maker.chance.choice(names)
            if "tools" in place:
                name = maker.chance.choice(names)
                inside = {"name": name} if "allowed_tools" not in choice else {"function": {"name": name}}
                place["tools"] = [{"type": "function", **inside}]


def openai_chat(maker: Maker) -> dict[str, Any]:
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    body = maker.make(CompletionCreateParamsNonStreaming)
    with_real_choice(maker, body)
    if isinstance(body.get("function_call"), dict):
        named = [function["name"] for function in body.get("functions", [])]
        body["function_call"] = {"name": maker.chance.choice(named)} if named else "auto"
    messages: list[dict[str, Any]] = []
    for message in body["messages"]:
        if message["role"] in ("tool", "function"):
            continue
        if message["role"] == "assistant":
            message.pop("function_call", None)
        messages.append(message)
        for call in message.get("tool_calls", []):
            from openai.types.chat import ChatCompletionToolMessageParam

            messages.append(maker.make(ChatCompletionToolMessageParam) | {"tool_call_id": call["id"]})
    body["messages"] = [{"role": "user", "content": maker.word()}, *messages]
    return body


def openai_responses(maker: Maker) -> dict[str, Any]:
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

    body = maker.make(ResponseCreateParamsNonStreaming)
    with_real_choice(maker, body)
    body["model"] = maker.word()
    if isinstance(body.get("input"), list):
        items: list[dict[str, Any]] = [{"role": "user", "content": maker.word()}]
        for item in body["input"]:
            kind = item.get("type", "message")
            if kind.startswith(("function_call", "custom_tool_call")):
                item.setdefault("call_id", maker.word())
            if kind.endswith("_output") and kind in ("function_call_output", "custom_tool_call_output"):
                name = maker.word()
                called = {"type": kind.removesuffix("_output"), "call_id": item["call_id"], "name": name}
                wanted = "arguments" if kind == "function_call_output" else "input"
                items.append({**called, wanted: json.dumps({maker.word(): maker.number()})})
            items.append(item)
            if kind in ("function_call", "custom_tool_call"):
                items.append({"type": f"{kind}_output", "call_id": item["call_id"], "output": maker.word()})
        body["input"] = items
    elif "input" not in body:
        body["input"] = maker.word()
    return body


def anthropic_stable(maker: Maker) -> dict[str, Any]:
    from anthropic.types import ToolResultBlockParam
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

    return _anthropic(maker, maker.make(MessageCreateParamsNonStreaming), ToolResultBlockParam)


def anthropic_beta(maker: Maker) -> dict[str, Any]:
    from anthropic.types.beta import BetaToolResultBlockParam
    from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming

    body = maker.make(MessageCreateParamsNonStreaming)
    body.pop("betas", None)  # a header
    return _anthropic(maker, body, BetaToolResultBlockParam)


def _anthropic(maker: Maker, body: dict[str, Any], result: Any) -> dict[str, Any]:
    with_real_choice(maker, body)
    messages: list[dict[str, Any]] = [{"role": "user", "content": maker.word()}]
    for message in body["messages"]:
        said = message.setdefault("content", maker.word())
        if isinstance(said, list):
            said = [block for block in said if block.get("type") != "tool_result"]
            if message["role"] != "assistant":
                said = [block for block in said if block.get("type") != "tool_use"]
            message["content"] = said or maker.word()
        messages.append(message)
        calls = [block for block in said if isinstance(block, dict) and block.get("type") == "tool_use"]
        if calls:
            for call in calls:
                call.setdefault("id", maker.word())
            answers = [maker.make(result) | {"tool_use_id": call["id"]} for call in calls]
            messages.append({"role": "user", "content": answers})
    body["messages"] = messages
    return body


def gemini_generate(maker: Maker) -> dict[str, Any]:
    from google.genai import types

    top = {
        "safety_settings", "tools", "tool_config", "labels", "cached_content", "model_armor_config", "service_tier",
        "store", "system_instruction",
    }  # fmt: skip
    client_only = {
        "http_options", "should_return_http_response", "automatic_function_calling", "response_mime_type",
        "response_schema", "response_json_schema", "continuation_token", "automatic_continuation",
    }  # fmt: skip
    body: dict[str, Any] = {}
    configured: dict[str, Any] = {}
    for name, field in types.GenerateContentConfig.model_fields.items():
        if name in client_only or maker.chance.random() > 0.15:
            continue
        kind = field.annotation
        if name == "tools":
            kind = list[types.Tool]
        if name == "system_instruction":
            kind = types.Content
        (body if name in top else configured)[field.alias or name] = maker.make(kind, name, 1)
    if maker.chance.random() < 0.3:
        configured["responseMimeType"] = "application/json"
        if maker.chance.random() < 0.7:
            configured["responseJsonSchema"] = maker.make(dict, "response_json_schema")
    body["generationConfig"] = configured
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    declared = [
        f["name"]
        for tool in body.get("tools", [])
        for f in tool.get("functionDeclarations", [])
        if "name" in f
    ]
    if "allowedFunctionNames" in config:
        config["allowedFunctionNames"] = declared[:1]
    contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": maker.word()}]}]
    for number in range(maker.chance.randint(1, 4)):
        parts = [_gemini_part(maker, types) for _ in range(maker.chance.randint(1, 3))]
        if number % 2:
            contents.append({"role": "user", "parts": parts})
            continue
        called = [
            {
                "functionCall": {
                    "id": maker.word(),
                    "name": maker.word(),
                    "args": {maker.word(): maker.number()},
                }
            }
            for _ in range(maker.chance.choice([0, 0, 1, 2]))
        ]
        contents.append({"role": "model", "parts": [*parts, *called]})
        if called:
            answers = []
            for call in called:
                answer = maker.make(types.FunctionResponse, "", 4)
                answer |= {"id": call["functionCall"]["id"], "name": call["functionCall"]["name"]}
                answer.setdefault("response", {maker.word(): maker.word()})
                answers.append({"functionResponse": answer})
            contents.append({"role": "user", "parts": answers})
    body["contents"] = contents
    return body


def _gemini_part(maker: Maker, types: Any) -> dict[str, Any]:
    """A part is one thing, with a few members beside it."""
    one = [
        "text", "text", "text", "inline_data", "inline_data", "file_data", "executable_code", "code_execution_result",
        "tool_call", "tool_response",
    ]  # fmt: skip
    chosen = maker.chance.choice(one)
    beside = [name for name in types.Part.model_fields if name not in one and not name.startswith("function")]
    part: dict[str, Any] = {}
    for name in [chosen, *[name for name in beside if maker.chance.random() < 0.08]]:
        field = types.Part.model_fields[name]
        value = maker.make(field.annotation, name, 2)
        if name == "inline_data":
            value = {"mimeType": maker.make(str, "mime_type"), "data": maker.make(bytes), **value}
        if name == "file_data":
            value = {
                "mimeType": maker.make(str, "mime_type"),
                "fileUri": maker.make(str, "file_uri"),
                **value,
            }
        part[field.alias or name] = value
    return part


MAKERS = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_stable,
    "anthropic_messages-beta": anthropic_beta,
    "gemini_generate": gemini_generate,
}


def main() -> None:
    seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    for name, make in MAKERS.items():
        chance = random.Random(f"{seed} {name}")
        with (folder / f"{name}.jsonl").open("w") as out:
            for _ in range(count):
                out.write(json.dumps(make(Maker(chance))) + "\n")


if __name__ == "__main__":
    main()
