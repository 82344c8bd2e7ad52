"""The one typed tree of `tollhouse.yaml`: every key, its type, its bounds, its default and its description.

The loader, the JSON Schema and the reference page all read this file, so that they cannot drift apart. What is not
here does not exist: an unknown key is an error. Fields are described by `msgspec.Meta`; its `extra` may hold

* `expected`: what the value has to be, in words, where a pattern says it less kindly,
* `hint`: what to do when the value is refused,
* `check`: a function that raises ValueError with a sentence, for what a pattern cannot say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from tollhouse.core import routing
from tollhouse.core.routing import OnDisconnect, Replay, Strategy, UnknownParameters

from .address import parse_listen
from .findings import path_of
from .health import HealthCheck
from .values import (
    MOST_ATTEMPTS,
    Count,
    Dialects,
    Dollars,
    Glob,
    ModelName,
    Name,
    Network,
    Path,
    ProxyUrl,
    Reference,
    RouteName,
    RouteNames,
    Seconds,
    Setting,
    Silence,
    Tokens,
    Url,
)

STORE_URL: Final = r"^sqlite:///(?!:memory:$)[^\x00-\x1f\x7f?#]+$"
"""What `store` must look like: a file, because several processes open it."""

MOST_DEPLOYMENTS: Final = 1000
"""Of one route, one for each credential."""

_TIMEOUTS: Final = routing.Timeouts()
_RETRY: Final = routing.RetryPolicy()
_BREAKER: Final = routing.Breaker()
_QUEUE: Final = routing.Queue()


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The door for callers."""

    listen: Annotated[
        str,
        Meta(
            max_length=300,
            description="Where to listen: HOST:PORT, an IPv6 host in brackets. Port 0 takes a free one.",
            extra={"check": parse_listen, "expected": "HOST:PORT, such as 127.0.0.1:8080"},
        ),
    ] = "127.0.0.1:8080"
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=1,
            description="Serving processes. Only 1 in this version.",
            extra={
                "hint": "More than one needs a shared store for limits, which this version does not have."
            },
        ),
    ] = 1
    drain_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Seconds that running calls get to finish in when the server is stopped.",
        ),
    ] = 30.0
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 30, description="The largest request body that is accepted, in bytes.")
    ] = 33_554_432
    max_buffered_bytes: Annotated[
        Annotated[int, Meta(ge=1024, le=1 << 40)] | None,
        Meta(
            description="What the bodies of all requests together may take, in bytes; calls whose bodies find no room "
            "are answered 503. A quarter of the memory unless set, and never less than `max_body_bytes`.",
        ),
    ] = None
    max_memory_bytes: Annotated[
        Annotated[int, Meta(ge=1 << 26, le=1 << 45)] | None,
        Meta(
            description="The memory the gateway may take, in bytes: from 85 % on batch calls are answered 503, from "
            "95 % on all calls. The limit of the container, or the machine's memory, where that is smaller or this is "
            "not set.",
        ),
    ] = None
    heartbeat_after_s: Annotated[
        Silence,
        Meta(
            description="Seconds of silence after which the caller of a stream is sent a sign of life, so that nothing "
            "on the way takes it for dead; from then on errors come inside the stream. 0 sends none.",
        ),
    ] = 15.0


