"""A provider is data: where it lives, what it speaks, how it is opened, and in what it deviates."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field


class Framing(StrEnum):
    """How an upstream's streams and bodies are wrapped where they are not what their dialect says."""

    PLAIN = "plain"
    BEDROCK_CHUNKS = "bedrock_chunks"
    """Each event is base64 in the `bytes` of an AWS event stream message of type `chunk` (Bedrock's
    InvokeModelWithResponseStream)."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the provider can do.

    `{model}` in a path stands for the upstream's model, percent-encoded; `{project}`, `{region}`, `{api_version}` for
    the settings of the same name in the configuration.
    """

    operation: Operation
    dialect: str
    path: str
    """Below the base URL, with its leading slash; a query may follow."""
    stream_path: str | None = None
    """Where streams have a path of their own."""
    own_path: str | None = None
    """For callers of the same dialect, where `{verb}` stands for the one they used and another would not do."""
    stream_type: str = "text/event-stream"
    """The content type of its streams."""
    framing: Framing = Framing.PLAIN
    model_in_body: bool = True
    """False where the path names the model and a `model` in the body is refused."""
    body_fields: tuple[tuple[str, Any], ...] = ()
    """Top-level members every body gets, as `anthropic_version` at Bedrock and Vertex."""
    beta_field: str | None = None
    """The top-level member that takes the `anthropic-beta` names, where they go in the body instead of the header."""
    traits: tuple[tuple[str, Any], ...] = ()
    """Traits of the provider that differ here. What a model has of its own goes before them."""


class AuthScheme(StrEnum):
    """How a request is opened."""

    HEADER = "header"
    """The credential stands in a header."""
    AWS_SIGV4 = "aws_sigv4"
    """Each request is signed (AWS Signature Version 4): the credential is `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, perhaps
    with `:SESSION_TOKEN`. A credential without `:` is a Bedrock API key and goes in the header."""
    ENTRA = "entra"
    """The credential is JSON with tenant_id, client_id, client_secret: a bearer token is minted from it. Other
    credentials are API keys and go in the header."""
    GOOGLE_SERVICE_ACCOUNT = "google_service_account"
    """The credential is a service account's JSON key: a bearer token is minted from it. Other credentials are taken
    for access tokens."""


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """The header a credential travels in, and how it gets there."""

    header: str = "authorization"
    prefix: str = "Bearer "
    scheme: AuthScheme = AuthScheme.HEADER
    service: str = ""
    """AWS: the service's name in the signature."""
    scope: str = ""
    """Entra and Google: what the token is for."""


class Support(StrEnum):
    """How a wish is fulfilled."""

    NATIVE = "native"
    EMULATED = "emulated"
    """By a hidden tool whose arguments are the answer."""
    REFUSED = "refused"


