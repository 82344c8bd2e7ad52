"""What all drivers share: jobs come as lines of JSON on standard input, results go out as lines on standard output.

Runs in the environments of the SDKs, so it imports nothing but the standard library and is written for any of them.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

Job = dict[str, Any]
Turn = dict[str, Any]

FINISH = {
    "stop": "stop", "end_turn": "stop", "completed": "stop", "STOP": "stop", "COMPLETE": "stop",
    "length": "length", "max_tokens": "length", "MAX_TOKENS": "length", "incomplete": "length",
    "tool_calls": "tool", "tool_use": "tool", "TOOL_CALL": "tool",
}  # fmt: skip


class NotOffered(Exception):
    """This version of the SDK has no such thing."""


def serve(run: Callable[[Job], list[Turn]]) -> None:
    """Do jobs until the input ends. What SDKs print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        result: dict[str, Any] = {"number": job.get("number"), "turns": []}
        job["turns"] = result["turns"]
        try:
            run(job)
        except NotOffered as missing:
            result["not_offered"] = str(missing)
        except BaseException as error:
            result["error"] = describe(error)
        out.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
        out.flush()


def describe(error: BaseException) -> dict[str, Any]:
    """What a caller can learn from an exception of any SDK."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or getattr(error, "headers", None) or {}
    if isinstance(response, dict):  # botocore
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        status: Any = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    code = getattr(error, "code", None)
    if status is None and isinstance(code, int):
        status = code
    try:
        held = {str(name).lower(): str(value) for name, value in dict(headers).items()}
    except (TypeError, ValueError):
        held = {}
    return {
        "class": type(error).__name__,
        "bases": [kind.__name__ for kind in type(error).__mro__],
        "status": status,
        "code": code,
        "message": str(error)[:2000],
        "retry_after": held.get("retry-after"),
        "request_id": held.get("x-request-id"),
        "trace": "".join(traceback.format_exception(error))[-3000:],
    }


def plain(thing: Any) -> Any:
    """An object of any SDK as plain values, unknown members included."""
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [plain(value) for value in thing]
    for name in ("model_dump", "to_dict_recursive"):
        if hasattr(thing, name):
            return plain(getattr(thing, name)())
    return thing


def bare(thing: Any) -> Any:
    """Plain values without the members that are None."""
    thing = plain(thing)
    if isinstance(thing, dict):
        return {key: bare(value) for key, value in thing.items() if value is not None}
    if isinstance(thing, list):
        return [bare(value) for value in thing]
    return thing


def arguments(text: Any) -> Any:
    """A call's arguments; raises ValueError where they are no JSON, as an application would."""
    if isinstance(text, str):
        return json.loads(text)
    return {} if text is None else text


def result_text(name: str, given: Any) -> str:
    """What every tool answers; clients/answers.py has the same function."""
    return f"{name} of {json.dumps(given, sort_keys=True, ensure_ascii=False)}: fine, 21°"


def turn(
    *, text: str, tools: list[dict[str, Any]], finish: Any, usage: dict[str, Any] | None, reasoning: str = "",
    signatures: int = 0,
) -> Turn:  # fmt: skip
    """One answer, as the SDK's user sees it. Of tools: id, name, args."""
    return {
        "text": text,
        "reasoning": reasoning,
        "tools": tools,
        "finish": FINISH.get(str(finish), f"other: {finish}"),
        "usage": usage,
        "signatures": signatures,
    }
