"""Where a call may go: deployments, the routes that name them, and the plan made for one call."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Strategy(StrEnum):
    """How the candidates of a route are put in order for one call."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"


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


class UnknownParameters(StrEnum):
    """What becomes of what a request says and an upstream cannot be told."""

    PASS = "pass"
    """To upstreams of the caller's dialect it goes unread; in translation what can be left out is, and is declared."""
    DROP = "drop"
    """It is left out and declared, even where the answer may be another for it."""
    STRICT = "strict"
    """The call is refused before anything is spent."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a million tokens cost, in nano-USD. None is not known, which is never nothing."""

    input_per_million_nanousd: int | None = None
    output_per_million_nanousd: int | None = None
    cache_read_per_million_nanousd: int | None = None
    cache_write_per_million_nanousd: int | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One callable thing: a model at a provider, under a credential."""

    id: str
    """`provider/model`, unique within its route: what records, headers and metrics call it."""
    provider: str
    """The name under `providers` in the configuration."""
    model: str
    """The upstream's name of the model; `*` forwards what the route's star matched."""
    weight: int = 1
    dialect: str | None = None
    """The wire API to call it by, where several would do and the first is not wanted."""
    max_output_tokens: int | None = None
    context_window_tokens: int | None = None
    """Input and output together, where the operator knows better than the table of models."""
    price: Price | None = None
    """The same for what it costs."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A public model name, perhaps ending in `*`, and where it leads."""

    name: str
    deployments: tuple[Deployment, ...]
    strategy: Strategy = Strategy.ORDERED
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    unknown_parameters: UnknownParameters = UnknownParameters.PASS

    @property
    def is_wildcard(self) -> bool:
        return self.name.endswith("*")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment with the model name it will be asked for in this call."""

    deployment: Deployment
    model: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one call will try, in order, before anything is sent."""

    route: Route
    candidates: tuple[Candidate, ...]
    """At least one; attempts beyond the last begin again at the first."""
    deadline: float
    """On the monotonic clock, seconds: nothing of this call outlives it."""
