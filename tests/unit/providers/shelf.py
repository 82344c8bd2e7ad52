"""The providers of the house, by kind, without loading any dialect."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tollhouse import providers
from tollhouse.ports.provider import Provider

KINDS = [
    module.name
    for module in iter_modules(providers.__path__)
    if not module.name.endswith("_family") and module.name != "mock"
]


@cache
def all_providers() -> dict[str, Provider]:
    return {kind: import_module(f"tollhouse.providers.{kind}").PROVIDER for kind in KINDS}
