"""U21: an upstream that cannot prove who it is, or does not come to the point."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from chaos import speech
from chaos.certificates import Authority
from chaos.raw_upstream import RawUpstream, Request, Wire, whole
from chaos.rig import Rig, Tree, route
from chaos.scenario import scenario

_HANDSHAKE_S = 2.0
_SERVER_HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"\x00" * 16_384


async def answer_once(wire: Wire, request: Request) -> None:
    """Every call is to shake hands anew."""
    await wire.send(whole(speech.unary(), "application/json", "connection: close"))
    wire.close()


async def hang_up(wire: Wire) -> None:
    await wire.send(_SERVER_HELLO[:3])
    wire.close()


async def drip(wire: Wire) -> None:
    await wire.send_slowly(_SERVER_HELLO, every_s=1.0)


@dataclass
class Presented:
    """A server that can change its certificate while it runs."""

    now: ssl.SSLContext

    def context(self) -> ssl.SSLContext:
        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.sni_callback = self._choose
        return outer

    def _choose(self, connection: ssl.SSLObject, name: str | None, outer: ssl.SSLContext) -> None:
        connection.context = self.now


def _outdated(authority: Authority) -> ssl.SSLContext:
    """TLS 1.0 and nothing else."""
    context = authority.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


@scenario("U21", sabotage="certificates_are_not_checked")
async def upstreams_cannot_be_trusted(rig: Rig) -> None:
    known, stranger = rig.authority(), rig.authority("stranger")
    swapped = Presented(known.server_context())
    renewed = Presented(known.server_context())
    served = {
        "expired": rig.raw(answer_once, tls=known.server_context(valid_days=-1)),
        "another host": rig.raw(answer_once, tls=known.server_context("api.example")),
        "unknown issuer": rig.raw(answer_once, tls=stranger),
        "TLS 1.0": rig.raw(answer_once, tls=_outdated(known)),
        "hangs up": rig.raw(answer_once, on_accept=hang_up),
        "drips": rig.raw(answer_once, on_accept=drip),
        "swapped": rig.raw(answer_once, tls=swapped.context()),
        "renewed": rig.raw(answer_once, tls=renewed.context()),
    }
    providers = {name.replace(" ", "-"): _provider(upstream, known) for name, upstream in served.items()}
    clocks = {"tls_s": _HANDSHAKE_S}
    house = await rig.open_house(
        providers, {name: route(name, attempts=3, timeouts=clocks) for name in providers}
    )
    good = [await rig.client.ask(name) for name in ("swapped", "renewed")]
    rig.seen.exactly("good ones answered", sum(answer.is_ok for answer in good), 2)
    swapped.now = stranger.server_context()

    for name, upstream in served.items():
        if name in ("drips", "renewed"):
            continue
        before = upstream.count
        answer = await rig.client.ask(name.replace(" ", "-"))
        rig.seen.exactly(name, answer.code, "upstream_unavailable")
        rig.seen.exactly("requests", upstream.count - before, 0)

    began = asyncio.get_running_loop().time()
    answer = await rig.client.ask("drips", stream=True)
    took_s = asyncio.get_running_loop().time() - began
    attempts = len((await rig.row(answer))["attempts"])
    rig.seen.exactly("drips", answer.code, "timeout_tls")
    rig.seen.within("cut after s, an attempt", took_s / attempts, 0.9 * _HANDSHAKE_S, 1.1 * _HANDSHAKE_S)
    rig.seen.exactly("requests", served["drips"].count, 0)

    workers = house.worker_pids()
    renewed.now = stranger.server_context()
    refused = await rig.client.ask("renewed")
    rig.seen.exactly("renewed by another authority", refused.code, "upstream_unavailable")
    known.ca_file.write_bytes(stranger.ca_file.read_bytes())
    house.run("reload")
    await asyncio.sleep(1.5)  # the first rest of a deployment that failed
    rig.seen.exactly("after reload", (await rig.client.ask("renewed")).status, 200)
    rig.seen.exactly("by the same worker", house.worker_pids() == workers, wanted=True)


def _provider(upstream: RawUpstream, authority: Authority) -> Tree:
    return {
        "base_url": f"https://127.0.0.1:{upstream.port}/v1",
        "ca_file": str(authority.ca_file),
    }
