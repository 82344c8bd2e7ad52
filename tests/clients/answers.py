"""What the scripted models say: one course of answers per scenario, the same in every wire API.

A scenario is named in the model's name (`claude-sonnet-4-5--loop`), so that the upstreams need no state: which turn it
is they see in the conversation they are sent. A number behind it (`loop.17`) makes a conversation of its own, with ids
and signatures that no other has: what a house remembers of one is of no use to the next.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final

MARK: Final = "--"
"""Between a model's name and the scenario it plays."""

TOOLS: Final[list[dict[str, Any]]] = [
    {
        "name": "get_weather",
        "description": "The weather of a city for some days.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name."},
                "days": {"type": "integer", "description": "How many."},
            },
            "required": ["city", "days"],
        },
    },
    {
        "name": "list_files",
        "description": "All files there are.",
        "parameters": {"type": "object", "properties": {}},
    },
]
"""The tools that clients offer, without any API's wrapping. One takes no arguments: models say that in many ways."""


@dataclass(frozen=True)
class Thought:
    """Reasoning; what it is signed with depends on who speaks."""

    text: str


@dataclass(frozen=True)
class Said:
    """Text for the user."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


Part = Thought | Said | Call


@dataclass(frozen=True)
class Tokens:
    """Usage. `input` includes `cached`, `output` includes `reasoning`."""

    input: int = 29
    cached: int = 16
    output: int = 11
    reasoning: int = 4


@dataclass(frozen=True)
class Answer:
    """One answer of a model."""

    scenario: str
    turn: int
    parts: tuple[Part, ...]
    finish: str
    """`stop`, `tool` or `length`."""
    tokens: Tokens = field(default_factory=Tokens)
    is_cut: bool = False
    """The stream breaks off half-way."""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Said))

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Thought))

    @property
    def calls(self) -> list[Call]:
        return [part for part in self.parts if isinstance(part, Call)]

    def signature(self, issuer: str) -> str:
        """What the issuer signs this answer's reasoning with."""
        return signature(issuer, self.scenario, self.turn)


@dataclass(frozen=True)
class Refusal:
    """An error of the provider, by what it is about: `overflow`, `credential`, `rate` or `failure`."""

    about: str


RETRY_AFTER_S: Final = 7


def signature(issuer: str, scenario: str, turn: int) -> str:
    """Base64 that only this answer of this issuer has; the plus and slash of base64 must survive."""
    digest = hmac.digest(issuer.encode(), f"{scenario}/{turn}".encode(), hashlib.sha512)
    return base64.b64encode(b"\xfb\xff\xfe" + digest * 3).decode()


def result_text(name: str, arguments: dict[str, Any]) -> str:
    """What every tool of every client answers: so an upstream can see whether it got the right result."""
    return f"{name} of {json.dumps(arguments, sort_keys=True, ensure_ascii=False)}: fine, 21°"


def play(scenario: str, turn: int) -> Answer | Refusal:
    """What the model says in its `turn`-th answer, from 0. Raises: KeyError for a scenario nobody wrote."""
    plot = scenario.partition(".")[0]
    if plot.startswith("refuse-"):
        return Refusal(plot.removeprefix("refuse-"))

    def call(index: int, name: str, **arguments: Any) -> Call:
        return Call(_call_id(scenario, turn, index), name, arguments)

    def answer(*parts: Part, finish: str = "stop", is_cut: bool = False) -> Answer:
        return Answer(scenario, turn, parts, finish, is_cut=is_cut)

    weather = call(0, "get_weather", city="Zürich", days=2)
    match plot:
        case "text":
            return answer(Said('Grüße aus dem Haus: 你好 🙂, "so" \\ und\nso weiter.'))
        case "length":
            return answer(Said("It goes on and on"), finish="length")
        case "tool":
            return answer(weather, finish="tool")
        case "parallel":
            return answer(
                Said("Let me look."), weather, call(1, "list_files"),
                call(2, "get_weather", city="Genève", days=1), finish="tool",
            )  # fmt: skip
        case "thought":
            return answer(Thought("The house is old, so it is warm."), Said("It is warm."))
        case "cut":
            return answer(Said("This answer will never be finished, because the line breaks."), is_cut=True)
        case "loop":
            rounds: list[Answer] = [
                answer(weather, finish="tool"),
                answer(
                    Said("And the files."), call(0, "list_files"), call(1, "get_weather", city="Bern", days=3),
                    finish="tool",
                ),
                answer(Said("All is fine.")),
            ]  # fmt: skip
            return rounds[min(turn, 2)]
        case "long":
            return _long(scenario, turn)
    raise KeyError(scenario)


def _call_id(scenario: str, turn: int, index: int) -> str:
    """Of letters that all providers take."""
    return f"call_{scenario.replace('-', '_').replace('.', '_')}_{turn}_{index}"


LONG_TURNS: Final = 10


def _long(scenario: str, turn: int) -> Answer:
    """Ten answers, each thought about; every third has parallel calls, every fourth says something before."""
    thought = Thought(f"Step {turn}: I should look at city {turn}.")
    if turn >= LONG_TURNS - 1:
        return Answer(scenario, turn, (thought, Said("Ten steps, all fine.")), "stop")
    calls = [
        Call(_call_id(scenario, turn, index), "get_weather", {"city": f"City {turn}", "days": index + 1})
        for index in range(2 if turn % 3 == 2 else 1)
    ]
    if turn % 5 == 4:
        calls.append(Call(_call_id(scenario, turn, 9), "list_files", {}))
    said = (Said(f"Now city {turn}."),) if turn % 4 == 3 else ()
    return Answer(scenario, turn, (thought, *said, *calls), "tool")


def pieces(text: str, size: int = 5) -> list[str]:
    """A text as a model streams it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def arguments_text(call: Call) -> str:
    """A call's arguments as models write them: with spaces, non-ASCII letters as they are."""
    return json.dumps(call.arguments, ensure_ascii=False)