class Journal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rough copy of the books, written before money is spent."""

    folder: Annotated[
        Path, Meta(description="Where its segments lie. Relative to the folder of the configuration file.")
    ] = "tollhouse-journal"
    durability: Annotated[
        Literal["process", "power"],
        Meta(
            description="What a written entry survives: `process` the death of the process, `power` also that of the "
            "machine, at the price of waiting for the disk."
        ),
    ] = "process"
    max_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            le=1 << 40,
            description="How large it may grow, in bytes, while the store takes nothing; then calls are refused.",
        ),
    ] = 1_073_741_824


class Breaker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a deployment is left alone: connections lost, 5xx, clocks that ran out and bad answers count, each kind of
    call by itself. Then one call tries it; all others go elsewhere until that one has had an answer."""

    consecutive_failures: Annotated[
        int, Meta(ge=1, le=1000, description="So many failures in a row are enough.")
    ] = _BREAKER.consecutive_failures
    failure_percent: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="So large a share of failures among the calls of the window makes it an outlier.",
        ),
    ] = _BREAKER.failure_percent
    minimum_calls: Annotated[
        int, Meta(ge=1, le=100_000, description="Fewer calls in the window make no share.")
    ] = _BREAKER.minimum_calls
    window_s: Annotated[float, Meta(ge=1, le=3600, description="How far back calls count, in seconds.")] = (
        _BREAKER.window_s
    )
    open_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long it is left alone at first, in seconds; twice as long after each failed try.",
        ),
    ] = _BREAKER.open_s
    longest_open_s: Annotated[float, Meta(gt=0, le=3600, description="How long at most, in seconds.")] = (
        _BREAKER.longest_open_s
    )
    most_ejected_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="The largest share of a route's deployments that is left alone as outliers at once. One may "
            "be in any case, where there are others.",
        ),
    ] = _BREAKER.most_ejected_percent


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who serves models, under a name of your own."""

    kind: Annotated[Name, Meta(description="Which kind of provider it is, such as `openai`.")]
    credential: Annotated[
        Reference | Annotated[tuple[Reference, ...], Meta(min_length=1, max_length=100)] | None,
        Meta(
            description="A reference to the provider's key: `env:NAME` an environment variable, `file:PATH` a file, "
            "relative to the folder of the configuration file. A list of several makes each deployment one for each "
            "of them, with limits and a breaker of its own. Required where the kind needs one."
        ),
    ] = None
    base_url: Annotated[
        Url | None,
        Meta(
            description="What the provider's official SDK takes as its base URL. http or https, without user, query "
            "and fragment. Required where the kind has none of its own."
        ),
    ] = None
    dialects: Annotated[
        Dialects | None,
        Meta(description="Narrows what the upstream offers to these wire APIs, for example `[openai_chat]`."),
    ] = None
    foreign_ids: Annotated[
        Literal["refuse", "forward"],
        Meta(
            description="What becomes of the provider's ids that the house has not seen before, such as the id of an "
            "earlier response: `refuse`, because they may be another caller's, or `forward`."
        ),
    ] = "refuse"
    proxy: Annotated[
        ProxyUrl | None,
        Meta(description="An HTTP proxy on the way to the provider: http://HOST:PORT, without a user."),
    ] = None
    region: Annotated[
        Setting | None,
        Meta(description="The provider's region, such as `eu-central-1`, where the kind has regions."),
    ] = None
    project: Annotated[Setting | None, Meta(description="The project at Google Cloud.")] = None
    api_version: Annotated[
        Setting | None, Meta(description="The version of Azure's API that paths name, such as `2024-10-21`.")
    ] = None
    ca_file: Annotated[
        Path | None,
        Meta(
            description="A PEM file of certificate authorities to trust instead of the system's. Relative to the "
            "folder of the configuration file."
        ),
    ] = None
    breaker: Annotated[Breaker, Meta(description="When a deployment here is left alone for a while.")] = (
        Breaker()
    )
    health_check: Annotated[
        HealthCheck | None,
        Meta(description="A look at the provider now and then, without calling a model."),
    ] = None


class Fetch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pictures and documents that requests name by URL are fetched, for upstreams that take bytes only."""

    allow: Annotated[
        tuple[Network, ...],
        Meta(
            max_length=100,
            description="Networks that may be fetched from although they are not public, such as `10.0.0.0/8`.",
        ),
    ] = ()
    max_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 30, description="The largest file that is fetched, in bytes.")
    ] = 20_971_520
    timeout_s: Annotated[
        float, Meta(gt=0, le=300, description="How long fetching one file may take, in seconds.")
    ] = 15.0


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a deployment's tokens cost, in place of what the built-in table of models says."""

    input_per_million_usd: Annotated[
        Dollars, Meta(description="A million tokens of input, in USD; 0 where they cost nothing.")
    ]
    output_per_million_usd: Annotated[
        Dollars, Meta(description="A million tokens of output, in USD; 0 where they cost nothing.")
    ]


