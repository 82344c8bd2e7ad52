"""What providers really answer when they refuse, and what the house makes of it: one row an error.

Bodies are retyped from recorded answers, providers' error references and reports of users, shortened and without
anybody's ids. `told` is what the caller of each dialect gets, whatever dialect the upstream speaks.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tollhouse.core.errors import Blame, ErrorKind

CHAT, RESPONSES, ANTHROPIC = "openai_chat", "openai_responses", "anthropic_messages"
GEMINI, BEDROCK, COHERE = "gemini_generate", "bedrock_converse", "cohere_chat"

BAD, UNSUPPORTED = ErrorKind.INVALID_REQUEST, ErrorKind.UNSUPPORTED_PARAMETER
TOO_LONG, BLOCKED = ErrorKind.CONTEXT_LENGTH_EXCEEDED, ErrorKind.CONTENT_BLOCKED
NO_MODEL, LIMITED = ErrorKind.ROUTE_NOT_FOUND, ErrorKind.UPSTREAM_RATE_LIMITED
DOWN, NONSENSE = ErrorKind.UPSTREAM_UNAVAILABLE, ErrorKind.UPSTREAM_INVALID_RESPONSE
CLIENT, OPERATOR, UPSTREAM = Blame.CLIENT, Blame.OPERATOR, Blame.UPSTREAM


class Told(NamedTuple):
    """What callers get: the status, and the word for it in each dialect that has one."""

    status: int
    openai: str
    anthropic: str
    google: str
    aws: str


REFUSED = Told(
    400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", "ValidationException"
)
UNFIT = REFUSED._replace(status=422)
TOO_LARGE = REFUSED._replace(status=413, anthropic="request_too_large")
KEY = Told(
    401, "authentication_error", "authentication_error", "UNAUTHENTICATED", "ServiceUnavailableException"
)
BARRED = Told(403, "permission_error", "permission_error", "PERMISSION_DENIED", "ServiceUnavailableException")
UNPAID = Told(
    402, "insufficient_quota", "billing_error", "FAILED_PRECONDITION", "ServiceUnavailableException"
)
GONE = Told(404, "not_found_error", "not_found_error", "NOT_FOUND", "ResourceNotFoundException")
NO_MODEL_400 = REFUSED._replace(aws="ResourceNotFoundException")
SLOW = Told(429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException")
FAILED = Told(502, "api_error", "api_error", "UNAVAILABLE", "ServiceUnavailableException")
BUSY = FAILED._replace(anthropic="overloaded_error")
LATE = FAILED._replace(anthropic="timeout_error")
HOUSE_400 = Told(400, "api_error", "api_error", "FAILED_PRECONDITION", "ServiceUnavailableException")
"""The house is refused with a 400: no word may tell the caller that the request was wrong where there is another."""
GARBLED = Told(502, "api_error", "api_error", "UNAVAILABLE", "ModelErrorException")


class Golden(NamedTuple):
    """One error of one provider."""

    name: str
    dialect: str
    status: int
    body: dict[str, Any] | list[Any] | bytes
    kind: ErrorKind
    blame: Blame
    words: str
    """The provider's own, found in what every caller is told."""
    told: Told
    header: str | None = None
    """Its `retry-after`."""
    wait_s: float | None = None

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def openai(
    message: str, kind: str | None, code: object = None, param: str | None = None, **more: Any
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code, **more}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_0"}


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def aws(message: str) -> dict[str, Any]:
    return {"message": message}


IRE = "invalid_request_error"
RPC = "type.googleapis.com/google.rpc."
AZURE_FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
    "your prompt and retry."
)
SEVERITIES = {
    "hate": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": True, "severity": "medium"},
}
FLAGGED = "Invalid prompt: your prompt was flagged as potentially violating our usage policy."
TPM = (
    "Request too large for model `llama-3.3-70b-versatile` in organization `org_0` service tier `on_demand` on tokens "
    "per minute (TPM): Limit 6000, Requested 14810, please reduce your message size and try again."
)
EXTRA = [
    {
        "type": "extra_forbidden",
        "loc": ["body", "messages", 0, "user", "name"],
        "msg": "Extra inputs are not permitted",
    }
]
OTHERS_408 = Told(408, "api_error", "timeout_error", "DEADLINE_EXCEEDED", "ModelTimeoutException")
GROQ_498 = Told(498, "api_error", "api_error", "UNAVAILABLE", "ServiceUnavailableException")
XAI_CREDITS = "Your team 0 has either used all available credits or reached its monthly spending limit."

