"""What is asked, whatever the wire API it is asked in.

Absent is None, never a default: what the caller did not say is left to whoever answers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from .content import CacheMark, Message, Text, ToolKind


class Field(StrEnum):
    """Everything a request can say that not every dialect can: a writer that must leave one out names it.

    Each dialect's reader says how its callers spell them.
    """

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    FREQUENCY_PENALTY = "frequency_penalty"
    PRESENCE_PENALTY = "presence_penalty"
    SEED = "seed"
    STOP = "stop"
    N = "n"
    LOGPROBS = "logprobs"
    TOP_LOGPROBS = "top_logprobs"
    LOGIT_BIAS = "logit_bias"
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    END_USER = "end_user"
    METADATA = "metadata"
    SERVICE_TIER = "service_tier"
    PROMPT_CACHE_KEY = "prompt_cache_key"
    PROMPT_CACHE_RETENTION = "prompt_cache_retention"
    CACHE_MARKS = "cache_marks"
    VERBOSITY = "verbosity"
    REASONING = "reasoning"
    """Whether and how much to think: effort or budget."""
    REASONING_SUMMARY = "reasoning_summary"
    THINKING_PARTS = "thinking_parts"
    """Earlier reasoning in the conversation."""
    OUTPUT_FORMAT = "output_format"
    STRICT_TOOLS = "strict_tools"
    PARALLEL_TOOL_CALLS = "parallel_tool_calls"
    TOOL_CHOICE = "tool_choice"
    CUSTOM_TOOL_GRAMMAR = "custom_tool_grammar"
    SERVER_TOOLS = "server_tools"
    MESSAGE_NAMES = "message_names"
    IMAGE_DETAIL = "image_detail"
    MEDIA = "media"
    MEDIA_NAMES = "media_names"
    """What files are called."""
    CITATIONS = "citations"
    OPAQUE_PARTS = "opaque_parts"
    TOOL_ERRORS = "tool_errors"
    """That a tool's result is an error."""
    MODALITIES = "modalities"
    STORE = "store"
    DIMENSIONS = "dimensions"
    EMBEDDING_TASK = "embedding_task"
    TRUNCATION = "truncation"


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Something the caller said that the upstream will not be told."""

    field: Field
    is_vital: bool = False
    """Whether the answer would be another one without it: refused unless the route says `drop`."""
    why: str = ""
    """For people: a sentence that names what cannot be carried, as in `The tool 'web_search' runs at OpenAI only.`"""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None


class FormatKind(StrEnum):
    """What an answer has to look like."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form of the answer's text."""

    kind: FormatKind
    name: str | None = None
    description: str | None = None
    schema: Any = None
    """A JSON schema, decoded; only for JSON_SCHEMA."""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how much the model is to think first. All None: as the model pleases."""

    is_enabled: bool | None = None
    effort: str | None = None
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`."""
    budget_tokens: int | None = None
    summary: str | None = None
    """What is shown of it: OpenAI's `auto`, `concise`, `detailed`; `none` where it shall not be shown."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of the caller's, which the model may ask for."""

    name: str
    kind: ToolKind = ToolKind.FUNCTION
    description: str | None = None
    schema: Any = None
    """The JSON schema of its arguments, decoded; None where there are none, and for custom tools."""
    strict: bool | None = None
    grammar: dict[str, Any] | None = None
    """OpenAI's `format` of a custom tool."""
    namespace: str | None = None
    cache: CacheMark | None = None


class ServerTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the provider runs itself."""

    dialect: str
    """In whose words `value` is."""
    kind: str
    """What it is in every dialect that has it: `web_search`, `code_execution`, `web_fetch`, `file_search`,
    `image_generation`, `computer_use`, `mcp`; else the dialect's own word."""
    name: str
    """As the caller wrote its type, for messages to people."""
    value: dict[str, Any]
    """The decoded JSON of the whole tool."""
    cache: CacheMark | None = None


class ChoiceMode(StrEnum):
    """Whether tools may or must be asked for."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`names` narrows the tools: REQUIRED with one name forces that tool."""

    mode: ChoiceMode
    names: tuple[str, ...] = ()


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a model that converses."""

    model: str
    """The upstream's name once a candidate is chosen; before, the caller's."""
    messages: tuple[Message, ...]
    instructions: tuple[Text, ...] = ()
    """What stands before the conversation: leading system and developer messages."""
    tools: tuple[Tool | ServerTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None
    stream: bool = False
    end_user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    """OpenAI's words: `auto`, `default`, `flex`, `priority`."""
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    cache: CacheMark | None = None
    """A mark on the request as a whole: cache up to the last part there is (Anthropic's automatic caching)."""
    modalities: tuple[str, ...] = ()
    """Lower-case kinds of output wanted beside or instead of text, such as `audio` or `image`."""
    store: bool | None = None
    wants_encrypted_reasoning: bool = False
