"""Where a call may go: deployments, the routes that name them, and the plan made for one call."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from .limits import Scope


class Strategy(StrEnum):
    """How the candidates of a route are put in order for one call."""

    ORDERED = "ordered"
    """As they stand in the file."""
    WEIGHTED = "weighted"
    """The first by chance, in proportion to the weights."""
    LEAST_BUSY = "least_busy"
    """The one with the fewest calls in flight for its weight."""
    LOWEST_LATENCY = "lowest_latency"
    """The one whose first token came soonest lately, its load reckoned in."""
    LOWEST_COST = "lowest_cost"
    """The cheapest by the table of prices; those without a price last."""
    STICKY = "sticky"
    """The same one for the same session, or the same beginning of a prompt, so that its cache is warm."""


class Cause(StrEnum):
    """Why another route is asked in place of the one that was named."""

    OUTAGE = "outage"
    """Nobody answered as they should: connection lost, 5xx, a clock that ran out, an answer that is none."""
    RATE_LIMIT = "rate_limit"
    """The provider, or the operator's limit on concurrency, lets no more through."""
    CONTEXT_OVERFLOW = "context_overflow"
    """The request is larger than the model's context."""
    CONTENT_FILTER = "content_filter"
    """The provider's filter refused the request."""


class Priority(StrEnum):
    """Who is served first where not all can be."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class OnDisconnect(StrEnum):
    """What becomes of an upstream call whose caller has left."""

    CANCEL = "cancel"
    """It is closed at once, and what it may have used is estimated."""
    DRAIN = "drain"
    """It is read to its end, within bounds, so that the books have the provider's own figures."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The six clocks, in seconds. Unary calls use the first three and the total."""

    connect_s: float = 3.0
    tls_s: float = 5.0
    first_header_s: float = 60.0
    first_token_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


class Replay(StrEnum):
    """Whether a call whose fate is unknown may be sent again."""

    UNTIL_HEADERS = "until_headers"
    NEVER = "never"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One budget of attempts for retries and other candidates together."""

    max_attempts: int = 3
    replay: Replay = Replay.UNTIL_HEADERS
    longest_wait_s: float = 30.0
    """For a provider that says when to come again; one that asks for more patience is told to the caller instead."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When a deployment is left alone for a while, and for how long."""

    consecutive_failures: int = 5
    """So many in a row open it."""
    failure_percent: float = 50.0
    """The same for a share of the calls in the window, at least `minimum_calls`: an outlier among its peers."""
    minimum_calls: int = 20
    window_s: float = 30.0
    open_s: float = 1.0
    """The first rest; each that follows upon a failed probe is twice as long."""
    longest_open_s: float = 8.0
    most_ejected_percent: float = 50.0
    """The largest share of a route's deployments that may be out as outliers at once; one may be in any case, where
    there are others."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Where calls wait for a deployment whose limit on concurrency is reached."""

    length: int = 100
    age_s: float = 10.0
    """The longest wait."""


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a route's calls is also made to another route, whose answers nobody gets."""

    route: str
    share: float
    """In (0, 1]."""
    max_concurrency: int = 4


class UnknownParameters(StrEnum):
    """What becomes of what a request says and an upstream cannot be told."""

    PASS = "pass"
    """To upstreams of the caller's dialect it goes unread; in translation what can be left out is, and is declared."""
    DROP = "drop"
    """It is left out and declared, even where the answer may be another for it."""
    STRICT = "strict"
    """The call is refused before anything is spent."""


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a million tokens cost, in nano-USD. None is not known, which is never nothing; of the kinds of tokens below
    the first two it means that they cost what others of their direction do."""

    input_per_million_nanousd: int | None = None
    output_per_million_nanousd: int | None = None
    cache_read_per_million_nanousd: int | None = None
    cache_write_per_million_nanousd: int | None = None
    """For what is kept some minutes."""
    cache_write_1h_per_million_nanousd: int | None = None
    audio_input_per_million_nanousd: int | None = None
    audio_output_per_million_nanousd: int | None = None
    tiers: tuple[Tier, ...] = ()
    """What calls with a long input cost instead, the longest last."""

    def at(self, input_tokens: int) -> Price:
        """The price of a call with so many tokens of input."""
        for tier in reversed(self.tiers):
            if input_tokens > tier.above_input_tokens:
                return tier.price
        return self


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """What all tokens of a call cost, the first ones too, once its input is longer than this."""

    above_input_tokens: int
    price: Price


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One callable thing: a model at a provider, under a credential."""

    id: str
    """`provider/model`, unique within its route: what records, headers and metrics call it."""
    provider: str
    """The name under `providers` in the configuration; for another credential than its first with `#2` and so on."""
    model: str
    """The upstream's name of the model; `*` forwards what the route's star matched."""
    weight: int = 1
    """Its share relative to the others. 0 gets only what all others could not answer."""
    max_concurrency: int | None = None
    """Calls in flight at once; None leaves it to the adaptive limit."""
    dialect: str | None = None
    """The wire API to call it by, where several would do and the first is not wanted."""
    max_output_tokens: int | None = None
    context_window_tokens: int | None = None
    """Input and output together, where the operator knows better than the table of models."""
    price: Price | None = None
    """The same for what it costs."""


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """Another route's deployments, asked where a route's own have failed for one of the causes."""

    route: Route
    after: Mapping[str, frozenset[Cause]]
    """By the route that failed: for which causes this one may follow it, over others in between or not."""
    star: str | None = None
    """What its star stands for; None where it is the caller's own, or where it has none."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A public model name, perhaps ending in `*`, and where it leads."""

    name: str
    deployments: tuple[Deployment, ...]
    strategy: Strategy = Strategy.ORDERED
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    longest_timeouts: Timeouts = Timeouts()
    """How far a caller may move the clocks by header."""
    unknown_parameters: UnknownParameters = UnknownParameters.PASS
    fallbacks: tuple[Fallback, ...] = ()
    """Flattened: in the order to be asked, each route once, their own fallbacks included."""
    queue: Queue = Queue()
    on_disconnect: OnDisconnect = OnDisconnect.CANCEL
    heartbeat_after_s: float = 15.0
    """Silence after which a waiting stream is told that it is alive; 0 turns it off."""
    mirror: Mirror | None = None
    scope: Scope | None = None
    """What all calls to it together may use; None where that is not bounded."""

    @property
    def is_wildcard(self) -> bool:
        return self.name.endswith("*")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment with the model name it will be asked for in this call."""

    deployment: Deployment
    model: str
    route: str = ""
    """The name of the route it stands in: the plan's own, or one of its fallbacks."""
    after: Mapping[str, frozenset[Cause]] = {}
    """For fallbacks: see Fallback."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one call will try, in order, before anything is sent."""

    route: Route
    candidates: tuple[Candidate, ...]
    """At least one; attempts beyond the last begin again at the first."""
    deadline: float
    """On the monotonic clock, seconds: nothing of this call outlives it."""
    timeouts: Timeouts = Timeouts()
    """The route's clocks, as the caller has moved them."""
    priority: Priority = Priority.INTERACTIVE
