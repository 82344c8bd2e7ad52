"""The public kit for tests of plugins, of applications and of the house itself.

`ScriptedUpstream` is a provider that does what a test tells it, faults included, on a thread of its own;
`AsyncScriptedUpstream` is the same on the test's event loop. `FakeClock` makes time and chance a matter of the test.
`refused_port` is a port nobody answers. `CanaryScanner` finds secrets where they must not be.
"""

from __future__ import annotations

from tollhouse.providers.mock.received import Fate, Received
from tollhouse.providers.mock.script import Fault, Script, ScriptRefused

from .canary import CanaryScanner, Hit
from .clock import FakeClock
from .refused import refused_port
from .upstream import AsyncScriptedUpstream, ScriptedUpstream

__all__ = [
    "AsyncScriptedUpstream",
    "CanaryScanner",
    "FakeClock",
    "Fate",
    "Fault",
    "Hit",
    "Received",
    "Script",
    "ScriptRefused",
    "ScriptedUpstream",
    "refused_port",
]
