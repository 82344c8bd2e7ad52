// Drives the JavaScript SDKs: jobs come as lines of JSON on standard input, results go out as lines on standard output.
// A job names its client in `via`: openai_chat, openai_responses, anthropic_messages (the official SDKs), or
// ai_openai_chat, ai_openai_responses, ai_anthropic, ai_google (the AI SDK).

import { createInterface } from "node:readline";
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";

// Standard output is for results alone: what SDKs print goes to standard error.
const tell = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

const FINISH = {
  stop: "stop", end_turn: "stop", completed: "stop", length: "length", max_tokens: "length", incomplete: "length",
  tool_calls: "tool", tool_use: "tool", "tool-calls": "tool",
};

function sorted(value) {
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
}

// As Python writes it, because the upstreams compare it with that.
function resultText(name, given) {
  const members = Object.entries(sorted(given)).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `${name} of {${members.join(", ")}}: fine, 21°`;
}

function turn({ text, tools, finish, usage, reasoning = "" }) {
  return { text: text ?? "", tools, finish: FINISH[finish] ?? `other: ${finish}`, usage, reasoning };
}

async function openaiChat(job) {
  const client = new OpenAI({ baseURL: `${job.base}/v1`, apiKey: job.key, maxRetries: 0, timeout: 30000 });
  const messages = [{ role: "user", content: job.prompt }];
  for (;;) {
    const request = { model: job.model, messages };
    if (job.tools.length) request.tools = job.tools.map((held) => ({ type: "function", function: held }));
    const answer = job.stream
      ? await client.chat.completions.stream({ ...request, stream_options: { include_usage: true } }).finalChatCompletion()
      : await client.chat.completions.create(request);
    const { message, finish_reason: finish } = answer.choices[0];
    const tools = (message.tool_calls ?? []).map((call) => ({
      id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments),
    }));
    const usage = answer.usage && {
      input: answer.usage.prompt_tokens, output: answer.usage.completion_tokens,
      cached: answer.usage.prompt_tokens_details?.cached_tokens,
    };
    job.turns.push(turn({ text: message.content, tools, finish, usage }));
    if (!tools.length || job.turns.length >= job.limit) return;
    messages.push(message);
    for (const call of tools) messages.push({ role: "tool", tool_call_id: call.id, content: resultText(call.name, call.args) });
  }
}

async function openaiResponses(job) {
  const client = new OpenAI({ baseURL: `${job.base}/v1`, apiKey: job.key, maxRetries: 0, timeout: 30000 });
  const input = [{ role: "user", content: job.prompt }];
  for (;;) {
    const request = { model: job.model, input, store: false, include: ["reasoning.encrypted_content"] };
    if (job.tools.length) request.tools = job.tools.map((held) => ({ type: "function", strict: false, ...held }));
    const answer = job.stream ? await client.responses.stream(request).finalResponse() : await client.responses.create(request);
    const tools = answer.output.filter((item) => item.type === "function_call").map((item) => ({
      id: item.call_id, name: item.name, args: JSON.parse(item.arguments),
    }));
    const finish = tools.length && answer.status === "completed" ? "tool_calls" : answer.status;
    const usage = answer.usage && {
      input: answer.usage.input_tokens, output: answer.usage.output_tokens,
      cached: answer.usage.input_tokens_details?.cached_tokens,
    };
    const parts = answer.output.filter((item) => item.type === "message").flatMap((item) => item.content);
    job.turns.push(turn({ text: parts.map((part) => part.text ?? "").join(""), tools, finish, usage }));
    if (!tools.length || job.turns.length >= job.limit) return;
    input.push(...answer.output.map(({ parsed_arguments: _, ...item }) => item));
    for (const call of tools) input.push({ type: "function_call_output", call_id: call.id, output: resultText(call.name, call.args) });
  }
}

