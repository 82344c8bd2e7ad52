"""Why a call is not admitted, in words for whoever can change it."""

from __future__ import annotations

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.limits import CounterKind, Unit
from tollhouse.core.routing import Candidate
from tollhouse.ports.counters import Exhausted

from .asked import Asked


def exhausted(full: Exhausted, ask: Asked | None) -> GatewayError:
    """A limit or a budget has too little left. `ask` is None where the call had been made already."""
    counter = full.charge.counter
    if counter.kind is CounterKind.PURSE:
        return _over_budget(full, ask) if counter.unit is Unit.NANOUSD else _over_count(full)
    is_slots = counter.kind is CounterKind.SLOTS
    message = (
        f"{_capital(counter.scope)} has {counter.limit:,} calls in flight, as many as it may have."
        if is_slots
        else f"{_capital(counter.scope)} may use {counter.limit:,} {counter.what}, and has {full.left.amount:,} left."
    )
    return GatewayError(
        ErrorKind.RATE_LIMITED,
        message,
        blame=Blame.CLIENT,
        hint="Come again when `retry-after` says, or ask the operator for a higher limit.",
        retry_after_s=full.retry_after_s,
        short_of=(counter, full.left),
    )


def _over_budget(full: Exhausted, ask: Asked | None) -> GatewayError:
    counter = full.charge.counter
    cost = "another attempt can cost" if ask is None else "this call can cost"
    hint = "Ask the operator for a higher budget"
    if ask is not None and ask.generates and full.left.amount > 0:
        hint = (
            "Ask for a shorter answer: what a call can cost follows from its limit on output tokens. Or a"
            + hint[1:]
        )
    return GatewayError(
        ErrorKind.BUDGET_EXCEEDED,
        f"The {counter.what} of {counter.scope} is {_usd(counter.limit)} and has {_usd(full.left.amount)} left; "
        f"{cost} up to {_usd(full.charge.amount)}.",
        blame=Blame.CLIENT,
        hint=f"{hint}.",
    )


def _over_count(full: Exhausted) -> GatewayError:
    """What a browser token may use in its whole life."""
    counter = full.charge.counter
    needs = "" if counter.unit is Unit.CALLS else f"; this call can use up to {full.charge.amount:,}"
    return GatewayError(
        ErrorKind.BUDGET_EXCEEDED,
        f"The {counter.scope} is good for {counter.limit:,} {counter.what} and has {full.left.amount:,} left{needs}.",
        blame=Blame.CLIENT,
        hint="Ask the page's own back end for a new token.",
    )


def uncounted() -> GatewayError:
    """Nobody knows how often a browser token has been used, and so it is not used any more."""
    return GatewayError(
        ErrorKind.KEY_EXPIRED,
        "What this token has used was counted in a memory that the gateway has lost since it was made.",
        blame=Blame.OPERATOR,
        hint="Ask the page's own back end for a new token.",
    )


def price_unknown(candidate: Candidate) -> GatewayError:
    """A hard budget cannot pay for what nobody knows the price of."""
    return GatewayError(
        ErrorKind.MODEL_PRICE_UNKNOWN,
        f"Nobody knows what {candidate.deployment.id!r} costs, and a budget is to pay for it.",
        blame=Blame.OPERATOR,
        param="model",
        hint="The operator writes `price` at the deployment: what a million tokens cost, 0 where they are free.",
    )


def unpriced(what: str, candidate: Candidate) -> GatewayError:
    """A hard budget cannot pay for what is billed by more than tokens of text."""
    return GatewayError(
        ErrorKind.MODEL_PRICE_UNKNOWN,
        f"A budget is to pay for this call, and nobody knows what `{what}` costs at {candidate.deployment.id!r}.",
        blame=Blame.CLIENT,
        param=what if what.isidentifier() else None,
        hint="Leave it out. Calls that no hard budget pays for may ask for it.",
    )


def too_long(output_tokens: int) -> GatewayError:
    """A call that goes out as it is asks for a longer answer than its key may."""
    return GatewayError(
        ErrorKind.FORBIDDEN,
        f"Answers to this key have at most {output_tokens:,} tokens, and the request asks for more or sets no limit.",
        blame=Blame.CLIENT,
        hint=f"Send a limit on output tokens of at most {output_tokens:,}.",
    )


def no_bound(candidate: Candidate, output_tokens: int | None) -> GatewayError:
    """A hard budget cannot pay for what may become as long as it likes."""
    if output_tokens is None:
        return GatewayError(
            ErrorKind.INVALID_REQUEST,
            "A budget is to pay for this call, and nothing says how long its answer may be.",
            blame=Blame.CLIENT,
            param="max_tokens",
            hint="Send a limit on output tokens; or the operator writes `max_output_tokens` at the deployment "
            f"{candidate.deployment.id!r}.",
        )
    return GatewayError(
        ErrorKind.INVALID_REQUEST,
        "A budget is to pay for this call, and what it refers to may be of any length.",
        blame=Blame.OPERATOR,
        hint="Send the content itself; or the operator writes `context_window_tokens` at the deployment "
        f"{candidate.deployment.id!r}.",
    )


def unavailable() -> GatewayError:
    """It cannot be known now whether the budget has enough left."""
    return GatewayError(
        ErrorKind.LIMITS_UNAVAILABLE,
        "A budget is to pay for this call, and what is left of it cannot be known now.",
        blame=Blame.OPERATOR,
        hint="The key is good: try again shortly. Calls that no hard budget pays for go on.",
        retry_after_s=2.0,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _usd(nanousd: int) -> str:
    """To the last digit that says something."""
    text = f"{nanousd / 1_000_000_000:,.9f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest.ljust(2, '0')}"
