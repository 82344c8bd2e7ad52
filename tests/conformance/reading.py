"""What the official SDKs see in an answer, reduced to what means the same in every wire API.

Runs in the environment of the newest SDKs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

KEY: Final = "sk-conformance-Hk3vR8sQ1wXz5Lm7"

FINISH: Final = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "STOP": "stop", "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop", "eos": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "MAX_TOKENS": "length", "model_length": "length",
    "model_context_window_exceeded": "length", "max_output_tokens": "length",
    "tool_calls": "tool", "function_call": "tool", "tool_use": "tool", "TOOL_CALL": "tool",
    "content_filter": "filter", "refusal": "filter", "SAFETY": "filter", "RECITATION": "filter",
    "PROHIBITED_CONTENT": "filter", "BLOCKLIST": "filter", "SPII": "filter", "content_filtered": "filter",
    "guardrail_intervened": "filter", "ERROR_TOXIC": "filter",
}  # fmt: skip


class Unreadable(Exception):
    """The SDK cannot read it, or there is nothing to read."""


class Raised(Exception):
    """The SDK raised its error for a status: what it saw."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@dataclass
class Result:
    """An answer. Token counts are sets of the values that would be right."""

    text: str = ""
    tools: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = "other"
    input: set[int] = field(default_factory=set)
    output: set[int] = field(default_factory=set)
    cached: set[int] = field(default_factory=set)
    aside: str = ""
    """What of it is not compared, because other APIs cannot say it: the provider's own tools, media, more choices."""
    has_all_tools: bool = True
    """Whether `tools` are all there are; if not, calls and the kind of finish are not compared."""
    also_text: str = ""
    """What the text is as well, where a recording contradicts itself."""


def arguments(text: Any) -> Any:
    """A call's arguments as a value; what is no JSON stays text."""
    if not isinstance(text, str):
        return text if text is not None else {}
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def plain(model: Any) -> Any:
    """An SDK's object as plain values."""
    if hasattr(model, "model_dump"):
        return model.model_dump(mode="json", exclude_none=True, warnings=False)
    return model


def finish_class(word: Any, tools: list[Any]) -> str:
    """Stop and tool are one where there are calls: not all APIs have a word for it."""
    known = FINISH.get(str(word), "other")
    return "tool" if known == "stop" and tools else known


