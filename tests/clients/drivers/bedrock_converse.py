"""The boto3 package: Bedrock's Converse, opened with a bearer key as AWS's API keys for Bedrock are.

boto3 itself sends bearer keys over HTTPS only, so the header is set by hand here.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from line_service import Job, Turn, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=job["base"],
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=30),
    )

    def open_door(request: Any, **_: Any) -> None:
        request.headers["authorization"] = f"Bearer {job['key']}"

    client.meta.events.register("before-send.bedrock-runtime.*", open_door)
    messages: list[Any] = [{"role": "user", "content": [{"text": job["prompt"]}]}]
    while True:
        content, done = ask(client, job, messages)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append({"role": "assistant", "content": content})
        results = [
            {
                "toolResult": {
                    "toolUseId": call["id"],
                    "content": [{"text": result_text(call["name"], call["args"])}],
                }
            }
            for call in done["tools"]
        ]
        messages.append({"role": "user", "content": results})


def ask(client: Any, job: Job, messages: list[Any]) -> tuple[list[Any], Turn]:
    request: dict[str, Any] = {"modelId": job["model"], "messages": messages}
    if job["tools"]:
        specs = [
            {
                "toolSpec": {
                    "name": tool["name"],
                    "description": tool["description"],
                    "inputSchema": {"json": tool["parameters"]},
                }
            }
            for tool in job["tools"]
        ]
        request["toolConfig"] = {"tools": specs}
    if job["thinking"]:
        request["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    if not job["stream"]:
        answer = client.converse(**request)
        return read(answer["output"]["message"]["content"], answer["stopReason"], answer["usage"])
    blocks: dict[int, dict[str, Any]] = {}
    partial: dict[int, str] = {}
    finish, usage = None, None
    for event in client.converse_stream(**request)["stream"]:
        ((kind, held),) = event.items()
        at = held.get("contentBlockIndex")
        if kind == "contentBlockStart":
            blocks[at] = {"toolUse": {**held["start"]["toolUse"], "input": {}}}
        elif kind == "contentBlockDelta":
            gather(blocks, partial, at, held["delta"])
        elif kind == "messageStop":
            finish = held["stopReason"]
        elif kind == "metadata":
            usage = held["usage"]
    for at, text in partial.items():
        blocks[at]["toolUse"]["input"] = json.loads(text)
    return read([blocks[at] for at in sorted(blocks)], finish, usage)


def gather(blocks: dict[int, Any], partial: dict[int, str], at: int, delta: dict[str, Any]) -> None:
    if "text" in delta:
        block = blocks.setdefault(at, {"text": ""})
        block["text"] += delta["text"]
    elif "toolUse" in delta:
        partial[at] = partial.get(at, "") + delta["toolUse"]["input"]
    elif "reasoningContent" in delta:
        block = blocks.setdefault(at, {"reasoningContent": {"reasoningText": {"text": ""}}})
        said = block["reasoningContent"]["reasoningText"]
        said["text"] += delta["reasoningContent"].get("text", "")
        if "signature" in delta["reasoningContent"]:
            said["signature"] = delta["reasoningContent"]["signature"]


def read(blocks: list[Any], finish: Any, usage: Any) -> tuple[list[Any], Turn]:
    thoughts = [
        block["reasoningContent"].get("reasoningText") or {}
        for block in blocks
        if "reasoningContent" in block
    ]
    cached = usage.get("cacheReadInputTokens") or 0
    return blocks, turn(
        text="".join(block["text"] for block in blocks if "text" in block),
        reasoning="".join(said.get("text", "") for said in thoughts),
        tools=[
            {
                "id": block["toolUse"]["toolUseId"],
                "name": block["toolUse"]["name"],
                "args": block["toolUse"]["input"],
            }
            for block in blocks
            if "toolUse" in block
        ],
        finish=finish,
        usage={
            "input": usage["inputTokens"] + cached + (usage.get("cacheWriteInputTokens") or 0),
            "output": usage["outputTokens"],
            "cached": cached,
        },
        signatures=sum(bool(said.get("signature")) for said in thoughts),
    )


if __name__ == "__main__":
    serve(run)