OPENAI_ERRORS = [
    Golden("openai overflow, chat", CHAT, 400,
        openai("This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens.",
            IRE, "context_length_exceeded", "messages"),
        TOO_LONG, CLIENT, "8227 tokens", REFUSED),
    Golden("openai overflow, responses", RESPONSES, 400,
        openai("Your input exceeds the context window of this model. Please adjust your input and try again.",
            IRE, "context_length_exceeded", "input"),
        TOO_LONG, CLIENT, "exceeds the context window of this model", REFUSED),
    Golden("openai text too long", CHAT, 400,
        openai("Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576.",
            IRE, "string_above_max_length", "messages[0].content"),
        TOO_LONG, CLIENT, "string too long", REFUSED),
    Golden("openai id too long", CHAT, 400,
        openai("Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 40.",
            IRE, "string_above_max_length", "messages[2].tool_calls[0].id"),
        BAD, CLIENT, "maximum length 40", REFUSED),
    Golden("openai output limit", CHAT, 400,
        openai("max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
            IRE, "invalid_value", "max_tokens"),
        BAD, CLIENT, "at most 16384 completion tokens", REFUSED),
    Golden("openai key", CHAT, 401,
        openai("Incorrect API key provided: sk-proj-*******wxyz. You can find your API key there.",
            IRE, "invalid_api_key"),
        DOWN, OPERATOR, "Incorrect API key provided", KEY._replace(openai=IRE)),
    Golden("openai region", CHAT, 403,
        openai("Country, region, or territory not supported", "request_forbidden",
            "unsupported_country_region_territory"),
        DOWN, OPERATOR, "Country, region, or territory not supported", BARRED._replace(openai="request_forbidden")),
    Golden("openai model", CHAT, 404,
        openai("The model `gpt-5.2-proo` does not exist or you do not have access to it.", IRE, "model_not_found"),
        NO_MODEL, OPERATOR, "gpt-5.2-proo", GONE._replace(openai=IRE)),
    Golden("openai model, responses", RESPONSES, 400,
        openai("The requested model 'gpt-5.2-proo' does not exist.", IRE, "model_not_found", "model"),
        NO_MODEL, OPERATOR, "does not exist", NO_MODEL_400),
    Golden("openai parameter", CHAT, 400,
        openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
            IRE, "unsupported_parameter", "max_tokens"),
        UNSUPPORTED, CLIENT, "max_completion_tokens", REFUSED),
    Golden("openai parameter, responses", RESPONSES, 400,
        openai("Unsupported parameter: 'temperature' is not supported with this model.", IRE, None, "temperature"),
        UNSUPPORTED, CLIENT, "temperature", REFUSED),
    Golden("openai rate", CHAT, 429,
        openai("Rate limit reached for gpt-5 in organization org-0 on tokens per min (TPM): Limit 30000, Used 29000, "
            "Requested 1500. Please try again in 1m2.5s.", "tokens", "rate_limit_exceeded"),
        LIMITED, UPSTREAM, "Rate limit reached", SLOW._replace(openai="tokens"), None, 62.5),
    Golden("openai rate with header", CHAT, 429,
        openai("Rate limit reached for requests. Please try again in 20ms.", "requests", "rate_limit_exceeded"),
        LIMITED, UPSTREAM, "Rate limit reached", SLOW._replace(openai="requests"), "3", 3.0),
    Golden("openai more than a minute's worth", CHAT, 429,
        openai("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 61337.",
            "tokens", "rate_limit_exceeded"),
        LIMITED, OPERATOR, "Limit 30000", SLOW._replace(openai="tokens")),
    Golden("openai quota", CHAT, 429,
        openai("You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota", "insufficient_quota"),
        LIMITED, OPERATOR, "current quota", SLOW._replace(openai="insufficient_quota")),
    Golden("openai flagged", RESPONSES, 400, openai(FLAGGED, IRE, "invalid_prompt"), BLOCKED, CLIENT, FLAGGED, REFUSED),
    Golden("openai server", CHAT, 500,
        openai("The server had an error while processing your request. Sorry about that!", "server_error"),
        DOWN, UPSTREAM, "Sorry about that", FAILED._replace(openai="server_error")),
    Golden("openai overloaded", CHAT, 503,
        openai("The engine is currently overloaded, please try again later.", "server_error"),
        DOWN, UPSTREAM, "currently overloaded", BUSY._replace(openai="server_error")),
    Golden("azure filter", CHAT, 400,
        openai(AZURE_FILTERED, None, "content_filter", "prompt", status=400,
            innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": SEVERITIES}),
        BLOCKED, CLIENT, AZURE_FILTERED, REFUSED),
    Golden("azure rate", CHAT, 429,
        {"error": {"code": "RateLimitReached", "message": "Your requests have exceeded rate limit.", "details": "…"}},
        LIMITED, UPSTREAM, "exceeded rate limit", SLOW, "1", 1.0),
    Golden("azure deployment", CHAT, 404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}},
        NO_MODEL, OPERATOR, "does not exist", GONE),
    Golden("azure key", CHAT, 401,
        {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint."}},
        DOWN, OPERATOR, "invalid subscription key", KEY),
]  # fmt: skip