class Thinking(StrEnum):
    """How an upstream is told to think."""

    NONE = "none"
    """Not at all: the wish is a declared loss."""
    EFFORT = "effort"
    """OpenAI's `reasoning_effort` or `reasoning.effort`."""
    OBJECT = "object"
    """OpenRouter's `reasoning: {effort, max_tokens, enabled}`."""
    BUDGET = "budget"
    """A number of tokens: Anthropic's `thinking.budget_tokens`, Gemini's `thinkingBudget`."""
    ADAPTIVE = "adaptive"
    """Anthropic's `thinking: {type: adaptive}` with `output_config.effort`."""
    LEVEL = "level"
    """Gemini's `thinkingLevel`."""
    SWITCH = "switch"
    """On or off: `thinking: {type: enabled|disabled}` in chat completions (DeepSeek)."""


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream takes and how it spells it, as far as writers of requests must know. The defaults are those of
    the provider that invented the dialect."""

    issuer: str = "openai"
    """Whose signatures it reads: `anthropic` wherever Claude is served, `gemini` wherever Gemini is, else its kind."""
    unsupported: frozenset[Field] = frozenset()
    """What it refuses: left out and declared."""
    json_schema: Support = Support.NATIVE
    json_object: Support = Support.NATIVE
    thinking: Thinking = Thinking.EFFORT
    efforts: frozenset[str] = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
    """The effort words it takes; others are moved to the nearest. Without `none` among them, thinking cannot be
    switched off, whatever the style."""
    instruction_role: str = "system"
    """Chat completions: the role of instructions."""
    output_limit_field: str = "max_completion_tokens"
    """Chat completions: `max_tokens` at most others than OpenAI."""
    seed_field: str = "seed"
    required_word: str = "required"
    """Chat completions: `any` at Mistral."""
    reasoning_history: str | None = None
    """Chat completions: the assistant's message field that earlier reasoning goes back in (`reasoning_content`,
    `reasoning`); None where it is not taken back."""
    call_id_pattern: str | None = None
    """A regular expression for whole ids of tool calls; others are replaced, the same by the same."""
    takes_custom_tools: bool = False
    takes_forced_tools: bool = True
    """Whether it can be told that it must use a tool, or which one."""
    takes_stream_options: bool = True
    """Whether `stream_options.include_usage` may be sent on streams."""
    takes_image_urls: bool = True
    takes_document_urls: bool = True
    takes_plain_urls: bool = True
    """Whether these URLs may be http too; else only https."""
    takes_result_media: bool = True
    """Whether a tool's result may have pictures in it; else they follow in a message of the user's."""
    takes_strict_tools: bool = True
    takes_cache_marks: bool = False
    """Chat completions: `cache_control` on parts (OpenRouter)."""
    max_output_tokens: int | None = None
    """How long an answer may be; sent where the dialect demands a limit and the caller named none."""
    keeps_responses: bool = True
    """Responses: whether an earlier answer can be gone on from by its id (`previous_response_id`)."""
    server_tools: frozenset[str] = frozenset()
    """Kinds of core.request.ServerTool it runs."""
    only_dialect: str | None = None
    """Of the dialects the provider offers for conversations the one this model can be reached in; None: any."""
    tools_dialect: str | None = None
    """The same for conversations with tools."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of upstream. A file under `providers/` defines one as `PROVIDER`; strangers register theirs under the
    entry point group `tollhouse.providers`."""

    kind: str
    title: str
    """The name people know it by."""
    docs_url: str
    """Where its API is described, and in the module's docstring when it was read."""
    endpoints: tuple[Endpoint, ...]
    """Of several dialects for one operation the first is taken for callers of another one."""
    base_url: str | None = None
    """What the official SDK takes; None where each installation has its own. May have `{region}` and the like."""
    region_base_urls: tuple[tuple[str, str], ...] = ()
    """Regions that have another one."""
    auth: Auth = Auth()
    needs_credential: bool = True
    settings: tuple[str, ...] = ()
    """Which of `region`, `project`, `api_version` the configuration must give."""
    setting_defaults: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Fixed headers of every call."""
    betas: tuple[str, ...] | None = None
    """Globs over the `anthropic-beta` names it takes; None: all."""
    traits: Traits = Traits()
    models: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Globs over model names with the traits that differ there; every match counts, later ones win."""

    def endpoint(self, operation: Operation, dialect: str) -> Endpoint | None:
        """The endpoint for an operation in a dialect, or None."""
        for endpoint in self.endpoints:
            if endpoint.operation is operation and endpoint.dialect == dialect:
                return endpoint
        return None

    def base_url_in(self, region: str | None) -> str | None:
        """The base URL for a region, its settings not filled in."""
        return dict(self.region_base_urls).get(region or "", self.base_url)

    def traits_for(self, model: str, endpoint: Endpoint | None = None) -> Traits:
        """The traits of one model, by its upstream's name in lower case, where it is reached at `endpoint`."""
        changes: dict[str, Any] = dict(endpoint.traits) if endpoint is not None else {}
        name = model.lower()
        for glob, changed in self.models:
            if fnmatchcase(name, glob):
                changes |= changed
        return msgspec.structs.replace(self.traits, **changes) if changes else self.traits
