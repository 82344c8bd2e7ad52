"""Which idempotency keys have been used by whom, for what, and the tapes of the answers.

Everything is kept under its tenant: there is no way to ask for a key without saying whose.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.ports.clock import Clock

from .tape import Tape, answer_gone

HEADER: Final = b"idempotency-key"
_KEY: Final = re.compile(r"[!-~]{1,255}")
_NAME: Final = HEADER.decode()

LIFE_S: Final = 86_400.0
"""A day from the end of the answer."""
_MOST_BYTES: Final = 128 * 1024 * 1024
_MOST_ANSWER_BYTES: Final = 8 * 1024 * 1024
_MOST_KEYS_PER_TENANT: Final = 10_000
_MOST_GONE: Final = 20_000
_ENTRY_BYTES: Final = 2_000
"""About what an entry costs beside its answer, its part in the tables included."""
_SHORT_OF_ROOM_BYTES: Final = 256 * 1024
"""How far a caller may be behind an answer that there is no room for: some seconds of the fastest models."""


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key a request came with, still to be checked by `claim`; None where it came with none."""
    value = headers.get(HEADER)
    return None if value is None else value.decode("latin-1")


class ReplayBook:
    """Who is first with a key, and the answer for everybody who comes after. One per serving process, in its memory.

    A key is known while its call goes on and for `life_s` after that, on the monotonic clock. Within bounds:

    * Answers of all tenants hold `most_bytes`. Beyond that the oldest finished answers go first. When there are none,
      the answer that is growing is no longer kept, and a new key is refused as `overloaded`.
    * An answer larger than `most_answer_bytes` is not kept, but reaches those who are already being given it.
    * Of a key whose answer has gone, that it was used is still known, so that a repeat is refused with
      `idempotency_answer_gone` and no second call is made in silence: of the last `most_gone` such keys. So it is for
      one whose call was cut before its answer had begun.
    * A tenant has `most_keys_per_tenant`. Beyond that its oldest finished key is forgotten altogether: used again, it
      is a new one. A tenant with so many calls going on is refused as `overloaded`.

    What is going on is never given up for room.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        life_s: float = LIFE_S,
        most_bytes: int = _MOST_BYTES,
        most_answer_bytes: int = _MOST_ANSWER_BYTES,
        most_keys_per_tenant: int = _MOST_KEYS_PER_TENANT,
        most_gone: int = _MOST_GONE,
    ) -> None:
        self._clock = clock
        self._life_s = life_s
        self._most_bytes = most_bytes
        self._most_answer_bytes = most_answer_bytes
        self._most_keys_per_tenant = most_keys_per_tenant
        self._most_gone = most_gone
        self._tenants: dict[str, _Tenant] = {}
        self._kept: OrderedDict[_Entry, None] = OrderedDict()
        """Finished, with their answers, in the order they finished in."""
        self._gone: OrderedDict[_Entry, None] = OrderedDict()
        """Finished, without; in the order they went in."""
        self.held_bytes = 0
        """Of answers, with what it costs to keep them."""

    def __len__(self) -> int:
        """How many keys are known."""
        return sum([len(tenant.entries) for tenant in self._tenants.values()])

    def claim(self, tenant: str, key: str, fingerprint: bytes) -> tuple[Tape, bool]:
        """The tape of this tenant's key, and whether the caller is the first, who has to see to its being recorded.

        Raises: GatewayError `invalid_request` where the key is none, `idempotency_mismatch` where it was used for
        another request, `idempotency_answer_gone`, `overloaded`. ValueError without a tenant: that is our defect.
        """
        if not tenant:
            raise ValueError("an idempotency key is somebody's")
        if not _KEY.fullmatch(key):
            raise _no_key()
        self._expire()
        entry = self._find(tenant, key)
        if entry is None:
            return self._begin(tenant, key, fingerprint), True
        if entry.fingerprint != fingerprint:
            raise mismatch()
        if not entry.tape.is_whole_held or (entry.tape.is_over and not entry.tape.is_started):
            raise answer_gone()
        return entry.tape, False

    def forget(self, tenant: str, key: str, tape: Tape) -> None:
        """The call of this tape never reached an upstream: the next with its key is a first one. Who is being played
        the tape gets what was recorded. Does nothing where the key has another tape by now."""
        entry = self._find(tenant, key)
        if entry is not None and entry.tape is tape:
            self._remove(entry)

    # -- coming and going

    def _find(self, tenant: str, key: str) -> _Entry | None:
        owner = self._tenants.get(tenant)
        entry = owner.entries.get(key) if owner is not None else None
        if entry is not None and entry.is_expired(self._clock.monotonic()):
            self._remove(entry)
            return None
        return entry

    def _begin(self, tenant: str, key: str, fingerprint: bytes) -> Tape:
        self._make_room(tenant)
        entry = _Entry(self, tenant, key, fingerprint, Tape(most_bytes=self._most_answer_bytes))
        entry.tape.shelf = entry
        self._tenants.setdefault(tenant, _Tenant()).entries[key] = entry
        self.held_bytes += _ENTRY_BYTES
        return entry.tape

    def _make_room(self, tenant: str) -> None:
        owner = self._tenants.get(tenant)
        if owner is not None and len(owner.entries) >= self._most_keys_per_tenant:
            if not owner.finished:
                raise _no_room("calls of yours with an idempotency key are going on")
            self._remove(next(iter(owner.finished)))
        self._evict(_ENTRY_BYTES)
        if self.held_bytes + _ENTRY_BYTES > self._most_bytes:
            raise _no_room("answers are being recorded for their idempotency keys")

    def _expire(self) -> None:
        now = self._clock.monotonic()
        for finished in (self._kept, self._gone):
            while finished:
                oldest = next(iter(finished))
                if not oldest.is_expired(now):
                    break
                self._remove(oldest)

    def _remove(self, entry: _Entry) -> None:
        """Forget that the key was ever used."""
        owner = self._tenants[entry.tenant]
        del owner.entries[entry.key]
        owner.finished.pop(entry, None)
        if not owner.entries:
            del self._tenants[entry.tenant]
        if entry in self._gone:
            del self._gone[entry]
        else:
            self.held_bytes -= _ENTRY_BYTES
        self._kept.pop(entry, None)
        entry.tape.shelf = None
        self.held_bytes -= entry.tape.held_bytes

    # -- what tapes tell, by their entries

    def grew(self, entry: _Entry, more_bytes: int) -> None:
        """A tape holds more than before, or less."""
        self.held_bytes += more_bytes
        if more_bytes <= 0 or self.held_bytes <= self._most_bytes:
            return
        self._evict(0)
        if self.held_bytes > self._most_bytes:
            entry.tape.pass_on(_SHORT_OF_ROOM_BYTES)

    def ended(self, entry: _Entry) -> None:
        """A tape is complete: from now on it can be let go."""
        entry.until = self._clock.monotonic() + min(self._life_s, entry.tape.life_s)
        self._tenants[entry.tenant].finished[entry] = None
        if entry.tape.is_whole_held:
            self._kept[entry] = None
            self._evict(0)
        else:
            self._note_gone(entry)

    def _evict(self, more_bytes: int) -> None:
        """Let finished answers go, the oldest first, until there is room for so many bytes more."""
        while self._kept and self.held_bytes + more_bytes > self._most_bytes:
            entry, _ = self._kept.popitem(last=False)
            entry.tape.pass_on()
            self._note_gone(entry)

    def _note_gone(self, entry: _Entry) -> None:
        self._gone[entry] = None
        self.held_bytes -= _ENTRY_BYTES
        if len(self._gone) > self._most_gone:
            self._remove(next(iter(self._gone)))


class _Tenant:
    """The keys of one tenant."""

    __slots__ = ("entries", "finished")

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.finished: OrderedDict[_Entry, None] = OrderedDict()
        """In the order they finished in."""


class _Entry:
    """One key that was used. Implements tape.Shelf."""

    __slots__ = ("_book", "fingerprint", "key", "tape", "tenant", "until")

    def __init__(self, book: ReplayBook, tenant: str, key: str, fingerprint: bytes, tape: Tape) -> None:
        self._book = book
        self.tenant = tenant
        self.key = key
        self.fingerprint = fingerprint
        self.tape = tape
        self.until: float | None = None
        """When it is forgotten, on the monotonic clock; None while the call goes on."""

    def is_expired(self, now: float) -> bool:
        return self.until is not None and now >= self.until

    def grew(self, more_bytes: int) -> None:
        """See tape.Shelf."""
        self._book.grew(self, more_bytes)

    def ended(self) -> None:
        """See tape.Shelf."""
        self._book.ended(self)


def _no_key() -> GatewayError:
    return invalid_request(
        "The idempotency key is not 1 to 255 visible ASCII characters.",
        param=_NAME,
        hint="Send a new UUID with each call, and the same one when you repeat it.",
    )


def mismatch() -> GatewayError:
    """Two requests with one key."""
    return GatewayError(
        ErrorKind.IDEMPOTENCY_MISMATCH,
        "This idempotency key was used for another request.",
        blame=Blame.CLIENT,
        param=_NAME,
        hint="Repeat a call with the same path and the same bytes; use a new key for each new call.",
    )


def _no_room(why: str) -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"The gateway cannot record another answer now: as many {why} as there is room for.",
        blame=Blame.OPERATOR,
        hint="Try again shortly, or send the call without an idempotency key.",
        retry_after_s=1.0,
    )
