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
from tollhouse.core.routing import OnDisconnect, Strategy, UnknownParameters

from .address import parse_listen
from .allowances import Allowance, Budget, Limits, Tags, Teams
from .browsers import Cors
from .conduct import Fallbacks, LongestTimeouts, Mirror, Queue, Retry, Timeouts
from .findings import path_of
from .health import HealthCheck
from .identity import Identity
from .keys import Key
from .values import (
    Count,
    Dialects,
    Dollars,
    ModelName,
    Name,
    Network,
    Path,
    ProxyUrl,
    Reference,
    RouteName,
    RouteNames,
    Setting,
    Silence,
    Tokens,
    Url,
)

STORE_URL: Final = r"^(?:sqlite:///(?!:memory:$)[^\x00-\x1f\x7f?#]+|postgresql://(?:[^\x00-\x20\x7f#/@:]+@)?[^\x00-\x20\x7f#@]+)$"
"""What `store` must look like: a file, because several processes open it, or a database server's, without
a password."""
SHARED_URL: Final = r"^(?:memory|rediss?://(?:[^\x00-\x20\x7f#/@:]+@)?[^\x00-\x20\x7f#@]+)$"
"""The same for `shared`."""

MOST_DEPLOYMENTS: Final = 1000
"""Of one route, one for each credential."""

_BREAKER: Final = routing.Breaker()


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
            le=256,
            description="Serving processes. More than one needs `shared: redis://…`, or `accept_unshared_limits`.",
        ),
    ] = 1
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(
            max_length=100,
            description="Proxies in front of the gateway, such as `10.1.0.0/16`: their `x-forwarded-for` says who "
            "calls, and nobody else's does. For what goes by addresses: networks of keys, the logs, who has tried too "
            "often.",
        ),
    ] = ()
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
    snapshot_max_age_hours: Annotated[
        float,
        Meta(
            ge=0,
            le=8760,
            description="A gateway that starts while its store is away serves the keys it knew last, from a signed "
            "file beside the journal, unless it has had no word from the store for more than so many hours before. 0 "
            "never does so. Counts from the next start.",
        ),
    ] = 24.0
    cors: Annotated[
        Cors, Meta(description="Which web pages may call models here, each with a browser token.")
    ] = Cors()
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
            "relative to the folder of the configuration file, `store:NAME` or `store:TEAM/NAME` a secret of the "
            "encrypted store, or one of a secret manager. A list of several makes each deployment one for each "
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
            description="How long an answer can be, in tokens: sent where the wire API demands a limit and the caller "
            "named none, and what a budget reckons with then.",
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
        Meta(description="What its tokens cost, in place of what the built-in table of models says."),
    ] = None


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
    limits: Annotated[Limits, Meta(description="Of all calls to the route together.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="Of all calls to the route together.")] = None
    unknown_parameters: Annotated[
        UnknownParameters,
        Meta(
            description="What becomes of members of a request that an upstream cannot be told. `pass`: to an upstream "
            "of the caller's own wire API they go unread; in translation what can be left out is, and is named in "
            "`x-tollhouse-dropped`, and the call is refused where the answer would be another. `drop`: left out in "
            "every case, and named. `strict`: the call is refused before anything is spent."
        ),
    ] = UnknownParameters.PASS


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


class Secrets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How references to secrets are followed."""

    refresh_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="How often files and remote sources are looked at for new values, in seconds; `tollhouse "
            "secrets set` and a reload do so at once. Where a source is down, the value before stays in use.",
        ),
    ] = 300.0


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of Tollhouse."""

    version: Annotated[Literal[1], Meta(description="The version of this format.")]
    server: Annotated[Server, Meta(description="The door for callers.")] = Server()
    store: Annotated[
        str,
        Meta(
            pattern=STORE_URL,
            max_length=4096,
            description="The database of keys and books: `sqlite:///PATH`, four slashes for an absolute path, relative "
            "to the folder of the configuration file otherwise; or `postgresql://USER@HOST:PORT/NAME`. A password does "
            "not belong into this file: write the whole URL into the environment variable TOLLHOUSE_STORE.",
            extra={
                "expected": "the URL of an SQLite file or of a PostgreSQL database",
                "hint": "Write sqlite:///tollhouse.db, or postgresql://USER@HOST/NAME; a URL with a password "
                "goes into the environment variable TOLLHOUSE_STORE.",
            },
        ),
    ] = "sqlite:///tollhouse.db"
    shared: Annotated[
        str,
        Meta(
            pattern=SHARED_URL,
            max_length=4096,
            description="Where limits and budgets are counted: `memory`, which is right for one worker of one gateway, "
            "or `redis://HOST:PORT/DATABASE` for any number of both. A password belongs into TOLLHOUSE_SHARED.",
            extra={
                "expected": "memory, or the URL of a Redis or Valkey server",
                "hint": "Write redis://host:6379/0; a URL with a password in it goes into TOLLHOUSE_SHARED.",
            },
        ),
    ] = "memory"
    accept_unshared_limits: Annotated[
        bool,
        Meta(
            description="Lets several workers run with `shared: memory` all the same: each then counts by itself, so "
            "that every limit holds that many times over. Hard budgets are refused in any case."
        ),
    ] = False
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
    teams: Teams = {}
    tags: Tags = {}
    end_users: Annotated[
        Allowance,
        Meta(description="What each of the callers' own users may use, where a call names one."),
    ] = Allowance()
    keys: Annotated[
        tuple[Key, ...], Meta(max_length=100_000, description="Virtual keys declared by their hash.")
    ] = ()
    secrets: Annotated[Secrets, Meta(description="How references to secrets are followed.")] = Secrets()
    identity: Annotated[Identity, Meta(description="Who is let in besides those with keys of the house.")] = (
        Identity()
    )
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
