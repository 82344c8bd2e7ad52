"""Pydantic AI: an agent with tools of its own, by the door that `via` names."""

from __future__ import annotations

from typing import Any

from line_service import Job, Turn, result_text, serve, turn
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider


def model_of(job: Job) -> Any:
    match job["via"]:
        case "openai_chat":
            provider: Any = OpenAIProvider(base_url=job["base"] + "/v1", api_key=job["key"])
            return OpenAIChatModel(job["model"], provider=provider)
        case "openai_responses":
            provider = OpenAIProvider(base_url=job["base"] + "/v1", api_key=job["key"])
            return OpenAIResponsesModel(job["model"], provider=provider)
        case "anthropic_messages":
            return AnthropicModel(
                job["model"], provider=AnthropicProvider(base_url=job["base"], api_key=job["key"])
            )
        case "gemini_generate":
            return GoogleModel(
                job["model"], provider=GoogleProvider(base_url=job["base"], api_key=job["key"])
            )
    raise ValueError(job["via"])


def get_weather(city: str, days: int) -> str:
    """The weather of a city for some days."""
    return result_text("get_weather", {"city": city, "days": days})


def list_files() -> str:
    """All files there are."""
    return result_text("list_files", {})


def run(job: Job) -> list[Turn]:
    tools = [Tool(get_weather, takes_ctx=False), Tool(list_files, takes_ctx=False)] if job["tools"] else []
    agent: Any = Agent(model_of(job), tools=tools, retries=0)

    async def read_all(_: Any, events: Any) -> None:
        async for _event in events:
            pass

    done = agent.run_sync(job["prompt"], event_stream_handler=read_all if job["stream"] else None)
    job["turns"] += [read(message) for message in done.all_messages() if isinstance(message, ModelResponse)]
    return job["turns"]


def read(message: Any) -> Turn:
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    return turn(
        text="".join(part.content for part in message.parts if isinstance(part, TextPart)),
        reasoning="".join(part.content for part in message.parts if isinstance(part, ThinkingPart)),
        tools=[
            {"id": call.tool_call_id, "name": call.tool_name, "args": call.args_as_dict()} for call in calls
        ],
        # Where the API has no word of its own for calls, this stays `stop`.
        finish="tool_calls"
        if calls and message.finish_reason in ("stop", "tool_call")
        else message.finish_reason,
        usage={
            "input": message.usage.input_tokens,
            "output": message.usage.output_tokens,
            "cached": message.usage.cache_read_tokens,
        },
    )


if __name__ == "__main__":
    serve(run)
