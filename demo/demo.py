"""`make demo`: a house with a mock provider, a fresh key, and the line to try it with."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

from tollhouse.bootstrap import CannotServe, Environment, open_house, serve_house
from tollhouse.config.address import parse_listen
from tollhouse.core.problem import ConfigInvalid
from tollhouse.ports.store import StoreUnavailable

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("DEMO_FOLDER", HERE.parent / ".demo"))


def main() -> int:
    """Make the folder, make a key, serve in the foreground."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    config = FOLDER / "tollhouse.yaml"
    if not config.exists():
        shutil.copy(HERE / "tollhouse.yaml", config)
    environment = Environment(variables=dict(os.environ))

    def ready(address: str) -> None:
        # On a thread of its own: the house has to answer the question that making a key asks it.
        threading.Thread(target=lambda: show(address, make_key(config, environment)), daemon=True).start()

    try:
        listen = parse_listen(os.environ["DEMO_LISTEN"]) if "DEMO_LISTEN" in os.environ else None
        serve_house(config, environment, listen, warn=lambda _: None, on_ready=ready)
    except (CannotServe, ConfigInvalid, StoreUnavailable) as reason:
        print(f"demo: {reason}\n    {getattr(reason, 'hint', '')}".rstrip(), file=sys.stderr)
        return 3
    return 0


def make_key(config: Path, environment: Environment) -> str:
    """A virtual key for this demo, good for a day."""
    with open_house(config, environment) as house:
        _, text = house.create_key(name="demo", routes=["*"], expires_s=86_400)
        house.refresh()
    return text


def show(address: str, key: str) -> None:
    """What to do next; every line whole, for copying."""
    body = '{"model": "mock-chat", "messages": [{"role": "user", "content": "Is anybody home?"}]}'
    headers = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
    book = f".venv/bin/tollhouse requests --config {FOLDER}/tollhouse.yaml"
    print(f"\nThe house is open at {address}. Your virtual key:\n")
    print(f"{key}\n")
    print(f"curl -s {address}/v1/chat/completions {headers} -d '{body}'\n")
    print(f"OpenAI SDK: base_url={address}/v1 with that key. The book: {book}")
    print("Ctrl-C closes the house.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
