"""Callers' requests, judged as far as the house must know them before they are forwarded."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import call_of, flag_in, model_in, scanned
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.wire.json_scan import TopLevel

_READ: Final = ("model", "stream")
"""Members the house acts on."""


def read(ask: Ask, operation: Operation, subjects: tuple[str, ...], *, has_streams: bool) -> ClientCall:
    """See ports.dialect.Dialect.read. One of the `subjects` must be there, as a list."""
    body = ask.body
    scan = scanned(body, once=_READ)
    model = ask.path_model or model_in(body, scan)
    _check_subjects(body, scan, subjects)
    is_stream = has_streams and flag_in(body, scan, "stream")
    return call_of(ask, scan, model=model, is_stream=is_stream, operation=operation)


def _check_subjects(body: bytes, scan: TopLevel, subjects: tuple[str, ...]) -> None:
    """Explicit nulls count as absent."""
    first = {name: body[scan.members[name][0]] for name in subjects if name in scan.members}
    there = {name: letter for name, letter in first.items() if letter != ord("n")}
    if not there:
        names = " or ".join([f"`{name}`" for name in subjects])
        raise invalid_request(f"The request has no {names}.", param=subjects[0], hint=f"Send {names}.")
    for name, letter in there.items():
        if letter != ord("["):
            raise invalid_request(f"`{name}` must be a list.", param=name, hint=f"Send `{name}` as a list.")
