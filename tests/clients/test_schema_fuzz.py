"""Random requests of the official SDKs' types, to every other dialect: nothing that was said is lost without a word.

Two steps are watched. A leaf of the caller's body is in the house's own request, or under a path its reader reported.
A leaf of that request is in the upstream's body, or its field is among the losses.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from clients.client import ROOT
from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.content import (
    CacheMark,
    Media,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import GatewayError
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    ModelRequest,
    Sampling,
    ServerTool,
    Tool,
)
from tollhouse.ports.provider import Traits
from tollhouse.stages.translate.emulation import Emulation
from tollhouse.stages.translate.reasoning import with_reasoning
from tollhouse.testing.clock import FakeClock
from unit.dialects.crossing import TARGETS, assert_told_to_caller, faces_of, read, traits_of

COUNT: Final = 2000
SEED: Final = 20261125
FUZZ: Final = Path(__file__).parent / "fuzz"
PYTHON: Final = ROOT / ".venvs" / "clients-newest" / "bin" / "python"
CALLERS: Final = [
    "openai_chat", "openai_responses", "anthropic_messages", "anthropic_messages-beta", "gemini_generate",
]  # fmt: skip
LEAST_VALID: Final = 0.995
JUDGED: Final = 1000
"""How many bodies of each pair the SDKs look at."""

WORD: Final = re.compile(r"w[bcdfghjklmnpqrstvz]{9}")

Leaf = tuple[str, str | int | float]
"""Where, indexes left out, and what."""


@pytest.fixture(scope="session")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random requests, one file a caller."""
    folder = tmp_path_factory.mktemp("fuzz")
    run_in_clients("random_requests.py", str(SEED), str(COUNT), str(folder))
    return folder


def run_in_clients(script: str, *arguments: str, said: bytes = b"") -> bytes:
    assert PYTHON.exists(), f"{PYTHON} is missing: `make clients` installs it"
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(FUZZ / script), *arguments],
        input=said,
        capture_output=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:].decode()
    return done.stdout


# -- what is looked for


