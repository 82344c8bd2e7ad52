"""A request of a conversation that others have taken part in, for an upstream of this dialect."""

from __future__ import annotations

from typing import Any

from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.bad_input import decoded
from tollhouse.dialects.ground_family.loose_json import encode_loosely


def mend(body: bytes, issuer: str) -> bytes:
    """See ports.dialect.Dialect.mend.

    Reasoning items sealed by others go, and with them the references to their ids: the provider knows neither. What
    `issuer` sealed is bare again. A body in which nothing is sealed comes back as the same object.
    Raises: GatewayError `invalid_request`.
    """
    request = decoded(body)
    items = request.get("input") if isinstance(request, dict) else None
    if not isinstance(items, list):
        return body
    gone: set[str] = set()
    kept: list[Any] = []
    is_changed = False
    for item in items:
        encrypted = item.get("encrypted_content") if isinstance(item, dict) else None
        signature = unseal(encrypted) if isinstance(encrypted, str) else None
        if signature is None:
            kept.append(item)
            continue
        is_changed = True
        if signature.issuer == issuer:
            kept.append({**item, "encrypted_content": signature.value})
        elif isinstance(item.get("id"), str):
            gone.add(item["id"])
    if not is_changed:
        return body
    request["input"] = [item for item in kept if not _refers_to(item, gone)]
    return encode_loosely(request)


def _refers_to(item: Any, ids: set[str]) -> bool:
    if not isinstance(item, dict) or item.get("type") not in (None, "item_reference") or "role" in item:
        return False
    return item.get("id") in ids
