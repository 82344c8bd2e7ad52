"""What a scraper finds at a real house is what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from house import config_text, running_house
from redis_server import running_redis
from tollhouse.testing import ScriptedUpstream

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"


def documented() -> dict[str, tuple[str, ...]]:
    """The metrics of the guide's table, with their labels."""
    table = GUIDE.read_text().split("| metric | labels |")[1].split("\n\n")[0]
    found = {}
    for row in re.findall(r"^\| (`tollhouse_.*?) \| (.*?) \|", table, re.M):
        for name in re.findall(r"`(\w+)`", row[0]):
            found[name] = tuple(re.findall(r"`(\w+)`", row[1]))
    return found


def test_every_metric_is_in_the_guide_with_its_labels(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream, running_redis(tmp_path / "redis") as redis:
        provider = {"kind": "openai_compatible", "base_url": upstream.base_url, "credential": "env:UP_KEY"}
        route = {"deployments": [{"provider": "up", "model": "mock-chat"}]}
        routes = {"gpt": {**route, "mirror": {"route": "next", "share": 1}}, "next": route}
        (folder := tmp_path / "house").mkdir()
        config = config_text("", providers={"up": provider}, routes=routes, shared=redis.url)
        with running_house(folder, config) as house:
            assert house.chat(house.new_key("gpt"))[0] == 200
            upstream.wait_received(2)
            text = house.call("GET", "/metrics")[2].decode()
    exposed: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = exposed.setdefault(name, set())
        labels.update(*[sample.labels for sample in family.samples])
        labels.discard("le")
    known = documented()
    assert set(exposed) == set(known)
    for name, labels in exposed.items():
        assert labels in (set(known[name]), set()), name