ANTHROPIC_ERRORS = [
    Golden("anthropic overflow", ANTHROPIC, 400, anthropic(IRE, "prompt is too long: 3333404 tokens > 200000 maximum"),
        TOO_LONG, CLIENT, "3333404 tokens > 200000 maximum", REFUSED),
    Golden("anthropic overflow with output", ANTHROPIC, 400,
        anthropic(IRE, "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000"),
        TOO_LONG, CLIENT, "199211 + 20000 > 200000", REFUSED),
    Golden("anthropic overflow on vertex", ANTHROPIC, 400, anthropic(IRE, "Prompt is too long"),
        TOO_LONG, CLIENT, "Prompt is too long", REFUSED),
    Golden("anthropic overflow of the window", ANTHROPIC, 400,
        anthropic(IRE, "The request exceeds the model's context window of 200000 tokens"),
        TOO_LONG, CLIENT, "context window of 200000 tokens", REFUSED),
    Golden("anthropic output limit", ANTHROPIC, 400,
        anthropic(IRE, "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude-x"),
        BAD, CLIENT, "maximum allowed number of output tokens", REFUSED),
    Golden("anthropic shape", ANTHROPIC, 400, anthropic(IRE, "messages.0: Input does not match the expected shape."),
        BAD, CLIENT, "messages.0", REFUSED),
    Golden("anthropic filter", ANTHROPIC, 400, anthropic(IRE, "Output blocked by content filtering policy"),
        BLOCKED, CLIENT, "Output blocked", REFUSED),
    Golden("anthropic credit", ANTHROPIC, 400,
        anthropic(IRE, "Your credit balance is too low to access the Anthropic API."),
        DOWN, OPERATOR, "credit balance is too low", HOUSE_400._replace(openai=IRE, anthropic=IRE)),
    Golden("anthropic key", ANTHROPIC, 401, anthropic("authentication_error", "invalid x-api-key"),
        DOWN, OPERATOR, "invalid x-api-key", KEY),
    Golden("anthropic billing", ANTHROPIC, 402, anthropic("billing_error", "There is an issue with your payment."),
        DOWN, OPERATOR, "your payment", UNPAID),
    Golden("anthropic permission", ANTHROPIC, 403,
        anthropic("permission_error", "Your API key does not have permission to use the specified resource."),
        DOWN, OPERATOR, "does not have permission", BARRED),
    Golden("anthropic model", ANTHROPIC, 404, anthropic("not_found_error", "model: claude-sonet-4-5"),
        NO_MODEL, OPERATOR, "claude-sonet-4-5", GONE),
    Golden("anthropic size", ANTHROPIC, 413, anthropic("request_too_large", "Request exceeds the maximum size"),
        BAD, CLIENT, "exceeds the maximum size", TOO_LARGE),
    Golden("anthropic rate", ANTHROPIC, 429,
        anthropic("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
        LIMITED, UPSTREAM, "your account's rate limit", SLOW, "41", 41.0),
    Golden("anthropic failure", ANTHROPIC, 500, anthropic("api_error", "Internal server error"),
        DOWN, UPSTREAM, "Internal server error", FAILED),
    Golden("anthropic timeout", ANTHROPIC, 504, anthropic("timeout_error", "Request timed out"),
        DOWN, UPSTREAM, "Request timed out", LATE),
    Golden("anthropic overloaded", ANTHROPIC, 529, anthropic("overloaded_error", "Overloaded"),
        DOWN, UPSTREAM, "Overloaded", BUSY),
]  # fmt: skip

GOOGLE_ERRORS = [
    Golden("gemini argument", GEMINI, 400,
        google(400, "INVALID_ARGUMENT", "Please ensure that the number of function response parts is equal."),
        BAD, CLIENT, "function response parts", REFUSED),
    Golden("gemini overflow", GEMINI, 400,
        google(400, "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        TOO_LONG, CLIENT, "(1200000)", REFUSED),
    Golden("gemini overflow, cut", GEMINI, 400,
        google(400, "INVALID_ARGUMENT", "[original: …] Cannot truncate to 89998, required 355220"),
        TOO_LONG, CLIENT, "required 355220", REFUSED),
    Golden("gemini key", GEMINI, 400,
        google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
            {"@type": RPC + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}),
        DOWN, OPERATOR, "API key not valid", HOUSE_400._replace(google="INVALID_ARGUMENT")),
    Golden("gemini location", GEMINI, 400,
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        DOWN, OPERATOR, "User location is not supported", HOUSE_400),
    Golden("gemini file", GEMINI, 400,
        google(400, "FAILED_PRECONDITION", "The File 0 is not in an ACTIVE state and usage is not allowed."),
        BAD, CLIENT, "ACTIVE state", REFUSED._replace(google="FAILED_PRECONDITION")),
    Golden("gemini permission", GEMINI, 403,
        google(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
        DOWN, OPERATOR, "reported as leaked", BARRED),
    Golden("gemini model", GEMINI, 404,
        google(404, "NOT_FOUND", "models/none is not found for API version v1beta."),
        NO_MODEL, OPERATOR, "models/none", GONE),
    Golden("gemini quota", GEMINI, 429,
        google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 48.93s.",
            {"@type": RPC + "QuotaFailure", "violations": []}, {"@type": RPC + "RetryInfo", "retryDelay": "48s"}),
        LIMITED, UPSTREAM, "exceeded your current quota", SLOW, None, 48.0),
    Golden("gemini quota through its openai door", CHAT, 429,
        [google(429, "RESOURCE_EXHAUSTED", "Quota.", {"@type": RPC + "RetryInfo", "retryDelay": "7.5s"})],
        LIMITED, UPSTREAM, "Quota.", SLOW, None, 7.5),
    Golden("gemini overloaded", GEMINI, 503,
        google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        DOWN, UPSTREAM, "overloaded", BUSY),
    Golden("gemini internal", GEMINI, 500, google(500, "INTERNAL", "An internal error has occurred."),
        DOWN, UPSTREAM, "internal error", FAILED._replace(google="INTERNAL")),
    Golden("vertex range", GEMINI, 400,
        google(400, "INVALID_ARGUMENT", "Unable to submit request because it has a temperature value of 1000."),
        BAD, CLIENT, "temperature value of 1000", REFUSED),
    Golden("vertex model", GEMINI, 404,
        google(404, "NOT_FOUND", "Publisher Model `projects/p/locations/l/publishers/google/models/none` not found."),
        NO_MODEL, OPERATOR, "Publisher Model", GONE),
    Golden("vertex token", GEMINI, 401,
        google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        DOWN, OPERATOR, "invalid authentication credentials", KEY),
]  # fmt: skip

AWS_ERRORS = [
    Golden("bedrock overflow", BEDROCK, 400,
        aws("The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum "
            "length."),
        TOO_LONG, CLIENT, "Input Tokens Exceeded", REFUSED),
    Golden("bedrock overflow of claude", BEDROCK, 400,
        aws("The model returned the following errors: Input is too long for requested model."),
        TOO_LONG, CLIENT, "Input is too long", REFUSED),
    Golden("bedrock request", BEDROCK, 400,
        aws("This model doesn't support the s3Uri field. Remove s3Uri and try again."),
        BAD, CLIENT, "s3Uri", REFUSED),
    Golden("bedrock model", BEDROCK, 400, aws("The provided model identifier is invalid."),
        NO_MODEL, OPERATOR, "model identifier", NO_MODEL_400),
    Golden("bedrock on demand", BEDROCK, 400,
        aws("Invocation of model ID m with on-demand throughput isn’t supported. Retry with an inference profile."),
        NO_MODEL, OPERATOR, "inference profile", NO_MODEL_400),
    Golden("bedrock access", BEDROCK, 403, aws("You don't have access to the model with the specified model ID."),
        NO_MODEL, OPERATOR, "don't have access", BARRED._replace(aws="ResourceNotFoundException")),
    Golden("bedrock token", BEDROCK, 403, aws("The security token included in the request is expired"),
        DOWN, OPERATOR, "expired", BARRED),
    Golden("bedrock throttled", BEDROCK, 429,
        {"message": "Too many requests, please wait before trying again.", "__type": "ThrottlingException"},
        LIMITED, UPSTREAM, "Too many requests", SLOW),
    Golden("bedrock day", BEDROCK, 429, aws("Too many tokens per day, please wait before trying again."),
        LIMITED, OPERATOR, "per day", SLOW),
    Golden("bedrock timeout", BEDROCK, 408,
        {"message": "Model has timed out in processing the request.", "__type": "ModelTimeoutException"},
        DOWN, UPSTREAM, "timed out", OTHERS_408),
    Golden("bedrock stream error", BEDROCK, 424,
        {"message": "The system encountered an unexpected error.", "__type": "ModelStreamErrorException"},
        DOWN, UPSTREAM, "unexpected error", FAILED),
    Golden("bedrock unavailable", BEDROCK, 503, aws("Bedrock is unable to process your request."),
        DOWN, UPSTREAM, "unable to process", BUSY),
]  # fmt: skip

COHERE_ERRORS = [
    Golden("cohere overflow", COHERE, 400,
        {"error_type": "TOO_MANY_TOKENS", "id": "0", "message": "too many tokens: size limit exceeded by 25836 tokens. "
            "The limit for this model is 288000 tokens."},
        TOO_LONG, CLIENT, "exceeded by 25836 tokens", REFUSED),
    Golden("cohere key", COHERE, 401, {"id": "0", "message": "Incorrect API key provided: ***********."},
        DOWN, OPERATOR, "Incorrect API key provided", KEY),
    Golden("cohere model", COHERE, 404,
        {"id": "0", "message": "model 'none' not found, make sure the correct model ID was used."},
        NO_MODEL, OPERATOR, "'none' not found", GONE),
    Golden("cohere argument", COHERE, 422, {"id": "0", "message": "temperature must be between 0 and 1.0 inclusive."},
        BAD, CLIENT, "between 0 and 1.0", UNFIT),
    Golden("cohere trial", COHERE, 429, {"id": "0",
        "message": "You are using a Trial key, which is limited to 10 calls / minute."},
        LIMITED, UPSTREAM, "Trial key", SLOW),
    Golden("cohere cancelled", COHERE, 499, {"id": "0", "message": "request cancelled"},
        DOWN, UPSTREAM, "request cancelled", GROQ_498._replace(status=499, google="CANCELLED")),
]  # fmt: skip

COMPATIBLE_ERRORS = [
    Golden("mistral overflow", CHAT, 400,
        {"object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            "type": IRE, "param": None, "code": "3051"},
        TOO_LONG, CLIENT, "40000 tokens", REFUSED),
    Golden("mistral complaints", CHAT, 422, {"object": "error", "message": {"detail": EXTRA}, "type": IRE},
        UNSUPPORTED, CLIENT, "messages[0].user.name: Extra inputs are not permitted", UNFIT),
    Golden("mistral complaints, bare", CHAT, 422, {"detail": EXTRA},
        UNSUPPORTED, CLIENT, "Extra inputs are not permitted", UNFIT),
    Golden("mistral model", CHAT, 400,
        {"object": "error", "message": "Invalid model: none", "type": "invalid_model", "param": None, "code": "1500"},
        NO_MODEL, OPERATOR, "Invalid model: none", NO_MODEL_400._replace(openai="invalid_model")),
    Golden("mistral key", CHAT, 401, {"detail": "Invalid API Key"}, DOWN, OPERATOR, "Invalid API Key", KEY),
    Golden("mistral capacity", CHAT, 429,
        {"object": "error", "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded"},
        LIMITED, UPSTREAM, "capacity exceeded", SLOW._replace(openai="service_tier_capacity_exceeded")),
    Golden("groq tool", CHAT, 400,
        openai("Failed to call a function. Please adjust your prompt.", IRE, "tool_use_failed",
            failed_generation='<function=search>{"q": 1}</function>'),
        BAD, CLIENT, "Failed to call a function", REFUSED),
    Golden("groq overflow", CHAT, 400,
        openai("Please reduce the length of the messages or completion.", IRE, "context_length_exceeded", "messages"),
        TOO_LONG, CLIENT, "reduce the length", REFUSED),
    Golden("groq more than a minute's worth", CHAT, 413, openai(TPM, "tokens", "rate_limit_exceeded"),
        LIMITED, OPERATOR, "Requested 14810",
        Told(413, "tokens", "request_too_large", "INVALID_ARGUMENT", "ThrottlingException")),
    Golden("groq flex", CHAT, 498, openai("Flex tier capacity exceeded. Please try again later.", "capacity",
        "capacity"),
        DOWN, UPSTREAM, "Flex tier", GROQ_498._replace(openai="capacity")),
    Golden("xai key", CHAT, 400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz."},
        DOWN, OPERATOR, "Incorrect API key provided", HOUSE_400),
    Golden("xai overflow", CHAT, 400,
        {"code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."},
        TOO_LONG, CLIENT, "537812", REFUSED),
    Golden("xai safety", CHAT, 403,
        {"code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"},
        BLOCKED, CLIENT, "SAFETY_CHECK_TYPE_BIO",
        BARRED._replace(anthropic=IRE, aws="ValidationException")),
    Golden("xai credits", CHAT, 429, {"code": "Some resource has been exhausted", "error": XAI_CREDITS},
        LIMITED, OPERATOR, XAI_CREDITS, SLOW),
    Golden("xai credits, forbidden", CHAT, 403, {"code": "permission-denied", "error": XAI_CREDITS},
        DOWN, OPERATOR, XAI_CREDITS, BARRED),
    Golden("deepseek balance", CHAT, 402, openai("Insufficient Balance", "unknown_error", IRE),
        DOWN, OPERATOR, "Insufficient Balance", UNPAID._replace(openai="unknown_error")),
    Golden("deepseek reasoning", CHAT, 400,
        openai("The `reasoning_content` in the thinking mode must be passed back to the API.", IRE, IRE),
        BAD, CLIENT, "must be passed back", REFUSED),
    Golden("deepseek risk", CHAT, 400, openai("Content Exists Risk", IRE, IRE), BLOCKED, CLIENT,
        "Content Exists Risk", REFUSED),
    Golden("deepseek key", CHAT, 401,
        openai("Authentication Fails, Your api key: ****-key is invalid", "authentication_error", IRE),
        DOWN, OPERATOR, "Authentication Fails", KEY),
    Golden("openrouter moderation", CHAT, 403,
        {"error": {"code": 403, "message": "openai/gpt-4 requires moderation. Your input was flagged for \"violence\".",
            "metadata": {"reasons": ["violence"], "flagged_input": "how to…", "provider_name": "OpenAI"}}},
        BLOCKED, CLIENT, "requires moderation", BARRED._replace(anthropic=IRE, aws="ValidationException")),
    Golden("openrouter provider", CHAT, 429,
        {"error": {"code": 429, "message": "Provider returned error", "metadata": {"provider_name": "Google",
            "raw": "google/gemini:free is temporarily rate-limited upstream. Please retry shortly."}}},
        LIMITED, UPSTREAM, "temporarily rate-limited upstream", SLOW),
    Golden("openrouter provider's overflow", CHAT, 400,
        {"error": {"code": 400, "message": "Provider returned error", "metadata": {"provider_name": "Anthropic",
            "raw": json.dumps(anthropic(IRE, "prompt is too long: 210000 tokens > 200000 maximum"))}}},
        TOO_LONG, CLIENT, "prompt is too long: 210000 tokens > 200000 maximum", REFUSED),
    Golden("openrouter credits", CHAT, 402,
        {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}},
        DOWN, OPERATOR, "requires more credits", UNPAID),
    Golden("openrouter key", CHAT, 401, {"error": {"message": "No auth credentials found", "code": 401}},
        DOWN, OPERATOR, "No auth credentials found", KEY),
    Golden("together overflow", CHAT, 422,
        openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 65537. Given: 79993 `inputs` "
            "tokens and 1024 `max_new_tokens`", IRE),
        TOO_LONG, CLIENT, "79993 `inputs` tokens", UNFIT),
    Golden("fireworks suspended", CHAT, 412,
        openai("Account a is suspended, possibly due to reaching the monthly spending limit.", "error",
            "PRECONDITION_FAILED"),
        DOWN, OPERATOR, "is suspended", HOUSE_400._replace(status=412)),
    Golden("fireworks overflow", CHAT, 400,
        {"error": {"object": "error", "type": IRE,
            "message": "The prompt is too long: 140000, model maximum context length: 131071"}},
        TOO_LONG, CLIENT, "140000", REFUSED),
    Golden("perplexity model", CHAT, 400,
        openai("Invalid model 'none'. Permitted models can be found in the documentation.", "invalid_model", 400),
        NO_MODEL, OPERATOR, "Permitted models", NO_MODEL_400._replace(openai="invalid_model")),
    Golden("perplexity key, a page", CHAT, 401,
        b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>openresty</body></html>",
        DOWN, OPERATOR, "401 Authorization Required", KEY),
    Golden("cerebras overflow", CHAT, 400,
        {"message": "Please reduce the length of the messages or completion. Current length is 42328 while limit "
            "is 40000",
            "type": IRE, "param": "messages", "code": "context_length_exceeded"},
        TOO_LONG, CLIENT, "42328", REFUSED),
    Golden("cerebras rate", CHAT, 429,
        {"message": "Requests per second limit exceeded - too many requests sent.", "type": "too_many_requests_error",
            "param": "quota", "code": "request_quota_exceeded"},
        LIMITED, UPSTREAM, "too many requests sent", SLOW._replace(openai="too_many_requests_error")),
    Golden("ollama model", CHAT, 404, {"error": "model 'none:latest' not found"}, NO_MODEL, OPERATOR, "none:latest",
        GONE),
    Golden("ollama overflow", CHAT, 400,
        openai("prompt too long; exceeded max context length by 1119046 tokens", IRE),
        TOO_LONG, CLIENT, "by 1119046 tokens", REFUSED),
    Golden("vllm overflow", CHAT, 400,
        {"object": "error",
            "message": "'max_tokens' is too large: 8192. This model's maximum context length is 65536 tokens "
            "and your request has 57879 input tokens (8192 > 65536 - 57879).", "type": "BadRequestError", "code": 400},
        TOO_LONG, CLIENT, "57879 input tokens", REFUSED),
    Golden("vllm model", CHAT, 404,
        {"object": "error", "message": "The model `none` does not exist.", "type": "NotFoundError", "code": 404},
        NO_MODEL, OPERATOR, "`none`", GONE),
    Golden("llama.cpp overflow", CHAT, 400,
        {"error": {"code": 400,
            "message": "request (4390 tokens) exceeds the available context size (4096 tokens), try "
            "increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 4390, "n_ctx": 4096}},
        TOO_LONG, CLIENT, "4390 tokens", REFUSED._replace(openai="exceed_context_size_error")),
    Golden("llama.cpp overflow as a failure", CHAT, 500,
        {"error": {"code": 500, "message": "the request exceeds the available context size.",
            "type": "exceed_context_size_error"}},
        TOO_LONG, CLIENT, "available context size", REFUSED._replace(openai="exceed_context_size_error")),
    Golden("llama.cpp loading", CHAT, 503, openai("Loading model", "unavailable_error", 503),
        DOWN, UPSTREAM, "Loading model", BUSY._replace(openai="unavailable_error")),
    Golden("alibaba inspection", CHAT, 400,
        openai("Input data may contain inappropriate content.", IRE, "data_inspection_failed"),
        BLOCKED, CLIENT, "inappropriate content", REFUSED),
    Golden("a body in a message", CHAT, 400,
        openai(json.dumps(google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
            None, 400),
        DOWN, OPERATOR, "User location is not supported", HOUSE_400),
]  # fmt: skip

PROXY_ERRORS = [
    Golden("nginx size", ANTHROPIC, 413,
        b"<html>\r\n<head><title>413 Request Entity Too Large</title></head></html>",
        BAD, CLIENT, "413 Request Entity Too Large", TOO_LARGE),
    Golden("nginx gateway", CHAT, 502, b"<html>\r\n<head><title>502 Bad Gateway</title></head></html>",
        DOWN, UPSTREAM, "502 Bad Gateway", FAILED),
    Golden("cloudflare timeout", GEMINI, 524,
        b"<!DOCTYPE html><html><head><title>api.example.com | 524: A timeout occurred</title></head></html>",
        DOWN, UPSTREAM, "A timeout occurred", FAILED),
    Golden("empty", CHAT, 500, b"", DOWN, UPSTREAM, "an empty body", FAILED),
    Golden("empty, limited", BEDROCK, 429, b"", LIMITED, UPSTREAM, "an empty body", SLOW, "12", 12.0),
    Golden("envoy", ANTHROPIC, 503, b"no healthy upstream", DOWN, UPSTREAM, "no healthy upstream", BUSY),
    Golden("no route", COHERE, 404, b"404 page not found", NO_MODEL, OPERATOR, "404 page not found", GONE),
]  # fmt: skip

IN_BAND_ERRORS = [
    Golden("openrouter in a 200", CHAT, 200, {"error": {"message": "Provider disconnected", "code": 502}},
        DOWN, UPSTREAM, "Provider disconnected", FAILED),
    Golden("overflow in a 200", CHAT, 200, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}},
        TOO_LONG, CLIENT, "9 tokens > 8 maximum", REFUSED),
    Golden("overloaded in a 200", ANTHROPIC, 200, anthropic("overloaded_error", "Overloaded"),
        DOWN, UPSTREAM, "Overloaded", BUSY),
    Golden("size in a 200", ANTHROPIC, 200, anthropic("request_too_large", "Request exceeds the maximum size"),
        BAD, CLIENT, "maximum size", TOO_LARGE),
    Golden("gemini in a 200", GEMINI, 200, google(503, "UNAVAILABLE", "The model is overloaded."),
        DOWN, UPSTREAM, "overloaded", BUSY),
    Golden("an unknown one in a 200", CHAT, 200, {"error": {"message": "Something odd"}},
        NONSENSE, UPSTREAM, "Something odd", GARBLED),
]  # fmt: skip

GOLDEN = [
    *OPENAI_ERRORS,
    *ANTHROPIC_ERRORS,
    *GOOGLE_ERRORS,
    *AWS_ERRORS,
    *COHERE_ERRORS,
    *COMPATIBLE_ERRORS,
    *PROXY_ERRORS,
    *IN_BAND_ERRORS,
]
