"""The kill switch: what is stopped, why, and that it goes on."""

from __future__ import annotations

from tollhouse.core.authority import Place
from tollhouse.core.pauses import Pause

from .case import Case, Done, missing, shown
from .fields import ListQuery, PauseCreate
from .views import pause_view


def list_pauses(case: Case, query: ListQuery) -> Done:
    """All, by id."""
    found = case.register.listed(Pause, case.view(), limit=query.limit + 1, after=query.after or None)
    return case.page(found, query.limit, pause_view, lambda pause: pause.id)


def get_pause(case: Case) -> Done:
    """One of them."""
    return shown(pause_view(_pause(case)))


def create_pause(case: Case, body: PauseCreate) -> Done:
    """Stop it. What is stopped already is stopped once, with the newer reason."""
    grant = case.permit(Place(), "pause", "")
    case.check_fields(grant, body)
    if (made := case.earlier()) is not None and (old := case.register.find(Pause, made.object)) is not None:
        return shown(pause_view(old), 201)
    same = {"kind": body.kind, "target": body.target}
    before = next(iter(case.register.listed(Pause, case.view(), limit=1, filters=same)), None)
    pause = Pause(
        id=before.id if before is not None else case.new_id("pause_"),
        kind=body.kind,
        target=body.target,
        reason=body.reason,
        by=case.actor.id,
        at=case.now,
    )
    (case.register.add if before is None else case.register.put)(pause)
    case.register.touch_rules()
    case.remember(pause.id)
    case.record(f"pause:{pause.id}", before, pause)
    return shown(pause_view(pause), 201)


def resume(case: Case) -> Done:
    """Let it go on."""
    pause = _pause(case)
    case.check_match(pause_view(pause))
    case.register.remove(Pause, pause.id)
    case.register.touch_rules()
    case.record(f"pause:{pause.id}", pause, None)
    return Done(pause_view(pause))


def _pause(case: Case) -> Pause:
    pause_id = case.errand.target or ""
    pause = case.register.find(Pause, pause_id)
    if pause is None:
        missing("pause", pause_id)
    case.permit(Place(), "pause", pause_id)
    return pause
