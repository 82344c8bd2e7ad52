"""P19: a house is opened where there is nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

from chaos.apart import NOBODY, HouseApart
from chaos.rig import Rig, route
from chaos.scenario import scenario


@scenario("P19", sabotage="the_house_looks_around")
async def a_house_is_opened_where_there_is_nothing(rig: Rig) -> None:
    """What it calls is the mock provider that it has in itself."""
    house = await rig.open_house({"mock": {"kind": "mock"}}, {"gpt": route("mock")}, house_in=HouseApart)
    assert isinstance(house, HouseApart)
    rig.seen.none_of("sockets outward", [f"{name} {count}" for name, count in house.sent_at_start.items()])
    processes = [house.pid, *house.worker_pids()]
    rig.seen.exactly("user", {os.stat(f"/proc/{pid}").st_uid for pid in processes}, {NOBODY})
    rig.seen.exactly("rights", {_capabilities(pid) for pid in processes}, {0})
    rig.seen.none_of("HOME", [str(pid) for pid in processes if b"\0HOME=" in _environment(pid)])
    rig.seen.exactly("root", _root_options(house.pid), "ro")
    rig.seen.exactly("networks", _interfaces(house.pid), ["lo"])

    key = house.new_key("gpt")
    rig.other_calls = rig.unseen_upstream_calls = 2
    answers = [house.chat(key), house.chat(key, stream=True)]
    rig.seen.exactly("answered", [status for status, _, _ in answers], [200, 200])
    rig.seen.exactly("whole", b"[DONE]" in answers[1][2] and "choices" in json.loads(answers[0][2]), True)


def _capabilities(pid: int) -> int:
    """Those in effect, as a set of bits."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return int(line.split()[1], 16)


def _environment(pid: int) -> bytes:
    return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()


def _root_options(pid: int) -> str:
    mounts = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
    (options,) = [fields[3] for fields in mounts if fields[1] == "/"]
    return options.split(",")[0]


def _interfaces(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines]
