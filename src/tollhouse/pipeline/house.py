"""What an exchange meets on its way: its door, and the house behind it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.operation import Operation
from tollhouse.core.pauses import Pauses
from tollhouse.ports.clock import Clock
from tollhouse.ports.gate import Gate
from tollhouse.ports.shared_answers import SharedAnswers
from tollhouse.stages.account import Accountant
from tollhouse.stages.admit import Admission
from tollhouse.stages.authenticate import Keyring, TrustedCertificates, TrustedIssuers
from tollhouse.stages.detach import Detached
from tollhouse.stages.dispatch import Dispatcher
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.mirrors import Mirrors
from tollhouse.stages.replay import ReplayBook
from tollhouse.stages.route import Router
from tollhouse.stages.translate import Workbench

from .presence import Presence


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """One path of the public contract: what is asked there, and in which wire API."""

    operation: Operation
    dialect: str
    model: str | None = None
    """What the path names, decoded."""
    verb: str | None = None
    """What the path asks for, where its last word does; such as `streamGenerateContent`."""
    is_stream: bool | None = None
    """Whether a stream is wanted, where the path decides."""
    response: str | None = None
    """The earlier response the path names, still percent-encoded."""

    @property
    def takes_key_in_query(self) -> bool:
        """Google's oldest clients send it as `?key=`."""
        return self.dialect.startswith("gemini_")


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an exchange meets on its way. Built once by bootstrap."""

    snapshot: Snapshot
    router: Router
    workbench: Workbench
    models: ModelBook
    keyring: Keyring
    issuers: TrustedIssuers | None = None
    """Whose tokens are taken as well as keys; None where nobody's are."""
    certificates: TrustedCertificates | None = None
    """By which callers are known who show no key; None where nobody is."""
    admission: Admission
    dispatcher: Dispatcher
    accountant: Accountant
    clock: Clock
    gate: Gate
    replays: ReplayBook
    shared_answers: SharedAnswers | None = None
    """What other workers know of idempotency keys; None where there are none."""
    detached: Detached
    mirrors: Mirrors
    presence: Presence = msgspec.field(default_factory=Presence)
    pauses: Pauses = msgspec.field(default_factory=Pauses)
    report: Callable[[str, BaseException], None]
    """Told of defects of the house, with the request id: they are ours to mend, never the caller's to read."""
