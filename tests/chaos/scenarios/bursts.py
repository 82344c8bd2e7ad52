"""U14: the upstream fails for a minute, then it is well again."""

from __future__ import annotations

import time
from collections import Counter

from chaos.rig import Rig, route
from chaos.scenario import scenario

_PER_S = 40.0


@scenario("U14", sabotage="failures_change_nothing", patience_s=180)
async def a_burst_of_failures(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=3)})
    steady = await rig.client.ask_steadily(4, _PER_S, "gpt")
    rig.seen.exactly("before: answered", sum(answer.is_ok for _, answer in steady), len(steady))

    upstream.always(status=500)
    calls = upstream.count
    burst = await rig.client.ask_steadily(rig.count(60), _PER_S, "gpt")
    calls = upstream.count - calls
    rig.seen.at_most(f"calls for {len(burst)} in the burst", calls, 1.2 * len(burst) + 3)
    other = {answer.status for _, answer in burst} - {502, 503}
    rig.seen.none_of("statuses but 502 and 503", [str(status) for status in other])

    upstream.always()
    ended = time.monotonic()
    after = await rig.client.ask_steadily(15, _PER_S, "gpt")
    failures = [asked - ended for asked, answer in after if not answer.is_ok]
    rig.seen.at_most("last failure s after", max(failures, default=0.0), 10)
    late = [answer for asked, answer in after if asked > ended + 10]
    rig.seen.at_least("answered from 10 s on %", 100 * sum(a.is_ok for a in late) / len(late), 99)
    per_second = Counter(int(call.at - ended) for call in upstream.received if call.at >= ended)
    rig.seen.at_most("peak a second", max(per_second.values()), 1.5 * _PER_S)
