"""One call of the Responses API and what it refers to: who may get it, and what each of them is told.

* An answer its provider keeps is gone on from there and nowhere else. An answer the house keeps is gone on from
  anywhere: the whole conversation is sent.
* What the house does not know may be another tenant's. It reaches only providers whose ids the operator lets through.
* What only its issuer can read (encrypted reasoning) goes back to its issuer if it can; nobody else is sent it, because
  they would refuse the call for it.

Whose a conversation is decides the provider, which stands for a base URL and a credential: an account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Plan
from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.asks import splice
from tollhouse.dialects.openai_responses.state import (
    Item,
    References,
    answer_marks,
    own_items,
    references,
    with_history,
    without_items,
)
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import Ask, ClientCall, Dialect

from .memory import Kept, Made, Memory
from .stored import not_found
from .watch import Watched

DIALECT: Final = "openai_responses"
_REASONING: Final = "input[].reasoning"
"""How the loss of what was thought is declared."""


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate, as far as state goes."""

    candidate: Candidate
    is_native: bool
    """Whether it is spoken to in the caller's own dialect."""
    keeps: bool
    """Whether it keeps answers under their ids as well."""
    takes_foreign: bool
    """Whether the operator lets ids through to it that the house does not know."""

    @property
    def provider(self) -> str:
        return self.candidate.deployment.provider


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One call, resolved."""

    plan: Plan
    """The candidates who can go on with it, in the order they are to be tried."""
    call: ClientCall
    """The call with the history it refers to, where the house keeps that."""
    said: References
    memory: Memory
    own: list[msgspec.Raw]
    """The items of the call itself; only filled where the house may have to keep them."""
    previous: str | None
    """The response it goes on from, where the house keeps that."""
    is_rebuilt: bool
    parties: Mapping[str, Party]
    """By deployment."""
    issuers: Mapping[int, Made]
    """Who made the items of `call` that only they can read, by place."""
    read: Callable[[bytes], ClientCall]

    def call_for(self, candidate: Candidate) -> ClientCall:
        """The call as this candidate can take it."""
        party = self.parties[candidate.deployment.id]
        call = self.call
        foreign = self._foreign(party)
        if foreign:
            call = self.read(without_items(call.body, foreign))
        if not party.keeps and self.said.is_stored and "store" in call.spans:
            # The house does it: nobody else need be asked to, and some refuse to be.
            call = self.read(
                splice(call.body, [(call.spans["store"], b"false" if party.is_native else b"null")])
            )
        return call

    def watched(self, candidate: Candidate, crossing: Crossing) -> Crossing:
        """The same attempt, its answer remembered."""
        party = self.parties[candidate.deployment.id]
        return Watched(
            crossing,
            lambda answer: self._remember(party, answer),
            dropped=(_REASONING,) if self._foreign(party) else (),
            previous=None if party.is_native else self.previous,
        )

    def state_of(self, candidate: Candidate) -> str | None:
        """Who keeps this conversation: `native` the upstream, `emulated` the house; None where nobody does."""
        if not (self.said.is_stored or self.said.has_any):
            return None
        keeps = self.parties[candidate.deployment.id].keeps
        return "native" if keeps and not self.is_rebuilt else "emulated"

    def _foreign(self, party: Party) -> frozenset[int]:
        """Places of items that others have made. Translation leaves out and declares what its upstream cannot read."""
        if not party.is_native:
            return frozenset()
        return frozenset([place for place, made in self.issuers.items() if made.provider != party.provider])

    def _remember(self, party: Party, answer: bytes) -> None:
        marks = answer_marks(answer)
        if marks is None:
            return
        deployment = party.candidate.deployment
        made = Made(route=self.plan.route.name, provider=party.provider, deployment=deployment.id)
        is_kept = self.said.is_stored or self.said.is_background
        if party.is_native:
            self.memory.remember_items(
                made, marks.output if is_kept and party.keeps else _ciphers(marks.output)
            )
        if party.takes_foreign and is_kept:
            self.memory.mark(marks)
        if party.keeps and is_kept:
            self.memory.remember(made, marks.id)
        elif is_kept:
            kept = Kept(answer=answer, input=tuple(map(bytes, self.own)), previous=self.previous)
            self.memory.remember_exchange(made, marks, kept)


def open_conversation(
    call: ClientCall,
    plan: Plan,
    *,
    dialect: Dialect,
    memory: Memory,
    providers: Mapping[str, Upstream],
    is_native: Callable[[Candidate], bool],
    may_use: Callable[[str], bool],
) -> Conversation:
    """Find out what a call refers to, and who can go on with it.

    `is_native` tells who is spoken to in the caller's dialect, `may_use` which routes are the caller's. Raises:
    GatewayError `route_not_found` for what the house does not know, `invalid_request` for what nobody here can do.
    """
    said = references(call.body)
    parties = [_party(candidate, providers, is_native=is_native(candidate)) for candidate in plan.candidates]
    able, history = _before(_at_provider(parties, said), said, memory, may_use)
    previous = said.previous_response_id if history is not None else None
    able, found = _items(able, said, memory, may_use)

    def read(body: bytes) -> ClientCall:
        asked = Ask(operation=call.operation, body=body, query=call.query, headers=call.headers)
        return dialect.read(asked)

    is_rebuilt = history is not None or bool(found)
    resolved = call
    if is_rebuilt:
        resolved = read(with_history(call.body, history or [], found, is_continued=history is not None))
    items = references(resolved.body).items if is_rebuilt else said.items
    issuers = _issuers(items, memory)
    able = _nearest_first(able, [made for _, made in sorted(issuers.items())])
    may_keep = said.is_stored and not all(party.keeps for party in able)
    return Conversation(
        plan=msgspec.structs.replace(plan, candidates=tuple([party.candidate for party in able])),
        call=resolved,
        said=said,
        memory=memory,
        own=own_items(call.body, found) if may_keep else [],
        previous=previous,
        is_rebuilt=is_rebuilt,
        parties={party.candidate.deployment.id: party for party in able},
        issuers=issuers,
        read=read,
    )


def _party(candidate: Candidate, providers: Mapping[str, Upstream], *, is_native: bool) -> Party:
    upstream = providers[candidate.deployment.provider]
    endpoint = upstream.provider.endpoint(Operation.CHAT, DIALECT)
    keeps = is_native and upstream.provider.traits_for(candidate.model, endpoint).keeps_responses
    return Party(
        candidate=candidate, is_native=is_native, keeps=keeps, takes_foreign=keeps and upstream.foreign_ids
    )


# -- who can go on with it


def _at_provider(parties: list[Party], said: References) -> list[Party]:
    """Without those who have not what can only be at a provider. Raises: GatewayError `invalid_request`."""
    if said.is_background:
        parties = [party for party in parties if party.keeps] or parties  # translation says what it cannot do
    if said.conversation is not None and said.previous_response_id is not None:
        raise invalid_request(
            "A call goes on from a response or from a conversation, not from both.",
            param="previous_response_id",
            hint="Leave `previous_response_id` or `conversation` out.",
        )
    param = "conversation" if said.conversation is not None else "prompt" if said.has_prompt else None
    if param is None:
        return parties
    able = [party for party in parties if party.takes_foreign]
    if not able:
        raise invalid_request(
            f"`{param}` names something in the provider's account, which all callers of this gateway share.",
            param=param,
            hint="Send what it stands for, or go on by `previous_response_id`. The operator can set "
            "`foreign_ids: forward` on a provider that serves the Responses API itself.",
        )
    return able


def _foreign_or_not_found(parties: list[Party], memory: Memory, name: str, param: str) -> list[Party]:
    able = [party for party in parties if party.takes_foreign]
    if not able or memory.is_anothers(name):
        raise not_found(name, param)
    return able


def _with_maker(parties: list[Party], made: Made, name: str, param: str) -> list[Party]:
    able = [party for party in parties if party.keeps and party.provider == made.provider]
    if not able:
        raise invalid_request(
            f"{name[:200]!r} was made by a provider that this model does not lead to.",
            param=param,
            hint=f"Go on with the model {made.route!r}, or send the conversation itself.",
        )
    return sorted(able, key=lambda party: party.candidate.deployment.id != made.deployment)


def _before(
    parties: list[Party], said: References, memory: Memory, may_use: Callable[[str], bool]
) -> tuple[list[Party], list[msgspec.Raw] | None]:
    """Who can go on from the answer the call names, and what was said up to it, where the house keeps that."""
    name = said.previous_response_id
    if name is None:
        return parties, None
    made = memory.response(name)
    # One that only other keys of the tenant may go on from is not there for this one.
    if made is None or not may_use(made.route):
        return _foreign_or_not_found(parties, memory, name, "previous_response_id"), None
    if made.kept_in is None:
        return _with_maker(parties, made, name, "previous_response_id"), None
    history = memory.history(name)
    if history is None:
        raise not_found(name, "previous_response_id")
    return parties, history


def _items(
    parties: list[Party], said: References, memory: Memory, may_use: Callable[[str], bool]
) -> tuple[list[Party], dict[str, msgspec.Raw]]:
    """Who can be told of the items the call only names, and those the house has itself."""
    found: dict[str, msgspec.Raw] = {}
    for name in said.item_ids:
        made = memory.item(name)
        if made is None or not may_use(made.route):
            parties = _foreign_or_not_found(parties, memory, name, "input")
        elif made.kept_in is None:
            parties = _with_maker(parties, made, name, "input")
        else:
            item = memory.item_of(made.kept_in, name)
            if item is None:
                raise not_found(name, "input")
            found[name] = item
    return parties, found


def _nearest_first(parties: list[Party], issuers: Sequence[Made]) -> list[Party]:
    """Those who can read the latest of what only its issuer can read, then the others in their order."""
    if not issuers:
        return parties
    last = issuers[-1]

    def distance(party: Party) -> int:
        if not party.is_native or party.provider != last.provider:
            return 2
        return 0 if party.candidate.deployment.id == last.deployment else 1

    return sorted(parties, key=distance)


# -- what only its issuer can read


def _issuers(items: Sequence[Item], memory: Memory) -> dict[int, Made]:
    issuers = {}
    for place, item in enumerate(items):
        if _is_reasoning(item):
            made = memory.issuer(item)
            if made is not None and made.kept_in is None:
                issuers[place] = made
    return issuers


def _is_reasoning(item: Item) -> bool:
    """Reasoning of an upstream of this dialect: what the house has sealed is translation's business."""
    sealed = item.encrypted_content
    return item.type == "reasoning" and not (isinstance(sealed, str) and unseal(sealed) is not None)


def _ciphers(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if _is_reasoning(item)]
