"""Recorded answers of APIs and providers that the judge leaves out, read through the house.

Recorded answer → house → the official SDK of each client dialect. What it sees (text, calls with parsed arguments, the
kind of finish, tokens) must be what the provider's own SDK sees in the recording. Where a provider has no SDK of its
own, OpenAI's is what it tells people to use.

Nothing is left out: of an answer with parts that other APIs cannot say, the rest is compared; what the provider's own
SDK cannot read, the house must serve, or refuse with the provider's words or words of its own. Both are counted, and
the few cases that cannot be right are in EXCEPTIONS, each with its reason, and printed.

Runs in the environment of the newest SDKs: `make conformance`, or by hand as its README says.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reading import KEY, Raised, Reader, Result, Unreadable
from replay import Replay, records

CLIENTS: Final = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")


@dataclass(frozen=True)
class Source:
    """Recordings of one API: which kinds of provider may serve them, and how the recording itself is read."""

    api: str
    kinds: tuple[str, ...]
    """The first that the house knows is taken."""
    dialect: str
    native: str
    """The method of Reader that reads the recording."""
    path_ends: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()


def _chat(api: str, *kinds: str, native: str = "openai_chat") -> Source:
    return Source(api, (*kinds, "openai_compatible"), "openai_chat", native, ("/chat/completions",))


SOURCES: Final = (
    Source("openai_responses", ("openai",), "openai_responses", "openai_responses", ("/responses",)),
    Source(
        "bedrock_converse", ("bedrock",), "bedrock_converse", "bedrock_converse", ("/converse", "/converse-stream"),
        (("region", "us-east-1"),),
    ),
    Source("cohere", ("cohere",), "cohere_chat", "cohere_chat", ("/v2/chat",)),
    Source("vertex_generate", ("gemini",), "gemini_generate", "gemini_generate",
        (":generateContent", ":streamGenerateContent"),
    ),
    _chat("mistral", "mistral", native="mistral_chat"),
    _chat("groq", "groq"),
    _chat("deepseek", "deepseek"),
    _chat("xai", "xai"),
    _chat("openrouter", "openrouter"),
    _chat("together", "together"),
    _chat("cerebras", "cerebras"),
    _chat("ollama_openai", "ollama"),
    _chat("perplexity", "perplexity"),
    _chat("azure_openai"),
    _chat("alibaba", "alibaba"),
    _chat("moonshot", "moonshot"),
    _chat("zai", "zai"),
    _chat("huggingface", "huggingface"),
    _chat("gpustack", "gpustack"),
    _chat("crusoe"),
    _chat("snowflake"),
    _chat("heroku"),
    _chat("bedrock_mantle"),
    _chat("litellm_proxy"),
    Source("xai_responses", ("openai",), "openai_responses", "openai_responses", ("/responses",)),
    Source("deepseek_responses", ("openai",), "openai_responses", "openai_responses", ("/responses",)),
    Source("lmstudio_responses", ("openai",), "openai_responses", "openai_responses", ("/responses",)),
    Source("openrouter_responses", ("openai",), "openai_responses", "openai_responses", ("/responses",)),
)  # fmt: skip

EXCEPTIONS: Final = {
    ("gemini_generate", "openai_responses-cd0c77dfcfde-00"): (
        "the recording's image was cut: it is no base64, and Gemini's SDK decodes what it is sent"
    ),
    ("anthropic_messages", "openai_responses-c0593abc6ad3-00"): (
        "free text as a tool's input, broken JSON to Anthropic's SDK, whose users cannot ask for such tools"
    ),
}
"""Client and case: why it cannot be right."""


@dataclass
class Section:
    """One pair: client dialect and recorded API."""

    name: str
    passed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    in_part: collections.Counter[str] = field(default_factory=collections.Counter)
    """What was not compared in cases that otherwise were."""
    named: list[tuple[str, str]] = field(default_factory=list)
    """Exceptions that did not pass, with their reasons."""
    not_run: int = 0


# -- the house


class HouseOfCases:
    """A house with one route per source, in front of the replay."""

    def __init__(self, python: str, replay_url: str, folder: Path) -> None:
        self._python = python
        self.problems: dict[str, str] = {}
        kinds = self._kinds()
        providers: dict[str, Any] = {}
        for source in SOURCES:
            kind = next((kind for kind in source.kinds if source.dialect in kinds.get(kind, ())), None)
            if kind is None:
                self.problems[source.api] = (
                    f"the house has no provider for {source.dialect} of kind {source.kinds[0]}"
                )
                continue
            base = f"{replay_url}/v1" if source.dialect.startswith("openai") else replay_url
            providers[source.api] = {
                "kind": kind, "base_url": base, "credential": "env:CASES_KEY", "dialects": [source.dialect],
                **dict(source.settings),
            }  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        tree = {
            "version": 1,
            "server": {"listen": f"127.0.0.1:{port}", "drain_s": 1},
            "providers": providers,
            "routes": {
                f"{api}/*": {"deployments": [{"provider": api, "model": "*"}], "retry": {"max_attempts": 1}}
                for api in providers
            },
            "keys": [{"name": "cases", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "routes": ["*"]}],
        }
        self._config = folder / "tollhouse.yaml"
        self._config.write_text(json.dumps(tree, indent=1))
        self._log = folder / "serve.log"
        self.url = f"http://127.0.0.1:{port}"

    def _kinds(self) -> dict[str, list[str]]:
        """The kinds of providers of the house, with their dialects."""
        code = (
            "import json; from tollhouse.plugins import load_plugins; plugins = load_plugins();"
            "kinds = {kind: sorted({e.dialect for e in p.endpoints}) for kind, p in plugins.providers.items()};"
            "print(json.dumps(kinds))"
        )
        done = subprocess.run([self._python, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the house does not load:\n{done.stderr}")
        found: dict[str, list[str]] = json.loads(done.stdout)
        return found

    def __enter__(self) -> HouseOfCases:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", "tollhouse", "serve", "--config", str(self._config)],
                stdout=log, stderr=log, env={**os.environ, "CASES_KEY": "sk-replay"}, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            if self._is_ready():
                return self
            time.sleep(0.05)
        self.__exit__()
        raise SystemExit(f"the house did not open:\n{self._log.read_text()[-3000:]}")

    def _is_ready(self) -> bool:
        door = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=2)
        try:
            door.request("GET", "/readyz")
            return door.getresponse().status == 200
        except OSError:
            return False
        finally:
            door.close()

    def __exit__(self, *fault: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)


# -- the cases


def verdict(expected: Result, got: Result) -> str:
    """What is wrong with what the client saw; empty where nothing is."""
    faults = []
    # Where an API has no media in answers, the house tells of them in Markdown.
    text = _IMAGE.sub("", got.text) if expected.aside else got.text
    if _joined(text) not in (_joined(expected.text), _joined(expected.also_text or expected.text)):
        faults.append(f"text {text[:80]!r} instead of {expected.text[:80]!r}")
    if got.tools != expected.tools and expected.has_all_tools:
        faults.append(f"calls {str(got.tools)[:200]} instead of {str(expected.tools)[:200]}")
    if expected.finish not in ("other", got.finish) and expected.has_all_tools:
        faults.append(f"finish {got.finish} instead of {expected.finish}")
    for name in ("input", "output", "cached"):
        right, told = getattr(expected, name), getattr(got, name)
        if right and not told & right:
            faults.append(f"{name} tokens {sorted(told)} instead of {sorted(right)}")
    return "; ".join(faults)


def unread_verdict(
    native: Exception, client: str, source: Source, reader: Reader, model: str, *, stream: bool
) -> str:
    """What the provider's own SDK cannot read is served all the same, or refused for a reason that is told."""
    try:
        reader.read(client, model, stream=stream)
    except Raised as error:
        return f"a defect: {error}" if "defect" in error.message else ""
    except Unreadable as error:
        own = str(native).partition(": ")[2][:60]
        is_same = client == source.dialect or bool(own and _joined(own) in _joined(_plain_quotes(str(error))))
        return "" if is_same else f"unreadable: {error}"
    return ""


