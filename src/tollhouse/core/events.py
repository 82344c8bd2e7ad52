"""An answer while it comes, whatever the wire API it comes in.

A proper course of events: `ResponseStarted` first; of each part `PartStarted`, any number of `PartDelta`, `PartEnded`;
of each choice that was started one `Finished`, after its parts; `UsageReported` any number of times, the last one
counts. Parts of one choice may overlap, as parallel calls do; `index` names a part within its choice and is never used
twice. Readers of dialects keep to that whatever an upstream does; writers may rely on it.
"""

from __future__ import annotations

import msgspec

from .content import Citation, Part, Signature, TokenLogprob
from .response import Finish
from .usage import Usage


class ResponseStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream has begun to answer."""

    id: str
    model: str
    created_at: int | None = None
    usage: Usage | None = None
    """What is known of the input already."""
    service_tier: str | None = None


class PartStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A part begins. `part` is all of it that is known: texts and arguments are empty as a rule and come in deltas.
    Media and Opaque come whole, here, without deltas."""

    index: int
    part: Part
    choice: int = 0


class PartDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More of a part's text or arguments."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class PartEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A part is whole, and what is known only now."""

    index: int
    choice: int = 0
    signature: Signature | None = None
    """In place of the one the part began with, if any."""
    citations: tuple[Citation, ...] = ()


class UsageReported(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens so far; the last report counts."""

    usage: Usage


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A choice is whole."""

    finish: Finish
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    """Those that are told of the choice and of none of its parts."""


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream is still there."""


StreamEvent = ResponseStarted | PartStarted | PartDelta | PartEnded | UsageReported | Finished | Ping
