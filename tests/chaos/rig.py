"""What a scenario works with: upstreams, networks, a house, clients; and what must hold after every one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chaos import speech
from chaos.book import count_book
from chaos.certificates import Authority
from chaos.client import Answer, Client
from chaos.names import HouseWithNames, NameServer
from chaos.probe import Probe
from chaos.raw_upstream import OnAccept, RawUpstream, Request, Script, model_in
from chaos.relay import Relay
from chaos.seen import Seen
from house import PROVIDER_KEY, House, config_text
from tollhouse.testing import ScriptedUpstream, refused_port

_SABOTAGE_FOLDER = Path(__file__).parent / "sabotage"
_SETTLE_S = 6.0
_SPARE_DESCRIPTORS = 4
_COMPLAINTS = ("Task exception", "Traceback", '"defect"', '"keeper_defect"', '"worker_died"')
"""What no log may have in it."""
_NEIGHBOUR = "neighbour"

Tree = dict[str, Any]


def route(*providers: str, attempts: int = 2, model: str = "mock-chat", **more: Any) -> Tree:
    """A route to one model at each of the providers, in that order."""
    deployments = [{"provider": name, "model": model} for name in providers]
    return {"deployments": deployments, "retry": {"max_attempts": attempts}, **more}


def by_dialect(upstream: RawUpstream, **more: Any) -> tuple[dict[str, str | Tree], dict[str, Tree]]:
    """Providers and routes for all dialects at one upstream. The model `openai_chat-CASE` goes there by chat; the
    upstream is asked for `CASE` and finds both by `model_of`."""
    providers: dict[str, str | Tree] = {
        dialect: {"kind": speech.KIND[dialect], "base_url": speech.base_url(dialect, upstream.url)}
        for dialect in speech.DIALECTS
    }
    routes = {f"{dialect}-*": route(dialect, model="*", **more) for dialect in speech.DIALECTS}
    return providers, routes


_DOORS = {"/chat/completions": speech.CHAT, "/responses": speech.RESPONSES, "/messages": speech.ANTHROPIC}
_GEMINI_MODEL = re.compile(r"/models/([^:]+):")


def model_of(request: Request) -> tuple[str, str]:
    """The dialect an upstream is called in, and the model it is asked for."""
    if match := _GEMINI_MODEL.search(request.path):
        return speech.GEMINI, match[1]
    dialect = next(name for path, name in _DOORS.items() if request.path.endswith(path))
    return dialect, model_in(request)


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class SabotageMissing(Exception):
    """The broken build is not broken: nothing can be said of the scenario."""


class Rig:
    """The surroundings of one scenario. Whatever is made by it is stopped by it."""

    def __init__(self, folder: Path, *, sabotage: str | None = None, scale: float = 1.0) -> None:
        """`sabotage` breaks the house on purpose; `scale` makes counts smaller, for runs that need no figures."""
        self.folder = folder
        self.seen = Seen()
        self.house: House
        self.client: Client
        self._neighbour: ScriptedUpstream
        self.other_calls = 0
        """Calls made by other means than `client` and probes."""
        self.unseen_upstream_calls = 0
        """Calls to upstreams that are none of the rig's, such as the mock provider inside the house."""
        self.tolerated: tuple[str, ...] = ()
        """Complaints in the log that the scenario itself brings about: of `_COMPLAINTS`."""
        self.has_failpoints = False
        """Whether the house is to have those of `sabotage/failpoints.py`, also the good build."""
        self._sabotage = sabotage
        self._scale = scale
        self._stack = AsyncExitStack()
        self._clients = AsyncExitStack()
        self._all_clients: list[Client] = []
        self._probes: list[Probe] = []
        self._upstreams: list[ScriptedUpstream | RawUpstream] = []
        self._rows: dict[str, Tree] = {}
        self._tasks_before = 0.0
        self._descriptors_before = 0
        self._memory_before = 0

    def count(self, number: int) -> int:
        """A count of the catalogue's, scaled."""
        return max(1, round(number * self._scale))

    # -- upstreams and networks

    def upstream(self) -> ScriptedUpstream:
        """A provider that does what it is told, by the standard script."""
        upstream = self._stack.enter_context(ScriptedUpstream())
        self._upstreams.append(upstream)
        return upstream

    def raw(
        self,
        answer: Script,
        *,
        on_accept: OnAccept | None = None,
        tls: Authority | ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> RawUpstream:
        """A provider that sends bytes, over TLS where there is a context, or an authority to sign its certificate."""
        context = tls.server_context() if isinstance(tls, Authority) else tls
        upstream = RawUpstream(answer, on_accept=on_accept, tls=context, host=host, port=port)
        self._stack.callback(upstream.stop)
        self._upstreams.append(upstream)
        return upstream

    def relay(self, to_port: int) -> Relay:
        """A network between the house and a port, as bad as `relay.set` makes it."""
        relay = Relay(to_port)
        self._stack.callback(relay.stop)
        return relay

    def name_server(self) -> NameServer:
        """For `open_house`; needs root."""
        server = NameServer()
        self._stack.callback(server.stop)
        return server

    def authority(self, name: str = "chaos") -> Authority:
        return Authority(self.folder, name)

    def refused_port(self) -> int:
        """A port that answers every connection with RST."""
        return self._stack.enter_context(refused_port())

    def black_hole_port(self) -> int:
        """A port that answers no SYN: its listener takes nothing and has no room for more."""
        listener = self._stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = self._stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        port: int = listener.getsockname()[1]
        return port

    # -- the house

    async def open_house(
        self,
        providers: Mapping[str, str | Tree],
        routes: Mapping[str, Tree],
        *,
        names: NameServer | None = None,
        under: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        house_in: type[House] | None = None,
        **more: Any,
    ) -> House:
        """Start a house with these, and with a healthy neighbour that probes can ask.

        A provider is its base URL, or a tree with more than that. With `names` the house asks that name server only.
        `under` is a command that starts the one behind it, `environment` what it finds besides, `house_in` another kind
        of house; `more` are further keys of the configuration.
        """
        neighbour = self._neighbour = self._stack.enter_context(ScriptedUpstream())
        kind = {"kind": "openai_compatible", "credential": "env:UP_KEY"}
        trees = {
            name: kind | (tree if isinstance(tree, dict) else {"base_url": tree})
            for name, tree in {**providers, _NEIGHBOUR: neighbour.base_url}.items()
        }
        config = config_text("", providers=trees, routes={**routes, _NEIGHBOUR: route(_NEIGHBOUR)}, **more)
        kind_of_house = house_in or (House if names is None else HouseWithNames)
        environment = {**(environment or {}), **self._sabotaged_environment()}
        self.house = kind_of_house(self.folder, config, environment)
        self.house.under = under
        if isinstance(self.house, HouseWithNames) and names is not None:
            self.house.resolv_conf = names.resolv_conf(self.folder)
        self._stack.callback(self._kill)
        self.house.start()
        self._upstreams.append(neighbour)
        self._check_sabotage()
        self._tasks_before = self.metric("tasks")
        self._descriptors_before = self.descriptors()
        self._memory_before = self.memory_bytes()
        self.client = await self.new_client()
        return self.house

    async def new_client(self, *routes: str) -> Client:
        """A client with a key of its own."""
        client = Client(self.house.url, self.house.new_key(*routes), PROVIDER_KEY)
        await self._clients.enter_async_context(client)
        self._all_clients.append(client)
        return client

    @asynccontextmanager
    async def probe(
        self,
        factor: float,
        *,
        model: str = _NEIGHBOUR,
        upstream: ScriptedUpstream | None = None,
        most_errors_percent: float = 0.0,
    ) -> AsyncIterator[None]:
        """The block is the fault: the neighbour must be served as before it, its p99 at most `factor` times as long.

        With `model` another route is watched, which leads to the model `mock-chat` at `upstream`.
        """
        key = self.house.new_key(model, name="probe")
        past = upstream or self._neighbour
        probe = Probe(f"{self.house.url}/v1", past.base_url, key, model)
        self._probes.append(probe)
        try:
            await probe.watch_good_times()
            yield
        finally:
            probe.end()
        probe.judge(self.seen, factor, most_errors_percent)

    def metric(self, name: str) -> float:
        """A metric without labels, as `/metrics` tells it now, without its `tollhouse_`."""
        _, _, text = self.house.call("GET", "/metrics")
        match = re.search(rf"^tollhouse_{name} (\S+)$", text.decode(), re.MULTILINE)
        assert match is not None, f"there is no metric tollhouse_{name}"
        return float(match[1])

    def memory_bytes(self) -> int:
        """Resident, of the serving process."""
        return sum(_resident_bytes(pid) for pid in self.house.worker_pids())

    def processor_s(self) -> float:
        """Processor time that all threads of the serving process have had."""
        threads = [each for pid in self.house.worker_pids() for each in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def descriptors(self) -> int:
        """Open files of the serving process."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.house.worker_pids())

    # -- the book

    async def rows(self) -> dict[str, Tree]:
        """The book by id, as soon as nothing in it is open."""
        end = time.monotonic() + _SETTLE_S
        while True:
            rows = {row["id"]: row for row in self.house.book(100_000)}
            if not any(row["outcome"] == "open" for row in rows.values()) or time.monotonic() > end:
                return rows
            await asyncio.sleep(0.2)

    async def row(self, answer: Answer) -> Tree:
        """What the book says of one call."""
        if answer.id not in self._rows or self._rows[answer.id]["outcome"] == "open":
            self._rows = await self.rows()
        return self._rows[answer.id]

    # -- what must hold in the end

    async def settle(self) -> None:
        """Invariants I0: one row a call, nothing left over, no secret anywhere, no defect in the log."""
        await self._clients.aclose()
        calls = sum(client.calls for client in self._all_clients)
        calls += sum(probe.calls for probe in self._probes) + self.other_calls
        breaches = await self._wait_until_none(lambda: self._left_over(calls))
        breaches += [leak for client in self._all_clients for leak in client.leaks]
        breaches += self._complaints()
        if self.house.is_running:
            grown = self.memory_bytes() - self._memory_before
            self.seen.note("memory MiB", f"{grown / 2**20:+.0f}")
        status = self._stop()
        breaches += [status] if status else []
        self.seen.none_of("I0 breaches", breaches)

    def _left_over(self, calls: int) -> list[str]:
        found = self._wrong_in_the_book(calls)
        if self.house.is_running:
            found |= self._left_in_the_process()
        found[f"{self._open_calls()} upstream calls are open"] = self._open_calls() > 0
        return [breach for breach, is_so in found.items() if is_so]

    def _wrong_in_the_book(self, calls: int) -> dict[str, bool]:
        book = count_book(self.house)
        came = self.unseen_upstream_calls + sum(upstream.count for upstream in self._upstreams)
        came -= sum(probe.calls_past_the_house for probe in self._probes)
        return {
            f"{book.rows} rows for {calls} calls": book.rows != calls,
            f"{book.open_rows} rows are open": book.open_rows > 0,
            f"{came} calls came upstream, in the book {book.answered} with an answer of {book.attempts}": not (
                book.answered <= came <= book.attempts
            ),
        }

    def _left_in_the_process(self) -> dict[str, bool]:
        tasks, connections, descriptors = (
            self.metric("tasks"),
            self.metric("connections"),
            self.descriptors(),
        )
        upstream = sum(upstream.open_connections for upstream in self._upstreams)
        return {
            f"{tasks:.0f} tasks, before {self._tasks_before:.0f}": tasks > self._tasks_before,
            f"{connections:.0f} client connections": connections > 1,  # this question's own
            f"{descriptors} descriptors, before {self._descriptors_before}, {upstream} connections upstream": (
                descriptors > self._descriptors_before + upstream + _SPARE_DESCRIPTORS
            ),
        }

    async def _wait_until_none(self, look: Callable[[], list[str]]) -> list[str]:
        end = time.monotonic() + _SETTLE_S
        while (found := look()) and time.monotonic() < end:
            await asyncio.sleep(0.3)
        return found

    def _open_calls(self) -> int:
        return sum(
            upstream.open_calls
            if isinstance(upstream, RawUpstream)
            else sum(call.ended_at is None for call in upstream.received)
            for upstream in self._upstreams
        )

    def _complaints(self) -> list[str]:
        log = self.house.log.read_text(errors="replace")
        marks = [mark for mark in _COMPLAINTS if mark not in self.tolerated]
        return [line[:200] for line in log.splitlines() if any(mark in line for mark in marks)]

    def _stop(self) -> str:
        """SIGTERM; what was wrong with how it ended. The provider's key must be in no file of the house."""
        try:
            status = self.house.stop()
        except AssertionError as error:
            return str(error)[:200]
        return f"exit status {status}" if status else ""

    def _kill(self) -> None:
        if self.house.is_running:
            self.house.kill()

    # -- sabotage

    @property
    def _mark(self) -> Path:
        return self.folder / "sabotaged"

    def _sabotaged_environment(self) -> dict[str, str]:
        if self._sabotage is None and not self.has_failpoints:
            return {}
        paths = [str(_SABOTAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(paths),
            "CHAOS_SABOTAGE": self._sabotage or "",
            "CHAOS_FAILPOINTS": str(self.folder / "failpoints") if self.has_failpoints else "",
            "CHAOS_SABOTAGE_MARK": str(self._mark),
        }

    def _check_sabotage(self) -> None:
        if self._sabotage is None:
            return
        broken = self._mark.read_text().split() if self._mark.exists() else []
        if not {str(pid) for pid in self.house.worker_pids()} <= set(broken):
            log = self.house.log.read_text(errors="replace")
            raise SabotageMissing(f"the worker was not broken by {self._sabotage!r}: {log[-600:]}")

    async def close(self) -> None:
        """Stop everything, also after a scenario that broke off."""
        with contextlib.suppress(Exception):
            await self._clients.aclose()
        await self._stack.aclose()