_IMAGE: Final = re.compile(r"!\[image\]\(data:[^)]*\)")


def _plain_quotes(text: str) -> str:
    """Messages inside of printed Python values."""
    return text.replace("\\'", "'").replace('\\"', '"')


def _joined(text: str) -> str:
    """How blocks of text are joined is free."""
    return "".join(text.split())


def error_verdict(record: dict[str, Any], client: str, reader: Reader, model: str, *, stream: bool) -> str:
    """A recorded refusal reaches the client with its status and its words."""
    try:
        reader.read(client, model, stream=stream)
    except Raised as error:
        status = record["status"] if record["status"] < 500 else range(500, 600)
        is_same = error.status in status if isinstance(status, range) else error.status == status
        if not is_same:
            return f"status {error.status} instead of {record['status']}"
        words = _words(record["response_body"])
        if words and _joined(words)[:150] not in _joined(_plain_quotes(error.message)):
            return f"message {error.message[:150]!r} instead of {words[:150]!r}"
        return ""
    except Unreadable as error:
        return f"unreadable: {error}"
    return "an answer instead of an error"


def _words(body: Any) -> str:
    """The provider's message, where it is easy to find."""
    if isinstance(body, dict):
        for name in ("message", "Message", "detail"):
            if isinstance(body.get(name), str):
                return str(body[name])
        if isinstance(body.get("error"), dict):
            return _words(body["error"])
    return ""