class Deployment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model at one provider that a route may lead to."""

    provider: Annotated[Name, Meta(description="A name under `providers`.")]
    model: Annotated[
        ModelName,
        Meta(
            description="What the provider calls the model. `*` forwards what the star of the route's name matched."
        ),
    ]
    weight: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Its share of the calls, relative to the others, under the strategies that share. 0 gets only "
            "what no other could answer.",
        ),
    ] = 1
    credential: Annotated[
        Reference | None, Meta(description="Another key than the provider's own, as a reference.")
    ] = None
    max_concurrency: Annotated[
        Count | None,
        Meta(
            description="Calls in flight at once; the next ones go elsewhere or wait. Without it only what the "
            "provider itself says and how fast it answers limits them.",
        ),
    ] = None
    dialect: Annotated[
        Name | None,
        Meta(
            description="The wire API to call it by, such as `openai_responses`, where its provider offers several. "
            "Without it the caller's own is used if it is offered, else the provider's first."
        ),
    ] = None
    max_output_tokens: Annotated[
        Tokens | None,
        Meta(
            description="How long an answer may be, in tokens: sent where the wire API demands a limit and the caller "
            "named none.",
        ),
    ] = None
    context_window_tokens: Annotated[
        Tokens | None,
        Meta(
            description="How much fits into the model's context, in tokens, in place of what the built-in table of "
            "models says. Shown at `/v1/models`.",
        ),
    ] = None
    price: Annotated[
        Price | None,
        Meta(description="What its tokens cost. Shown at `/v1/models`; no costs are reckoned yet."),
    ] = None


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


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public model name and where it leads."""

    deployments: Annotated[
        tuple[Deployment, ...],
        Meta(min_length=1, max_length=MOST_DEPLOYMENTS, description="What the route leads to; at least one."),
    ]
    strategy: Annotated[
        Strategy,
        Meta(
            description="Which deployment is asked first: `ordered` as they stand here, `weighted` by chance in "
            "proportion to the weights, `least_busy` the one with the fewest calls in flight, `lowest_latency` the one "
            "whose first token came soonest lately, `lowest_cost` the cheapest, `sticky` the same one for the same "
            "session or the same beginning of a prompt. Those that are left alone or full come last in each."
        ),
    ] = Strategy.ORDERED
    fallbacks: Annotated[
        RouteNames | Fallbacks,
        Meta(
            description="Other routes that are asked where no deployment here could answer: a list, or lists by cause."
        ),
    ] = ()
    retry: Annotated[Retry, Meta(description="How often a call is tried.")] = Retry()
    timeouts: Annotated[Timeouts, Meta(description="How long a call may take.")] = Timeouts()
    longest_timeouts: Annotated[
        LongestTimeouts, Meta(description="How far callers may move the clocks by header.")
    ] = LongestTimeouts()
    heartbeat_after_s: Annotated[
        Silence | None,
        Meta(description="Instead of the server's, for streams of this route."),
    ] = None
    on_disconnect: Annotated[
        OnDisconnect,
        Meta(
            description="What becomes of a call whose caller has left: `cancel` closes it, and what it may have used "
            "is estimated; `drain` reads it to its end, for the provider's own figures."
        ),
    ] = OnDisconnect.CANCEL
    queue: Annotated[Queue, Meta(description="Where calls wait for a deployment that is full.")] = Queue()
    mirror: Annotated[
        Mirror | None, Meta(description="Another route that gets copies of a share of the calls.")
    ] = None
    unknown_parameters: Annotated[
        UnknownParameters,
        Meta(
            description="What becomes of members of a request that an upstream cannot be told. `pass`: to an upstream "
            "of the caller's own wire API they go unread; in translation what can be left out is, and is named in "
            "`x-tollhouse-dropped`, and the call is refused where the answer would be another. `drop`: left out in "
            "every case, and named. `strict`: the call is refused before anything is spent."
        ),
    ] = UnknownParameters.PASS


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual key declared by its hash. All others are made by `tollhouse keys create`."""

    name: Annotated[Name, Meta(description="What the books call it; unique.")]
    sha256: Annotated[
        str,
        Meta(
            pattern="^[0-9a-fA-F]{64}$",
            max_length=64,
            description="SHA-256 of the key's text, 64 hex digits. The text itself never stands here.",
            extra={
                "expected": "a SHA-256 hash of 64 hex digits, never the key itself",
                "hint": "printf %s KEY | sha256sum prints it. Quote it if it has digits only.",
            },
        ),
    ]
    routes: Annotated[
        tuple[Glob, ...],
        Meta(max_length=1000, description="Globs over route names it may use. Without any it may use none."),
    ] = ()
    team: Annotated[Name | None, Meta(description="A label in the books.")] = None


class Observability(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the house tells about itself."""

    log: Annotated[
        Literal["json", "text"],
        Meta(description="How log lines are written: `json` for machines, `text` for people."),
    ] = "json"
    content: Annotated[
        Literal["none"],
        Meta(description="How much of what callers and models say is recorded. Only `none` in this version."),
    ] = "none"
    prometheus: Annotated[bool, Meta(description="Whether `/metrics` is served.")] = True


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of Tollhouse."""

    version: Annotated[Literal[1], Meta(description="The version of this format.")]
    server: Annotated[Server, Meta(description="The door for callers.")] = Server()
    store: Annotated[
        str,
        Meta(
            pattern=STORE_URL,
            max_length=4096,
            description="The database of keys and books: `sqlite:///PATH`, four slashes for an absolute path. A "
            "relative one is relative to the folder of the configuration file.",
            extra={
                "expected": "the URL of an SQLite file",
                "hint": "Write sqlite:///tollhouse.db, or sqlite:////var/lib/tollhouse.db for an absolute path.",
            },
        ),
    ] = "sqlite:///tollhouse.db"
    shared: Annotated[
        Literal["memory"],
        Meta(description="Where state that processes share is kept. Only `memory` in this version."),
    ] = "memory"
    journal: Annotated[Journal, Meta(description="The rough copy of the books.")] = Journal()
    providers: Annotated[
        Mapping[Name, Provider], Meta(max_length=1000, description="Who serves models, by name.")
    ] = {}
    routes: Annotated[
        Mapping[RouteName, Route],
        Meta(
            max_length=10_000,
            description="Public model names. One may end in `*`: an exact name beats a star, and of the stars the "
            "longest wins.",
        ),
    ] = {}
    keys: Annotated[
        tuple[Key, ...], Meta(max_length=100_000, description="Virtual keys declared by their hash.")
    ] = ()
    observability: Annotated[Observability, Meta(description="Logs and metrics.")] = Observability()
    fetch: Annotated[Fetch, Meta(description="Getting what requests name by URL.")] = Fetch()


def references(config: Config) -> list[tuple[str, str]]:
    """Every reference to a secret, with its path in the file."""
    return [*_provider_references(config), *_deployment_references(config)]


def _provider_references(config: Config) -> Iterator[tuple[str, str]]:
    for name, provider in config.providers.items():
        path = path_of(("providers", name, "credential"))
        match provider.credential:
            case str() as reference:
                yield path, reference
            case tuple() as several:
                for position, reference in enumerate(several):
                    yield f"{path}[{position}]", reference
            case None:
                pass


def _deployment_references(config: Config) -> Iterator[tuple[str, str]]:
    for name, route in config.routes.items():
        for position, deployment in enumerate(route.deployments):
            if deployment.credential is not None:
                yield path_of(("routes", name, "deployments", position, "credential")), deployment.credential
