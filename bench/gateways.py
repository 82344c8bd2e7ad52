"""What is measured: how each gateway is started in front of an upstream. One function a gateway, in one table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from . import nginx
from .bodies import MODEL
from .peers import ENVOY, LITELLM, Peer
from .problems import RunVoid
from .processes import Launch, environment_of, last_words

_UPSTREAM_KEY: Final = "sk-bench-upstream"
_FIXED_KEY: Final = "sk-bench-caller"
_KEY_LIMIT_S: Final = 60
_TOLLHOUSE: Final = str(Path(sys.executable).with_name("tollhouse"))


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway as the bench knows it."""

    name: str
    does: str
    """What it does with a request here, for the report."""
    launch: Callable[[int, int], Launch]
    """From its own port and the upstream's."""
    version: tuple[str, ...]
    """The command that prints it."""
    key_command: tuple[str, ...] = ()
    """Run in its folder before it is started; prints {"key"}. Empty where the key is a fixed text."""
    peer: Peer | None = None
    """The optional package it comes from."""
    start_limit_s: float = 30

    @property
    def missing(self) -> str | None:
        """Why it cannot be measured, or None."""
        if self.peer is None or self.peer.is_installed:
            return None
        return "install with `make bench-peers`"


def make_key(gateway: Gateway, launch: Launch, folder: Path) -> str:
    """The key callers use; the gateway's files already lie in the folder. Raises RunVoid."""
    if not gateway.key_command:
        return _FIXED_KEY
    done = subprocess.run(
        gateway.key_command,
        cwd=folder,
        env=environment_of(launch),
        capture_output=True,
        timeout=_KEY_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RunVoid(f"no key could be made; last words:\n{last_words(done.stderr)}")
    return str(json.loads(done.stdout)["key"])


def _tollhouse(port: int, upstream: int) -> Launch:
    config = f"""\
version: 1
server: {{listen: 127.0.0.1:{port}}}
store: sqlite:///tollhouse.db
providers:
  up: {{kind: openai_compatible, base_url: http://127.0.0.1:{upstream}/v1, credential: env:BENCH_UPSTREAM_KEY}}
routes:
  {MODEL}: {{deployments: [{{provider: up, model: {MODEL}}}]}}
keys: []
"""
    return Launch(
        command=(_TOLLHOUSE, "serve", "--config", "tollhouse.yaml"),
        files={"tollhouse.yaml": config},
        environment={"BENCH_UPSTREAM_KEY": _UPSTREAM_KEY},
    )


def _litellm(port: int, upstream: int) -> Launch:
    config = f"""\
model_list:
  - model_name: {MODEL}
    litellm_params:
      model: openai/{MODEL}
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: {_UPSTREAM_KEY}
general_settings:
  master_key: {_FIXED_KEY}
litellm_settings:
  set_verbose: false
"""
    options = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False")
    return Launch(
        command=(str(LITELLM.executable), "--config", "litellm.yaml", *options),
        files={"litellm.yaml": config},
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches its prices from the network at start
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
        },
    )


def _envoy(port: int, upstream: int) -> Launch:
    def address(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    limits = {"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}
    manager = {
        "@type": (
            "type.googleapis.com/"
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    cluster = {
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "up",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}],
        },
    }
    listener = {
        "address": address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Launch(
        command=(str(ENVOY.executable), "-c", "envoy.json", *options),
        files={
            "envoy.json": json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
        },
    )


GATEWAYS: Final = (
    Gateway(
        name="nginx",
        does="plain reverse proxy: the limit",
        launch=nginx.reverse_proxy,
        version=("nginx", "-v"),
    ),
    Gateway(
        name="tollhouse",
        does="virtual key checked, route chosen, credential put in, usage read, journal and metrics written",
        launch=_tollhouse,
        version=(_TOLLHOUSE, "--version"),
        key_command=(
            *(_TOLLHOUSE, "keys", "create", "--config", "tollhouse.yaml"),
            *("--name", "bench", "--route", "*", "--json"),
        ),
    ),
    Gateway(
        name="litellm",
        does="master key checked, route chosen, credential put in, usage read; one worker, no database",
        launch=_litellm,
        version=(str(LITELLM.executable), "--version"),
        peer=LITELLM,
        start_limit_s=180,
    ),
    Gateway(
        name="envoy",
        does="plain reverse proxy",
        launch=_envoy,
        version=(str(ENVOY.executable), "--version"),
        peer=ENVOY,
    ),
)
"""In the order of the report; the first is the limit the others are divided by."""
