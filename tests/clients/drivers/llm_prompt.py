"""The llm package: its chain of prompts and tools over an OpenAI-compatible door."""

from __future__ import annotations

import os
import tempfile
from typing import Any

os.environ.setdefault("LLM_USER_PATH", tempfile.mkdtemp(prefix="llm-"))

import llm
from line_service import Job, Turn, result_text, serve, turn
from llm.default_plugins.openai_models import Chat


def get_weather(city: str, days: int) -> str:
    """The weather of a city for some days."""
    return result_text("get_weather", {"city": city, "days": days})


def list_files() -> str:
    """All files there are."""
    return result_text("list_files", {})


def run(job: Job) -> list[Turn]:
    model = Chat(
        model_id="house",
        key=job["key"],
        model_name=job["model"],
        api_base=job["base"] + "/v1",
        supports_tools=True,
    )
    model.key = job["key"]
    tools = [llm.Tool.function(get_weather), llm.Tool.function(list_files)] if job["tools"] else []
    chain: Any = model.chain(job["prompt"], tools=tools, stream=job["stream"], key=job["key"])
    for response in chain.responses():
        text = response.text()
        calls = response.tool_calls()
        usage = response.usage()
        job["turns"].append(
            turn(
                text=text,
                tools=[
                    {"id": call.tool_call_id, "name": call.name, "args": call.arguments} for call in calls
                ],
                finish="tool_calls" if calls else "stop",
                usage={"input": usage.input, "output": usage.output},
            )
        )
    return job["turns"]


if __name__ == "__main__":
    serve(run)
