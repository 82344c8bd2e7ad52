"""What a call asks for, whatever the wire API it is asked in."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """Names follow OpenTelemetry's `gen_ai.operation.name` where it has one."""

    CHAT = "chat"
    TEXT_COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"
    COUNT_TOKENS = "count_tokens"
    RERANK = "rerank"
    LIST_MODELS = "list_models"
    SHOW_KEY = "show_key"
    """What the caller's own key may use, and what of it is left."""
    MINT_CLIENT_TOKEN = "mint_client_token"
    """A short-lived token for a page, made with a back end's virtual key."""
    PASSTHROUGH = "passthrough"
    RETRIEVE_RESPONSE = "retrieve_response"
    DELETE_RESPONSE = "delete_response"
    CANCEL_RESPONSE = "cancel_response"
    LIST_INPUT_ITEMS = "list_input_items"
    """What an earlier answer of the Responses API was asked with."""
    UNKNOWN = "unknown"
    """A request that was refused before anybody could tell what it wanted."""
