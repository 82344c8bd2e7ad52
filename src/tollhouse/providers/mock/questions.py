"""What is asked of the mock: one request, read as OpenAI would read it, or refused as OpenAI would refuse it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tollhouse.core.operation import Operation

from .script import split_model

BASE_PATH: Final = "/v1"
MAX_CHOICES: Final = 128
"""OpenAI's own bound of `n` in chat completions."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request as it arrived."""

    number: int
    """Counts the calls of one server from 1: makes ids that differ and can be foretold."""
    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    """Lower-case names; values of the same name joined by a comma."""
    body: bytes = b""
    is_http11: bool = True
    """Whether the client understands chunked bodies."""


class Refused(Exception):
    """A request the mock answers with an error in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


class _TextPart(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content if part.text)
        return self.content or ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Function(msgspec.Struct):
    name: str


class _Tool(msgspec.Struct):
    function: _Function | None = None


class _Generation(msgspec.Struct, kw_only=True):
    """The fields chat and completions share."""

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None


class _Chat(_Generation, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Tool | None = None


class _Completion(_Generation, kw_only=True):
    prompt: str | list[Any] = ""


class _Embeddings(msgspec.Struct, kw_only=True):
    model: str
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: str | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A sound request, reduced to what the answer depends on."""

    number: int
    operation: Operation
    model: str = ""
    prompts: Sequence[str] = ()
    """What was asked, last first in importance: the answer echoes the last one."""
    prompt_tokens: int = 0
    """Words; token ids count one each."""
    is_stream: bool = False
    wants_usage: bool = False
    """`stream_options.include_usage`."""
    choices: int = 1
    max_tokens: int | None = None
    forced_tool: str | None = None
    """The function the caller insists on."""
    dimensions: int = 16
    wants_base64: bool = False


_DECODERS: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    f"{BASE_PATH}/chat/completions": msgspec.json.Decoder(_Chat),
    f"{BASE_PATH}/completions": msgspec.json.Decoder(_Completion),
    f"{BASE_PATH}/embeddings": msgspec.json.Decoder(_Embeddings),
}


def read(call: Call) -> Question:
    """Judge a request. Raises: Refused."""
    path = call.path.partition("?")[0]
    if path == f"{BASE_PATH}/models":
        _expect(call, "GET")
        return Question(number=call.number, operation=Operation.LIST_MODELS)
    decoder = _DECODERS.get(path)
    if decoder is None:
        raise Refused(404, f"The mock has no {call.method} {call.path[:200]}.", code="unknown_url")
    _expect(call, "POST")
    asked = _decode(decoder, call.body)
    match asked:
        case _Chat():
            return _chat(call.number, asked)
        case _Completion():
            return _completion(call.number, asked)
        case _:
            return _embeddings(call.number, asked)


def _expect(call: Call, method: str) -> None:
    if call.method != method:
        raise Refused(405, f"{call.path[:200]} takes {method}, not {call.method}.", code="method_not_allowed")


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"The request does not fit: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"The body is not JSON: {error}.") from None


def _choices(asked: _Generation) -> int:
    if asked.n is None:
        return 1
    if not 1 <= asked.n <= MAX_CHOICES:
        raise Refused(400, f"n is {asked.n}; it may be 1 to {MAX_CHOICES}.", param="n")
    return asked.n


def _limit(limit: int | None, param: str) -> int | None:
    if limit is not None and limit < 1:
        raise Refused(400, f"{param} is {limit}; it must be 1 or more.", param=param)
    return limit


def _forced_tool(asked: _Chat) -> str | None:
    names = [tool.function.name for tool in asked.tools or () if tool.function]
    choice = asked.tool_choice
    if isinstance(choice, _Tool) and choice.function:
        if choice.function.name not in names:
            raise Refused(400, "tool_choice names a function that is not in tools.", param="tool_choice")
        return choice.function.name
    if choice == "required":
        if not names:
            raise Refused(400, "tool_choice is required and tools has no function.", param="tool_choice")
        return names[0]
    return None


def _chat(number: int, asked: _Chat) -> Question:
    if not asked.messages:
        raise Refused(400, "messages is empty; at least one message is needed.", param="messages")
    limit = _limit(asked.max_completion_tokens, "max_completion_tokens") or _limit(
        asked.max_tokens, "max_tokens"
    )
    said = [message.text for message in asked.messages if message.role == "user"]
    return Question(
        number=number,
        operation=Operation.CHAT,
        model=split_model(asked.model)[0],
        prompts=said,
        prompt_tokens=sum(words(message.text) for message in asked.messages),
        is_stream=bool(asked.stream),
        wants_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        choices=_choices(asked),
        max_tokens=limit,
        forced_tool=_forced_tool(asked),
    )


def _completion(number: int, asked: _Completion) -> Question:
    texts, tokens = _texts(asked.prompt)
    return Question(
        number=number,
        operation=Operation.TEXT_COMPLETION,
        model=split_model(asked.model)[0],
        prompts=texts,
        prompt_tokens=tokens,
        is_stream=bool(asked.stream),
        wants_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        choices=_choices(asked),
        max_tokens=_limit(asked.max_tokens, "max_tokens"),
    )


def _embeddings(number: int, asked: _Embeddings) -> Question:
    texts, tokens = _texts(asked.input)
    if not texts:
        raise Refused(400, "input is empty; at least one text is needed.", param="input")
    dimensions = 16 if asked.dimensions is None else asked.dimensions
    if not 1 <= dimensions <= 4096:
        raise Refused(400, f"dimensions is {dimensions}; it may be 1 to 4096.", param="dimensions")
    if asked.encoding_format not in (None, "float", "base64"):
        raise Refused(400, "encoding_format may be float or base64.", param="encoding_format")
    return Question(
        number=number,
        operation=Operation.EMBEDDINGS,
        model=split_model(asked.model)[0],
        prompts=texts,
        prompt_tokens=tokens,
        dimensions=dimensions,
        wants_base64=asked.encoding_format == "base64",
    )


def _texts(asked: str | list[Any]) -> tuple[list[str], int]:
    """The texts of a prompt or input in any of its four forms, and their tokens."""
    if isinstance(asked, str):
        return [asked], words(asked)
    if asked and all(isinstance(item, int) for item in asked):
        return [_spelled(asked)], len(asked)
    texts, tokens = [], 0
    for item in asked:
        if isinstance(item, str):
            texts.append(item)
            tokens += words(item)
        elif isinstance(item, list) and all(isinstance(token, int) for token in item):
            texts.append(_spelled(item))
            tokens += len(item)
        else:
            raise Refused(400, "Expected a text, token ids, or a list of either.", param="input")
    return texts, tokens


def _spelled(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))


def words(text: str) -> int:
    """The mock's tokens: what stands between spaces. Counted without splitting, so that a long prompt costs nothing."""
    return text.count(" ") + 1 if text else 0