def run_source(
    source: Source, house: HouseOfCases, replay: Replay, folder: Path, options: argparse.Namespace, end: float
) -> list[Section]:
    """All pairs of one API."""
    clients = [client for client in CLIENTS if client != source.dialect or source.api != "openai_responses"]
    wanted = [c for c in clients if not options.pair or options.pair in f"{c}>{source.api}"]
    sections = {client: Section(f"{client}>{source.api}") for client in wanted}
    if not wanted:
        return []
    cases = [
        record
        for record in records(folder, source.api)
        if is_answer(record, source) and options.case in ("", record["id"])
    ]
    cases.sort(key=lambda record: hashlib.sha256(record["id"].encode()).hexdigest())
    native, through = Reader(replay.url), Reader(house.url)
    for number, record in enumerate(cases[: options.limit or None]):
        if time.monotonic() > end:
            for section in sections.values():
                section.not_run += 1
            continue
        show(f"{source.api}: {number + 1} of {len(cases)}")
        run_case(source, record, native, through, replay, sections)
    return list(sections.values())


def is_answer(record: dict[str, Any], source: Source) -> bool:
    """Whether it is a model's answer, or the refusal of one."""
    is_asked = record["method"] == "POST" and record["path"].partition("?")[0].endswith(source.path_ends)
    return is_asked and record["response_kind"] in ("json", "sse", "eventstream") and record["status"] >= 200


def run_case(
    source: Source,
    record: dict[str, Any],
    native: Reader,
    through: Reader,
    replay: Replay,
    sections: dict[str, Section],
) -> None:
    """One recording, all clients."""
    replay.record = record
    is_stream = (
        bool(record.get("stream"))
        or "stream" in record["path"].lower()
        or record.get("stream_requested") is True
    )
    name = record.get("model") or "model"
    model = f"{source.api}/{name}"
    expected, unread = None, None
    if record["status"] < 400:
        try:
            expected = native.read(source.native, name, stream=bool(record.get("stream")))
        except (Unreadable, Raised) as error:
            unread = error
    streams = bool(record.get("stream"))
    for client, section in sections.items():
        if unread is not None:
            section.in_part["the provider's own SDK cannot read it: served, or refused with a reason"] += 1
            fault = unread_verdict(unread, client, source, through, model, stream=streams)
        elif expected is None:
            fault = error_verdict(record, client, through, model, stream=is_stream)
        else:
            if expected.aside:
                section.in_part[expected.aside] += 1
            try:
                fault = verdict(expected, through.read(client, model, stream=streams))
            except (Unreadable, Raised) as error:
                fault = f"{type(error).__name__}: {str(error)[:300]}"
        reason = EXCEPTIONS.get((client, record["id"]))
        if not fault:
            section.passed += 1
        elif reason:
            section.named.append((record["id"], reason))
        else:
            section.failed.append((record["id"], fault))


def show(text: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def report(sections: list[Section], problems: dict[str, str]) -> None:
    show("")
    for section in sections:
        for case, fault in section.failed:
            print(f"FAILED {section.name} {case}: {fault}")
    print(f"\n{'client > recorded API':42} {'passed':>7} {'cases':>7} {'of these in part':>17} {'named':>6}")
    for section in sections:
        cases = section.passed + len(section.failed) + len(section.named)
        late = f"  {section.not_run} not run: out of time" if section.not_run else ""
        print(
            f"{section.name:42} {section.passed:7} {cases:7} {sum(section.in_part.values()):17} "
            f"{len(section.named):6}{late}"
        )
    passed = sum(section.passed for section in sections)
    named = [(section.name, *one) for section in sections for one in section.named]
    cases = passed + len(named) + sum(len(section.failed) for section in sections)
    reasons = sum((section.in_part for section in sections), collections.Counter[str]())
    share = f"  ({passed / cases:.2%})" if cases else ""
    print(f"{'all':42} {passed:7} {cases:7} {sum(reasons.values()):17} {len(named):6}{share}")
    for reason, count in reasons.most_common():
        print(f"in part {count:5} x {reason}")
    for name, case, reason in named:
        print(f"NAMED {name} {case}: {reason}")
    for api, problem in problems.items():
        print(f"NOT OFFERED {api}: {problem}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="the folder of <api>.jsonl.gz")
    parser.add_argument("--house-python", required=True, help="the interpreter of the house's environment")
    parser.add_argument("--limit", type=int, default=0, help="at most so many recordings per API")
    parser.add_argument(
        "--pair", default="", help="only pairs whose name has this text, e.g. anthropic_messages>groq"
    )
    parser.add_argument("--case", default="", help="only this recording")
    parser.add_argument(
        "--seconds", type=float, default=1800, help="what is left after this time is reported as not run"
    )
    parser.add_argument("--json", type=Path, help="write everything here")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="cases-") as folder, Replay() as replay:
        house = HouseOfCases(options.house_python, replay.url, Path(folder))
        with house:
            for source in SOURCES:
                if source.api not in house.problems:
                    sections += run_source(source, house, replay, options.corpus, options, end)
    report(sections, house.problems)
    if options.json:
        rows = [
            {
                "pair": s.name,
                "passed": s.passed,
                "failed": s.failed,
                "in_part": s.in_part,
                "named": s.named,
                "not_run": s.not_run,
            }
            for s in sections
        ]
        options.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    is_good = all(not section.failed and not section.not_run for section in sections) and not house.problems
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
