"""The parts of the tree that say how a route treats its calls: patience, repeats, queues, what follows a failure.

See `tree` for what the fields mean.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from tollhouse.core import routing
from tollhouse.core.routing import Replay

from .values import MOST_ATTEMPTS, RouteName, RouteNames, Seconds

_TIMEOUTS: Final = routing.Timeouts()
_RETRY: Final = routing.RetryPolicy()
_QUEUE: Final = routing.Queue()


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One budget of attempts for retries and other deployments together."""

    max_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_ATTEMPTS,
            description="Upstream calls that one request may cause, the first included.",
        ),
    ] = _RETRY.max_attempts
    replay: Annotated[
        Replay,
        Meta(
            description="Whether a call that was lost after it was sent is sent again: `until_headers` while no answer "
            "had begun, or `never`."
        ),
    ] = _RETRY.replay
    longest_wait_s: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="How long a call waits because a provider asked for it by `retry-after`, in seconds. Where it "
            "asks for more, the caller is told instead.",
        ),
    ] = _RETRY.longest_wait_s


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The six clocks of a call. Calls without a stream use the first three and the total."""

    connect_s: Annotated[
        Seconds, Meta(description="To open a connection, name look-up included, in seconds.")
    ] = _TIMEOUTS.connect_s
    tls_s: Annotated[Seconds, Meta(description="To agree on encryption, in seconds.")] = _TIMEOUTS.tls_s
    first_header_s: Annotated[
        Seconds, Meta(description="From sending to the status of the answer, in seconds.")
    ] = _TIMEOUTS.first_header_s
    first_token_s: Annotated[
        Seconds, Meta(description="From the status to the first content of a stream, in seconds.")
    ] = _TIMEOUTS.first_token_s
    idle_s: Annotated[Seconds, Meta(description="Between two signs of progress in a stream, in seconds.")] = (
        _TIMEOUTS.idle_s
    )
    total_s: Annotated[
        Seconds, Meta(description="For the whole call, all attempts together, in seconds.")
    ] = _TIMEOUTS.total_s


class LongestTimeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a caller may move the clocks by `x-tollhouse-timeout-s`. What is not written may only be shortened."""

    connect_s: Annotated[Seconds | None, Meta(description="The longest `connect_s`, in seconds.")] = None
    tls_s: Annotated[Seconds | None, Meta(description="The longest `tls_s`, in seconds.")] = None
    first_header_s: Annotated[
        Seconds | None, Meta(description="The longest `first_header_s`, in seconds.")
    ] = None
    first_token_s: Annotated[Seconds | None, Meta(description="The longest `first_token_s`, in seconds.")] = (
        None
    )
    idle_s: Annotated[Seconds | None, Meta(description="The longest `idle_s`, in seconds.")] = None
    total_s: Annotated[Seconds | None, Meta(description="The longest `total_s`, in seconds.")] = None


class Fallbacks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other routes that are asked, in this order, by what went wrong. A plain list stands for `outage` and
    `rate_limit`. Their own fallbacks follow them; what leads back to where it began is refused."""

    outage: Annotated[
        RouteNames,
        Meta(description="After lost connections, 5xx, clocks that ran out and answers that are none."),
    ] = ()
    rate_limit: Annotated[
        RouteNames, Meta(description="After the provider's 429, or where `max_concurrency` is reached.")
    ] = ()
    context_overflow: Annotated[
        RouteNames, Meta(description="Where the request is larger than the model's context.")
    ] = ()
    content_filter: Annotated[
        RouteNames, Meta(description="Where the provider's filter refused the request.")
    ] = ()


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where calls wait when every deployment that could take them has as many as it may have."""

    length: Annotated[int, Meta(ge=0, le=100_000, description="How many may wait for one deployment.")] = (
        _QUEUE.length
    )
    age_s: Annotated[float, Meta(ge=0, le=600, description="How long one may wait, in seconds.")] = (
        _QUEUE.age_s
    )


class Mirror(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the calls is also made to another route. Nobody gets its answers; its rows in the book are marked."""

    route: Annotated[RouteName, Meta(description="The route that gets the copies.")]
    share: Annotated[float, Meta(gt=0, le=1, description="Which share of the calls is copied, 1 is all.")]
    max_concurrency: Annotated[
        int, Meta(ge=1, le=10_000, description="Copies in flight at once; more are not made.")
    ] = 4