def leaves(value: Any, path: str = "", least: int = 4) -> Iterator[Leaf]:
    """Texts of so many letters at least, and numbers but 0 and 1."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name, least)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from leaves(member, f"{path}[]", least)
    elif isinstance(value, str):
        if len(value) >= least:
            yield path, value
    elif isinstance(value, int | float) and not isinstance(value, bool) and value not in (0, 1):
        yield path, value


def in_json(text: str) -> Iterator[Leaf]:
    """The leaves of JSON inside a text; the text itself where it is none."""
    try:
        yield from leaves(json.loads(text))
    except ValueError:
        yield "", text


class Haystack:
    """All that a document says, for looking things up."""

    def __init__(self, document: Any) -> None:
        found = [leaf for _, leaf in leaves(document, least=0)]
        self._text = "\n".join([leaf.lower() for leaf in found if isinstance(leaf, str)])
        self._keys = "\n".join(keys(document)).lower()
        self._numbers = {leaf for leaf in found if not isinstance(leaf, str)}

    def __contains__(self, leaf: str | float) -> bool:
        if isinstance(leaf, str):
            return leaf.lower() in self._text or leaf.lower() in self._keys
        return leaf in self._numbers or repr(leaf) in self._text


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield str(name)
            yield from keys(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from keys(member)


# -- the first step: what the caller said is in the request, or reported

STRUCTURE: Final = re.compile(r"(^|\.)(type|role|object|model|stream)$")
"""Members that only say what the others are; what is unknown of them makes a part opaque, or is reported."""

READ_OTHERWISE: Final[dict[str, list[tuple[str, str]]]] = {
    "openai_chat": [
        (r"prompt_cache_breakpoint\.mode$", "`explicit` is what a mark is"),
    ],
    "openai_responses": [
        (r"prompt_cache_breakpoint\.mode$", "`explicit` is what a mark is"),
        (r"^include\[\]$", "what is to be shown of tools that are not there is not shown"),
        (r"^truncation$", "`disabled` is how it is everywhere else"),
        (r"^reasoning\.(context|mode|generate_summary)$", "`auto` and `standard` are the defaults"),
        (r"^input\[\]\.(id|status|phase)$", "OpenAI's own bookkeeping of its items"),
        (r"allowed_callers\[\]$", "`direct` is who calls everywhere else"),
        (r"^input\[\]\.namespace$", "said of a result, whose call has said it"),
        (r"logprobs\[\]\.", "what was said of an earlier answer's making nobody takes back"),
        (r"\.detail$", "`auto` is how it is without a word"),
        (r"tools\[\]\.name$", "a namespace without tools names nothing"),
    ],
    "anthropic_messages": [
        (r"^service_tier$", "`standard_only` is `default` elsewhere"),
        (r"allowed_callers\[\]$", "`direct` is who calls everywhere else"),
        (r"media_type$", "read from the file itself"),
        (r"^thinking\.display$", "`summarized` is `auto` elsewhere"),
    ],
    "gemini_generate": [
        (r"^generationConfig\.responseMimeType$", "becomes the kind of format"),
        (r"^serviceTier$", "`unspecified` says nothing, `standard` is `default` elsewhere"),
        (r"functionDeclarations\[\]\.behavior$", "`BLOCKING` is how tools are everywhere else"),
        (r"toolConfig\.functionCallingConfig\.mode$", "becomes the kind of choice"),
    ],
}
"""Paths whose values become others: the documented adaptations, each with its reason."""


def unread(
    caller: str, body: dict[str, Any], request: ModelRequest, leftovers: tuple[str, ...]
) -> Iterator[str]:
    said = Haystack(msgspec.to_builtins(request))
    adapted = [re.compile(pattern) for pattern, _ in READ_OTHERWISE[caller]]
    for path, leaf in leaves(body):
        if STRUCTURE.search(path) or any(pattern.search(path) for pattern in adapted):
            continue
        if any(path == left or path.startswith((f"{left}.", f"{left}[")) for left in leftovers):
            continue
        if leaf in said or (isinstance(leaf, str) and all(piece in said for piece in pieces(leaf))):
            continue
        yield f"{path}: {leaf!r}"


def pieces(text: str) -> list[str | int | float]:
    """What a text is made of, where it is a data URL or JSON."""
    if text.startswith("data:"):
        return [text.partition(",")[2]]
    found = [leaf for _, leaf in in_json(text)]
    return found if found != [text] else ["\0"]


# -- the second step: what the request says is in the upstream's body, or its field is among the losses

Said = tuple[str, str | int | float, frozenset[Field]]
"""Where, what, and which losses account for it."""

SAMPLING: Final = {name: Field(name) for name in Sampling.__struct_fields__}
PLAIN: Final = {
    "verbosity": Field.VERBOSITY, "max_output_tokens": Field.MAX_OUTPUT_TOKENS, "end_user": Field.END_USER,
    "metadata": Field.METADATA, "service_tier": Field.SERVICE_TIER, "prompt_cache_key": Field.PROMPT_CACHE_KEY,
    "prompt_cache_retention": Field.PROMPT_CACHE_RETENTION, "modalities": Field.MODALITIES,
}  # fmt: skip
MEDIA: Final = {"detail": Field.IMAGE_DETAIL, "name": Field.MEDIA_NAMES}


def said(request: ModelRequest) -> Iterator[Said]:
    for text in request.instructions:
        yield from in_part(text, "instructions")
    for message in request.messages:
        if message.name is not None:
            yield "message.name", message.name, frozenset([Field.MESSAGE_NAMES])
        for part in message.parts:
            yield from in_part(part, message.role.value)
    choice = request.tool_choice
    chosen = choice.names if choice is not None else ()
    for tool in request.tools:
        # Where there is no word for a choice of some, only these are offered, and none where none may be called.
        is_offered = tool.name in chosen or not any(tool.name in chosen for tool in request.tools)
        if is_offered and (choice is None or choice.mode is not ChoiceMode.NONE):
            yield from in_tool(tool)
    for name, field in PLAIN.items():
        for path, leaf in leaves(getattr(request, name)):
            yield f"{name}{path}", leaf, frozenset([field])
    for name, field in SAMPLING.items():
        for path, leaf in leaves(getattr(request.sampling, name)):
            yield f"{name}{path}", leaf, frozenset([field])
    if request.output is not None:
        for path, leaf in leaves(request.output.schema):
            yield f"output.schema.{path}", leaf, frozenset([Field.OUTPUT_FORMAT])
    for name in chosen:
        yield "tool_choice.names", name, frozenset([Field.TOOL_CHOICE, Field.SERVER_TOOLS])
    yield from in_mark(request.cache)


def in_mark(cache: CacheMark | None) -> Iterator[Said]:
    if cache is not None and cache.ttl is not None:
        yield "cache.ttl", f"\0{cache.ttl}", frozenset([Field.CACHE_MARKS])


def in_part(part: Any, path: str) -> Iterator[Said]:
    nothing: frozenset[Field] = frozenset()
    yield from in_mark(getattr(part, "cache", None))
    match part:
        case Text():
            yield f"{path}.text", part.text.strip(), nothing
            for citation in part.citations:
                for name in ("url", "title", "quoted"):
                    if getattr(citation, name):
                        yield f"{path}.citation.{name}", getattr(citation, name), frozenset([Field.CITATIONS])
        case Media():
            for name in ("data", "url", "file_id", "text", "name", "detail", "context", "transcript"):
                value = getattr(part, name)
                if value:
                    more = [MEDIA[name]] if name in MEDIA else []
                    yield f"{path}.media.{name}", value, frozenset([Field.MEDIA, *more])
        case Thinking():
            yield f"{path}.thinking", part.text.strip(), frozenset([Field.THINKING_PARTS])
        case ToolCall():
            yield f"{path}.call.name", part.name, nothing
            for _, leaf in in_json(part.arguments):
                yield f"{path}.call.arguments", leaf, nothing
        case ToolResult():
            for inner in part.parts:
                yield from in_part(inner, f"{path}.result")
        case Opaque():
            for name, leaf in leaves(part.value):
                yield f"{path}.opaque.{name}", leaf, frozenset([Field.OPAQUE_PARTS])
        case _:
            yield f"{path}.refusal", part.text.strip(), nothing


def in_tool(tool: Tool | ServerTool) -> Iterator[Said]:
    nothing: frozenset[Field] = frozenset()
    yield from in_mark(tool.cache)
    if isinstance(tool, ServerTool):
        for path, leaf in leaves(tool.value):
            yield f"server_tool.{path}", leaf, frozenset([Field.SERVER_TOOLS])
        return
    yield "tool.name", tool.name, nothing
    yield "tool.description", tool.description or "", nothing
    for path, leaf in leaves(tool.schema):
        yield f"tool.schema.{path}", leaf, nothing
    for path, leaf in leaves(tool.grammar):
        yield f"tool.grammar.{path}", leaf, frozenset([Field.CUSTOM_TOOL_GRAMMAR])


WRITTEN_OTHERWISE: Final[list[tuple[str, str, str]]] = [
    (
        "*",
        r"^service_tier$",
        "`auto` is how it is without a word, `default` is `standard_only` or `standard` elsewhere",
    ),
    ("*", r"^modalities\[\]$", "all answer in text; of other kinds the loss is named, see test_every_field"),
    ("*", r"\.media\.detail$", "`auto` is how it is without a word; of the others see test_every_field"),
    ("*", r"^server_tool\.(type|name)$", "the same tool goes by another name"),
    ("cohere_chat", r"^top_[pk]$", "cut to what Cohere takes, where more makes no difference"),
    ("bedrock_converse", r"\.media\.name$", "names are cut to the letters Bedrock takes"),
]
"""Target, place and reason: the documented adaptations."""


def unwritten(target: str, request: ModelRequest, body: bytes, lost: frozenset[Field]) -> Iterator[str]:
    written = Haystack(json.loads(body))
    adapted = [re.compile(place) for name, place, _ in WRITTEN_OTHERWISE if name in (target, "*")]
    for path, leaf, fields in said(request):
        if fields & lost or leaf == "" or any(pattern.search(path) for pattern in adapted):
            continue
        if isinstance(leaf, str) and leaf.startswith("\0"):
            if f'"ttl":"{leaf[1:]}"'.encode() not in body:
                yield f"{path}: {leaf[1:]}"
        elif leaf not in written and not any(form in written for form in other_forms(leaf)):
            yield f"{path}: {leaf!r}"


def other_forms(leaf: str | float) -> Iterator[str]:
    """A text in base64, as files in words are sent where there are only files; or the pieces of its JSON, as results
    are where results are objects."""
    if isinstance(leaf, str):
        yield base64.b64encode(leaf.encode()).decode()
        found = [str(piece) for piece in pieces(leaf)]
        yield found[0] if len(found) == 1 else "\n".join(found)


def cross(
    request: ModelRequest, target: str, traits: Traits, recall: MemoryRecall
) -> tuple[bytes, frozenset[Field]]:
    """As the house does it, the fetching of media left out."""
    prepared, losses = with_reasoning(request, traits.issuer, recall, "t")
    emulation = Emulation(prepared, traits, keeps_namespaces=target == "openai_responses")
    written = faces_of(target).write_request(emulation.request, traits)
    every = [*losses, *emulation.losses, *written.losses]
    return written.body, frozenset([loss.field for loss in every])


# -- the tests


class Outcome:
    """What became of all requests of one caller."""

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.counts: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.written: dict[str, list[bytes]] = {}
        """By target: the bodies for the provider that invented the dialect."""

    def note(self, step: str, found: str, line: str) -> None:
        place = f"{step} {WORD.sub('*', found.partition(': ')[0])}"
        self.silent[place] += 1
        self.examples.setdefault(place, f"{place}: {found} in {line[:1500]}")

    @property
    def listed(self) -> list[str]:
        return [f"{count} x {self.examples[place]}" for place, count in self.silent.most_common()]


INVENTORS: Final = {
    "openai_chat": "openai", "openai_responses": "openai", "anthropic_messages": "anthropic",
    "gemini_generate": "gemini", "bedrock_converse": "bedrock", "cohere_chat": "cohere",
}  # fmt: skip


def put_to_all(caller: str, lines: list[str]) -> Outcome:
    outcome = Outcome(caller)
    dialect = caller.partition("-")[0]
    ways = {target: list(traits_of(target).items()) for target in TARGETS if target != dialect}
    recall = MemoryRecall(FakeClock())
    for number, line in enumerate(lines):
        try:
            request, leftovers = read(dialect, line.encode())
        except GatewayError as error:
            assert_told_to_caller(error, line)
            outcome.counts["refused by the reader"] += 1
            continue
        outcome.counts["read"] += 1
        for found in unread(dialect, json.loads(line), request, leftovers):
            outcome.note("read", found, line)
        for target, traits in ways.items():
            others = [way for way in traits if way[0] not in ("default", INVENTORS[target])]
            inventors = [way for way in traits if way[0] == INVENTORS[target]] or traits[:1]
            for provider, trait in (inventors[0], others[number % len(others)]):
                try:
                    upstream, lost = cross(request, target, trait, recall)
                except GatewayError as error:
                    assert_told_to_caller(error, line)
                    outcome.counts[f"refused for {target}"] += 1
                    continue
                outcome.counts[f"written for {target}"] += 1
                if provider == inventors[0][0]:
                    outcome.written.setdefault(target, []).append(upstream)
                for found in unwritten(target, request, upstream, lost):
                    outcome.note(target, f"{found} ({provider})", line)
    return outcome


@pytest.fixture(scope="module")
def outcomes(fuzz: Path) -> Callable[[str], Outcome]:
    """What became of a caller's requests, found out once."""
    known: dict[str, Outcome] = {}

    def get(caller: str) -> Outcome:
        if caller not in known:
            known[caller] = put_to_all(caller, (fuzz / f"{caller}.jsonl").read_text().splitlines())
        return known[caller]

    return get