class Reader:
    """SDK clients that all point at one address."""

    def __init__(self, url: str, key: str = KEY) -> None:
        import anthropic
        import boto3
        import cohere
        import openai
        from botocore import UNSIGNED
        from botocore.config import Config
        from google import genai
        from google.genai import types
        from mistralai.client import Mistral

        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=20)
        self.genai = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, timeout=20_000))
        self.mistral = Mistral(api_key=key, server_url=url, timeout_ms=20_000)
        self.cohere = cohere.ClientV2(api_key=key, base_url=url, timeout=20)
        self.bedrock = boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=url,
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=20),
        )  # fmt: skip

    def read(self, how: str, model: str, *, stream: bool) -> Result:
        """Ask and read. Raises: Raised for an error status, Unreadable for everything else that goes wrong."""
        reading: Callable[[str, bool], Result] = getattr(self, how)
        try:
            return reading(model, stream)
        except Unreadable:
            raise
        except Exception as error:
            status = _status_of(error)
            if status is not None and status >= 400:
                raise Raised(status, str(error)) from error
            raise Unreadable(f"{type(error).__name__}: {str(error)[:500]}") from error

    # -- one method per way to read

    def openai_chat(self, model: str, stream: bool) -> Result:
        messages: Any = [{"role": "user", "content": "hi"}]
        if not stream:
            answer = plain(self.openai.chat.completions.create(model=model, messages=messages))
            return _chat(answer.get("choices") or [], answer.get("usage"))
        choices: dict[int, dict[str, Any]] = {}
        usage = None
        for chunk in self.openai.chat.completions.create(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}
        ):
            document = plain(chunk)
            usage = document.get("usage") or (document.get("x_groq") or {}).get("usage") or usage
            for choice in document.get("choices") or []:
                _gather(choices.setdefault(choice["index"], {"message": {}, "calls": []}), choice)
        for choice in choices.values():
            choice["message"]["tool_calls"] = choice.pop("calls")
        return _chat(list(choices.values()), usage)

    def openai_responses(self, model: str, stream: bool) -> Result:
        final: Any = None
        deltas = ""
        if stream:
            for event in self.openai.responses.create(model=model, input="hi", store=False, stream=True):
                if event.type == "response.output_text.delta":
                    deltas += event.delta
                elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                    final = event.response
                    break  # some recordings have several answers in a row
                elif event.type == "error":
                    raise Unreadable(f"an error event: {event.message}")
            if final is None:
                raise Unreadable("stream without its end")
        else:
            final = self.openai.responses.create(model=model, input="hi", store=False)
        result = _responses(plain(final))
        result.also_text = deltas
        return result

    def anthropic_messages(self, model: str, stream: bool) -> Result:
        request: Any = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": "hi"}]}
        if stream:
            with self.anthropic.messages.stream(**request) as events:
                is_done = False
                for event in events:
                    is_done |= event.type == "message_stop"
                message = plain(events.get_final_message())
            if not is_done:
                raise Unreadable("stream without message_stop")
        else:
            message = plain(self.anthropic.messages.create(**request))
        result = Result()
        for block in message["content"]:
            match block["type"]:
                case "text":
                    result.text += block["text"]
                case "tool_use":
                    result.tools.append((block["name"], arguments(block["input"])))
                case "thinking" | "redacted_thinking":
                    pass
                case other:
                    result.aside = other
        result.finish = finish_class(message.get("stop_reason"), result.tools)
        usage = message["usage"]
        read, made = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
        result.input, result.output, result.cached = (
            {usage["input_tokens"] + read + made},
            {usage["output_tokens"]},
            {read},
        )
        return result

    def gemini_generate(self, model: str, stream: bool) -> Result:
        models = self.genai.models
        if stream:
            chunks: list[Any] = list(models.generate_content_stream(model=model, contents="hi"))
        else:
            chunks = [models.generate_content(model=model, contents="hi")]
        result, word, usage = Result(), None, {}
        for chunk in chunks:
            usage.update(plain(chunk.usage_metadata) or {})
            if chunk.prompt_feedback and chunk.prompt_feedback.block_reason and not chunk.candidates:
                word = "SAFETY"
            for candidate in chunk.candidates or []:
                if candidate.index:
                    result.aside = "more choices than one"
                    continue
                word = candidate.finish_reason.value if candidate.finish_reason else word
                for part in (candidate.content.parts if candidate.content else None) or []:
                    if part.function_call:
                        result.tools.append((part.function_call.name, part.function_call.args or {}))
                    elif part.text is not None:
                        result.text += "" if part.thought else part.text
                    else:
                        result.aside = "media or the provider's own tools"
        if word is None and not result.text and not result.tools:
            raise Unreadable("no candidates")
        result.finish = finish_class(word, result.tools)
        if usage:
            prompt = usage.get("prompt_token_count") or 0
            result.input = {prompt, prompt + (usage.get("tool_use_prompt_token_count") or 0)}
            result.output = {
                (usage.get("candidates_token_count") or 0) + (usage.get("thoughts_token_count") or 0)
            }
            result.cached = {usage.get("cached_content_token_count") or 0}
        return result

    def mistral_chat(self, model: str, stream: bool) -> Result:
        messages: Any = [{"role": "user", "content": "hi"}]
        if not stream:
            answer = plain(self.mistral.chat.complete(model=model, messages=messages))
            return _chat(answer.get("choices") or [], answer.get("usage"))
        choices: dict[int, dict[str, Any]] = {}
        usage = None
        for event in self.mistral.chat.stream(model=model, messages=messages):
            document = plain(event.data)
            usage = document.get("usage") or usage
            for choice in document.get("choices") or []:
                _gather(choices.setdefault(choice["index"], {"message": {}, "calls": []}), choice)
        for choice in choices.values():
            choice["message"]["tool_calls"] = choice.pop("calls")
        return _chat(list(choices.values()), usage)

    def cohere_chat(self, model: str, stream: bool) -> Result:
        messages: Any = [{"role": "user", "content": "hi"}]
        once: Any = {"max_retries": 0}
        result = Result()
        if stream:
            word, usage, calls = None, None, []
            for event in self.cohere.chat_stream(model=model, messages=messages, request_options=once):
                document = plain(event)
                held = (document.get("delta") or {}).get("message") or {}
                match document["type"]:
                    case "content-start" | "content-delta":
                        result.text += held["content"].get("text") or ""
                    case "tool-call-start":
                        calls.append(
                            [
                                held["tool_calls"]["function"]["name"],
                                held["tool_calls"]["function"].get("arguments") or "",
                            ]
                        )
                    case "tool-call-delta":
                        calls[-1][1] += held["tool_calls"]["function"]["arguments"]
                    case "message-end":
                        word, usage = document["delta"].get("finish_reason"), document["delta"].get("usage")
            result.tools = [(name, arguments(text)) for name, text in calls]
        else:
            answer = plain(self.cohere.chat(model=model, messages=messages, request_options=once))
            word, usage, message = answer["finish_reason"], answer.get("usage"), answer["message"]
            result.text = "".join(block.get("text") or "" for block in message.get("content") or [])
            result.tools = [
                (call["function"]["name"], arguments(call["function"].get("arguments")))
                for call in message.get("tool_calls") or []
            ]
        result.finish = finish_class(word, result.tools)
        for name in ("tokens", "billed_units"):
            counted = (usage or {}).get(name) or {}
            if "input_tokens" in counted and "output_tokens" in counted:
                result.input.add(int(counted["input_tokens"]))
                result.output.add(int(counted["output_tokens"]))
        if result.input:
            result.cached = {int((usage or {}).get("cached_tokens") or 0)}
        return result

    def bedrock_converse(self, model: str, stream: bool) -> Result:
        request: Any = {"modelId": model, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        if stream:
            blocks, word, usage = _converse_stream(self.bedrock.converse_stream(**request)["stream"])
        else:
            answer = self.bedrock.converse(**request)
            message = (answer.get("output") or {}).get("message")
            if message is None:
                raise Unreadable("no message")
            blocks, word, usage = message["content"], answer["stopReason"], answer["usage"]
        result = Result()
        for block in blocks:
            if "text" in block:
                result.text += block["text"]
            elif "toolUse" in block:
                if block["toolUse"].get("type") == "server_tool_use":
                    result.aside = "the provider's own tools"
                    continue
                result.tools.append((block["toolUse"]["name"], arguments(block["toolUse"]["input"])))
            elif "citationsContent" in block:
                result.text += "".join(
                    part.get("text") or "" for part in block["citationsContent"]["content"]
                )
            elif "reasoningContent" not in block:
                result.aside = ", ".join(block)
        result.finish = finish_class(word, result.tools)
        if usage:
            read, made = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
            result.input, result.output = {usage["inputTokens"] + read + made}, {usage["outputTokens"]}
            result.cached = {read}
        return result


def _status_of(error: BaseException) -> int | None:
    """The HTTP status an SDK's exception carries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
        return int(status) if status else None
    for name in ("status_code", "code"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    return None


def _gather(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add one piece of a streamed choice."""
    delta = piece.get("delta") or {}
    choice["finish_reason"] = piece.get("finish_reason") or choice.get("finish_reason")
    for name in ("content", "refusal"):
        given = delta.get(name)
        if isinstance(given, list):  # Mistral's content chunks
            given = "".join(part.get("text") or "" for part in given)
        if given:
            choice["message"][name] = choice["message"].get(name, "") + given
    for part in delta.get("tool_calls") or []:
        _gather_call(choice["calls"], part)


def _gather_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """By index; what has an id and a name of its own is a new call, whatever its index says."""
    function = part.get("function") or {}
    index = part.get("index") or 0
    is_new = part.get("id") not in (None, "", "null") and not any(
        call["id"] == part["id"] for call in calls if call["index"] == index
    )
    held = next((call for call in reversed(calls) if call["index"] == index), None)
    if held is None or (is_new and function.get("name")):
        held = {"index": index, "id": part.get("id"), "function": {"name": "", "arguments": ""}}
        calls.append(held)
    held["function"]["name"] = held["function"]["name"] or function.get("name") or ""
    given = function.get("arguments")
    held["function"]["arguments"] += given if isinstance(given, str) else json.dumps(given) if given else ""


def _chat(choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> Result:
    if not choices:
        raise Unreadable("no choices")
    result = Result(aside="more choices than one" if len(choices) > 1 else "")
    message = choices[0].get("message") or {}
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    result.text = content + (message.get("refusal") or "")
    if message.get("audio") or message.get("images"):
        result.aside = "media"
    for call in message.get("tool_calls") or []:
        if call.get("function"):
            result.tools.append((call["function"]["name"], arguments(call["function"].get("arguments"))))
        elif call.get("custom"):
            result.tools.append((call["custom"]["name"], call["custom"]["input"]))
    result.finish = finish_class(choices[0].get("finish_reason"), result.tools)
    if usage and usage.get("prompt_tokens") is not None:
        prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens") or 0
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        result.input, result.output = {prompt}, {completion}
        if usage.get("total_tokens") == prompt + completion + reasoning:
            result.output = {completion + reasoning}  # xAI counts reasoning beside the completion
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if isinstance(usage.get("total_tokens"), int):
            result.input.add(
                usage["total_tokens"] - max(result.output)
            )  # Mistral's audio stands in the total only
        if (cached or 0) > prompt:
            result.input.add(prompt + cached)  # Grok at Azure counts what was cached beside the prompt
        others = {
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cached_tokens"),
            usage.get("num_cached_tokens"),
        } - {None}
        result.cached = {cached} if cached is not None else {int(value) for value in others} or {0}
    return result


def _responses(response: dict[str, Any]) -> Result:
    if "output" not in response:
        raise Unreadable("no output")
    if response.get("status") in ("queued", "in_progress"):
        raise Unreadable("an answer in the background, not finished")
    result = Result()
    for item in response["output"]:
        match item["type"]:
            case "message":
                result.text += "".join(
                    part.get("text") or part.get("refusal") or "" for part in item["content"]
                )
            case "function_call":
                result.tools.append((item["name"], arguments(item["arguments"])))
            case "custom_tool_call":
                result.aside = "a custom tool's call, which a plain client did not ask for"
                result.has_all_tools = False
            case "reasoning":
                pass
            case other:
                result.aside = other
    reason = (response.get("incomplete_details") or {}).get("reason")
    result.finish = finish_class(reason or response.get("status"), result.tools)
    if usage := response.get("usage"):
        result.input, result.output = {usage["input_tokens"]}, {usage["output_tokens"]}
        result.cached = {(usage.get("input_tokens_details") or {}).get("cached_tokens") or 0}
    return result


def _converse_stream(events: Any) -> tuple[list[dict[str, Any]], Any, Any]:
    blocks: dict[int, dict[str, Any]] = {}
    word, usage = None, None
    for event in events:
        ((kind, held),) = event.items()
        at = held.get("contentBlockIndex") if isinstance(held, dict) else None
        if kind == "contentBlockStart":
            start = held["start"]
            blocks[at] = {"toolUse": {**start["toolUse"], "input": ""}} if "toolUse" in start else dict(start)
        elif kind == "contentBlockDelta":
            delta = held["delta"]
            if "text" in delta:
                blocks.setdefault(at, {"text": ""}).setdefault("text", "")
                blocks[at]["text"] += delta["text"]
            elif "toolUse" in delta:
                blocks[at]["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "reasoningContent" in delta:
                blocks.setdefault(at, {"reasoningContent": {}})
        elif kind == "messageStop":
            word = held["stopReason"]
        elif kind == "metadata":
            usage = held["usage"]
    if word is None:
        raise Unreadable("stream without messageStop")
    return [blocks[at] for at in sorted(blocks)], word, usage
