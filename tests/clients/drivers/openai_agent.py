"""The OpenAI Agents SDK: an agent that runs its tools by itself, over responses or chat completions (`via`)."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import Agent, RunConfig, Runner, function_tool, set_tracing_disabled
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from line_service import Job, Turn, arguments, plain, result_text, serve, turn
from openai import AsyncOpenAI

set_tracing_disabled(True)


@function_tool
def get_weather(city: str, days: int) -> str:
    """The weather of a city for some days."""
    return result_text("get_weather", {"city": city, "days": days})


@function_tool
def list_files() -> str:
    """All files there are."""
    return result_text("list_files", {})


def run(job: Job) -> list[Turn]:
    asyncio.run(talk(job))
    return job["turns"]


async def talk(job: Job) -> None:
    async with AsyncOpenAI(
        base_url=job["base"] + "/v1", api_key=job["key"], max_retries=0, timeout=30
    ) as client:
        kind = OpenAIResponsesModel if job["via"] == "openai_responses" else OpenAIChatCompletionsModel
        agent = Agent(
            name="clerk",
            model=kind(model=job["model"], openai_client=client),
            tools=[get_weather, list_files] if job["tools"] else [],
        )
        settings = RunConfig(tracing_disabled=True)
        done: Any
        if job["stream"]:
            done = Runner.run_streamed(agent, job["prompt"], run_config=settings)
            async for _ in done.stream_events():
                pass
        else:
            done = await Runner.run(agent, job["prompt"], run_config=settings)
        job["turns"] += [read(response) for response in done.raw_responses]


def read(response: Any) -> Turn:
    items = [plain(item) for item in response.output]
    tools = [
        {"id": item["call_id"], "name": item["name"], "args": arguments(item["arguments"])}
        for item in items
        if item["type"] == "function_call"
    ]
    text = "".join(
        part.get("text") or "" for item in items if item["type"] == "message" for part in item["content"]
    )
    usage = response.usage
    return turn(
        text=text,
        tools=tools,
        finish="tool_calls" if tools else "stop",
        usage={
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.input_tokens_details.cached_tokens,
        },
    )


if __name__ == "__main__":
    serve(run)