@pytest.mark.parametrize("caller", CALLERS)
def test_nothing_a_random_request_says_is_lost_without_a_word(
    caller: str, outcomes: Callable[[str], Outcome], record_property: Any
) -> None:
    outcome = outcomes(caller)
    record_property(
        "report", f"random requests of {caller}: {dict(outcome.counts)}, {len(outcome.silent)} silent"
    )
    assert not outcome.listed, f"{len(outcome.listed)} places\n" + "\n".join(outcome.listed)
    assert outcome.counts["read"] >= COUNT * 0.9, outcome.counts
    for target in TARGETS:
        if target != caller.partition("-")[0]:
            assert outcome.counts[f"written for {target}"] >= COUNT, outcome.counts


@pytest.mark.parametrize("caller", CALLERS)
def test_what_is_written_is_what_the_upstreams_own_sdk_would_send(
    caller: str, outcomes: Callable[[str], Outcome], record_property: Any
) -> None:
    wrong: list[str] = []
    rates: dict[str, float] = {}
    for target, bodies in outcomes(caller).written.items():
        told = json.loads(run_in_clients("judged_by_sdks.py", target, said=b"\n".join(bodies[:JUDGED])))
        rates[target] = 1 - sum(told["wrong"].values()) / told["count"]
        if rates[target] < LEAST_VALID:
            wrong.append(
                f"{target}: {json.dumps(told['wrong'], indent=1)}\n{json.dumps(told['examples'])[:2000]}"
            )
    record_property("report", f"valid bodies from {caller}: { {k: round(v, 4) for k, v in rates.items()} }")
    assert not wrong, "\n".join(wrong)
