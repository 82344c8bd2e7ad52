"""Asks the sources of secrets at once and within a time, whatever they do."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Final

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable

BUDGET_S: Final = 4.0
"""For all references together: a start that cannot succeed says so within five seconds."""
_MOST_AT_ONCE: Final = 4
"""Questions to one source. Sources have threads of their own, so that one that hangs keeps nobody waiting."""

Outcome = Secret | SecretUnavailable
_Outcomes = queue.SimpleQueue[tuple[str, Outcome]]


def fetch(
    references: Iterable[str], sources: Mapping[str, SecretSource], budget_s: float = BUDGET_S
) -> dict[str, Outcome]:
    """What each reference leads to, or why nothing is known. Those whose scheme has no source are left out.

    A source that has not answered in time is left to itself: its threads end when it lets them.
    """
    waiting: defaultdict[str, deque[str]] = defaultdict(deque)
    for reference in dict.fromkeys(references):
        scheme = reference.partition(":")[0]
        if scheme in sources:
            waiting[scheme].append(reference)
    missing = {reference for several in waiting.values() for reference in several}
    outcomes: _Outcomes = queue.SimpleQueue()
    for scheme, several in waiting.items():
        for _ in range(min(_MOST_AT_ONCE, len(several))):
            threading.Thread(
                target=_ask, args=(sources[scheme], several, outcomes), name=f"secrets {scheme}", daemon=True
            ).start()
    found: dict[str, Outcome] = {}
    until = time.monotonic() + budget_s
    while missing:
        try:
            reference, outcome = outcomes.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[reference] = outcome
        missing.discard(reference)
    for several in waiting.values():
        several.clear()
    late = SecretSourceDown(f"The source of this secret has not answered within {budget_s:g} s.")
    return found | dict.fromkeys(missing, late)


def _ask(source: SecretSource, waiting: deque[str], outcomes: _Outcomes) -> None:
    while True:
        try:
            reference = waiting.popleft()
        except IndexError:
            return
        outcomes.put((reference, _outcome(source, reference)))


def _outcome(source: SecretSource, reference: str) -> Outcome:
    try:
        return source.resolve(reference.partition(":")[2])
    except SecretUnavailable as error:
        return error
    except Exception as defect:  # noqa: BLE001 - whatever a library does, a house that runs goes on
        return SecretSourceDown(f"Reading it failed ({type(defect).__name__}).")