async function anthropicMessages(job) {
  const client = new Anthropic({ baseURL: job.base, apiKey: job.key, maxRetries: 0, timeout: 30000 });
  const messages = [{ role: "user", content: job.prompt }];
  for (;;) {
    const request = { model: job.model, messages, max_tokens: 4096 };
    if (job.thinking) request.thinking = { type: "enabled", budget_tokens: 2048 };
    if (job.tools.length) {
      request.tools = job.tools.map((held) => ({ name: held.name, description: held.description, input_schema: held.parameters }));
    }
    const answer = job.stream ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
    const tools = answer.content.filter((block) => block.type === "tool_use").map((block) => ({
      id: block.id, name: block.name, args: block.input,
    }));
    const said = (kind, member) => answer.content.filter((block) => block.type === kind).map((block) => block[member]).join("");
    const cached = answer.usage.cache_read_input_tokens ?? 0;
    const input = answer.usage.input_tokens + cached + (answer.usage.cache_creation_input_tokens ?? 0);
    const usage = { input, output: answer.usage.output_tokens, cached };
    job.turns.push(turn({
      text: said("text", "text"), reasoning: said("thinking", "thinking"), tools, finish: answer.stop_reason, usage,
    }));
    if (!tools.length || job.turns.length >= job.limit) return;
    messages.push({ role: "assistant", content: answer.content });
    const results = tools.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: resultText(call.name, call.args) }));
    messages.push({ role: "user", content: results });
  }
}

function aiModel(job) {
  const openai = () => createOpenAI({ baseURL: `${job.base}/v1`, apiKey: job.key });
  switch (job.via) {
    case "ai_openai_chat": return openai().chat(job.model);
    case "ai_openai_responses": return openai().responses(job.model);
    case "ai_anthropic": return createAnthropic({ baseURL: `${job.base}/v1`, apiKey: job.key })(job.model);
    case "ai_google": return createGoogleGenerativeAI({ baseURL: `${job.base}/v1beta`, apiKey: job.key })(job.model);
  }
  throw new Error(`no such client: ${job.via}`);
}

async function aiSdk(job) {
  const tools = Object.fromEntries(job.tools.map((held) => [held.name, tool({
    description: held.description,
    inputSchema: jsonSchema(held.parameters),
    execute: async (given) => resultText(held.name, given),
  })]));
  const request = {
    model: aiModel(job), prompt: job.prompt, tools, maxRetries: 0, stopWhen: stepCountIs(job.limit),
    providerOptions: { openai: { store: false, include: ["reasoning.encrypted_content"] } },
  };
  let steps;
  if (job.stream) {
    let failure = null;
    const done = streamText({ ...request, onError: ({ error }) => { failure = error; } });
    await done.consumeStream({ onError: (error) => { failure ??= error; } });
    if (failure) throw failure;
    steps = await done.steps;
  } else {
    steps = (await generateText(request)).steps;
  }
  for (const step of steps) {
    const called = step.toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, args: call.input }));
    const { inputTokens: input, outputTokens: output } = step.usage;
    const cached = step.usage.inputTokenDetails?.cacheReadTokens ?? step.usage.cachedInputTokens ?? null;
    job.turns.push(turn({
      text: step.text, reasoning: step.reasoningText ?? "", tools: called, finish: step.finishReason,
      usage: { input, output, cached },
    }));
  }
}

const RUNS = { openai_chat: openaiChat, openai_responses: openaiResponses, anthropic_messages: anthropicMessages };

function describe(error) {
  const bases = [];
  for (let kind = error?.constructor; kind && kind.name; kind = Object.getPrototypeOf(kind)) bases.push(kind.name);
  const headers = error?.headers ?? error?.responseHeaders ?? {};
  const header = (name) => (typeof headers.get === "function" ? headers.get(name) : headers[name]) ?? null;
  return {
    class: error?.constructor?.name ?? "unknown", bases, status: error?.status ?? error?.statusCode ?? null,
    code: error?.code ?? null, message: String(error?.message ?? error), trace: String(error?.stack ?? "").slice(0, 3000),
    retry_after: header("retry-after"), request_id: header("x-request-id"),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = { ...JSON.parse(line), turns: [] };
  const result = { number: job.number, turns: job.turns };
  try {
    await (RUNS[job.via] ?? aiSdk)(job);
  } catch (error) {
    result.error = describe(error);
  }
  tell(`${JSON.stringify(result)}\n`);
}
