"""One exchange's translations: read once from the caller, written anew for every candidate."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tollhouse.absorption import absorb, lost
from tollhouse.config.snapshot import Upstream
from tollhouse.core.operation import Operation
from tollhouse.core.request import Field, Loss, ModelRequest
from tollhouse.core.routing import Candidate, UnknownParameters
from tollhouse.core.seal import is_marked
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import ClientCall, Dialect, Reading
from tollhouse.ports.fetcher import Fetched, Fetcher
from tollhouse.ports.provider import Traits
from tollhouse.ports.recall import Recall
from tollhouse.ports.translation import Scene, Written
from tollhouse.ports.transport import UpstreamRequest

from .aside import aside
from .bridge import Bridge, Converted
from .emulation import Emulation
from .fit import fitted, members, with_limit_as, without
from .headers import straight_headers, translated_headers
from .losses import declare, refused
from .media import with_media
from .reasoning import restored_bytes, with_reasoning
from .straight import Straight
from .trail import Trail
from .way import Way, Ways, path_of


class Workbench:
    """What translating needs beside the call. One per serving process."""

    __slots__ = ("dialects", "fetcher", "recall", "ways")

    def __init__(self, dialects: Mapping[str, Dialect], recall: Recall, fetcher: Fetcher) -> None:
        self.dialects = dialects
        self.recall = recall
        self.fetcher = fetcher
        self.ways = Ways(dialects)


class Translator:
    """Makes the crossings of one exchange."""

    def __init__(
        self,
        workbench: Workbench,
        call: ClientCall,
        dialect: Dialect,
        *,
        tenant: str,
        mode: UnknownParameters,
        scene: Scene,
        verb: str | None,
    ) -> None:
        self._workbench = workbench
        self._call = call
        self._dialect = dialect
        self._tenant = tenant
        self._mode = mode
        self._scene = scene
        self._verb = verb
        self._conversation: tuple[ModelRequest, tuple[str, ...], Trail] | None = None
        self._fetched: dict[str, Fetched] = {}

    async def cross(self, candidate: Candidate, upstream: Upstream) -> Crossing:
        """The way to a candidate who can be reached. Raises: GatewayError, before anything is spent."""
        way = self._workbench.ways.find(upstream, candidate, self._call, self._dialect)
        assert way is not None, "a plan names only candidates that offer the operation"
        if self._call.is_limited and Field.MAX_OUTPUT_TOKENS in way.traits.unsupported:
            raise refused("max_output_tokens", "It cannot be told how long an answer may be.", upstream.name)
        if way.is_straight:
            return self._straight(candidate, upstream, way)
        match way.endpoint.operation:
            case Operation.CHAT:
                return await self._bridge(candidate, upstream, way)
            case Operation.COUNT_TOKENS:
                return await self._count(candidate, upstream, way)
            case Operation.EMBEDDINGS:
                return await self._embed(candidate, upstream, way)
            case _:
                return await self._rank(candidate, upstream, way)

    # -- the same dialect

    def _straight(self, candidate: Candidate, upstream: Upstream, way: Way) -> Crossing:
        call = self._call
        endpoint = way.endpoint
        traits = _traits(candidate, way)
        headers, betas = straight_headers(
            call.headers, self._dialect.name, endpoint, upstream, is_stream=call.is_stream
        )
        body = self._dialect.forward(
            call, candidate.model, ask_usage=call.is_stream and traits.takes_stream_options
        )
        if call.is_limited and self._dialect.name == "openai_chat":
            body = with_limit_as(body, traits.output_limit_field)
        if is_marked(body):
            body = self._dialect.mend(body, traits.issuer)
        dropped = tuple(f"anthropic-beta: {name}" for name in betas.removed)
        if self._mode is not UnknownParameters.PASS:
            body, more = self._narrowed(body, upstream)
            dropped += more
        body = fitted(body, endpoint, betas.kept)
        body, rules = absorb(upstream.provider.kind, self._dialect.name, candidate.model, body)
        dropped += lost(rules)
        return Straight(
            self._request(candidate, upstream, way, headers, body), call, self._dialect, endpoint, dropped
        )

    def _narrowed(self, body: bytes, upstream: Upstream) -> tuple[bytes, tuple[str, ...]]:
        """Without the top-level members nobody has ever described. Raises: GatewayError with STRICT."""
        known = self._dialect.known
        unknown = tuple(name for name in members(body) if name not in known)
        if not unknown:
            return body, ()
        if self._mode is UnknownParameters.STRICT:
            raise refused(unknown[0], "", upstream.name)
        return without(body, frozenset(unknown)), unknown

    # -- another dialect

    async def _bridge(self, candidate: Candidate, upstream: Upstream, way: Way) -> Crossing:
        faces, theirs = self._dialect.chat, way.dialect.chat
        assert faces is not None
        assert theirs is not None
        traits = _traits(candidate, way)
        if self._conversation is None:
            request, leftovers = await aside(self._call.body, faces.read_request, self._call)
            self._conversation = request, leftovers, Trail(request)
        request, leftovers, trail = self._conversation
        request, emulation, losses, added_bytes = await self._prepared(request, candidate, traits, way, trail)
        written = await aside(self._call.body, theirs.write_request, request, traits)
        dropped = declare((*losses, *written.losses), leftovers, faces.words, self._mode, upstream.name)
        outgoing, absorbed = self._written(candidate, upstream, way, written)
        return Bridge(
            outgoing,
            added_tokens=added_bytes,
            call=self._call,
            scene=self._scene,
            dialect=self._dialect,
            other=way.dialect,
            endpoint=way.endpoint,
            emulation=emulation,
            issuer=traits.issuer,
            recall=self._workbench.recall,
            tenant=self._tenant,
            trail=trail,
            dropped=dropped + absorbed,
        )

    async def _prepared(
        self, request: ModelRequest, candidate: Candidate, traits: Traits, way: Way, trail: Trail
    ) -> tuple[ModelRequest, Emulation, list[Loss], int]:
        """The request as the upstream can be asked, the writer's own business aside; and of how many bytes are the
        thoughts in it that the caller has not sent."""
        asked = request = msgspec.structs.replace(request, model=candidate.model)
        request, losses = with_reasoning(request, traits.issuer, self._workbench.recall, self._tenant, trail)
        added_bytes = restored_bytes(asked, request)
        emulation = Emulation(request, traits, keeps_namespaces=way.dialect.name == "openai_responses")
        request = await with_media(emulation.request, traits, self._workbench.fetcher, self._fetched)
        return request, emulation, [*losses, *emulation.losses], added_bytes

    async def _count(self, candidate: Candidate, upstream: Upstream, way: Way) -> Crossing:
        faces, theirs = self._dialect.counting, way.dialect.counting
        assert faces is not None
        assert theirs is not None
        traits = _traits(candidate, way)
        request, leftovers = await aside(self._call.body, faces.read_request, self._call)
        request, _, losses, _ = await self._prepared(request, candidate, traits, way, Trail(request))
        written = await aside(self._call.body, theirs.write_request, request, traits)
        words: Mapping[Field, str] = self._dialect.chat.words if self._dialect.chat is not None else {}
        dropped = declare((*losses, *written.losses), leftovers, words, self._mode, upstream.name)

        def convert(body: bytes) -> tuple[bytes, Reading]:
            return faces.write_count(theirs.read_count(body), self._call), Reading()

        outgoing, absorbed = self._written(candidate, upstream, way, written)
        return Converted(outgoing, way.dialect, convert, dropped + absorbed)

    async def _embed(self, candidate: Candidate, upstream: Upstream, way: Way) -> Crossing:
        faces, theirs = self._dialect.embedding, way.dialect.embedding
        assert faces is not None
        assert theirs is not None
        request, leftovers = await aside(self._call.body, faces.read_request, self._call)
        request = msgspec.structs.replace(request, model=candidate.model)
        written = await aside(self._call.body, theirs.write_request, request, _traits(candidate, way))
        dropped = declare(written.losses, leftovers, faces.words, self._mode, upstream.name)

        def convert(body: bytes) -> tuple[bytes, Reading]:
            response = theirs.read_response(body)
            return faces.write_response(response, self._call, self._scene), Reading(usage=response.usage)

        outgoing, absorbed = self._written(candidate, upstream, way, written)
        return Converted(outgoing, way.dialect, convert, dropped + absorbed)

    async def _rank(self, candidate: Candidate, upstream: Upstream, way: Way) -> Crossing:
        faces, theirs = self._dialect.ranking, way.dialect.ranking
        assert faces is not None
        assert theirs is not None
        request, leftovers = await aside(self._call.body, faces.read_request, self._call)
        request = msgspec.structs.replace(request, model=candidate.model)
        written = await aside(self._call.body, theirs.write_request, request, _traits(candidate, way))
        dropped = declare(written.losses, leftovers, faces.words, self._mode, upstream.name)

        def convert(body: bytes) -> tuple[bytes, Reading]:
            response = theirs.read_response(body)
            return faces.write_response(response, self._call, self._scene), Reading(usage=response.usage)

        outgoing, absorbed = self._written(candidate, upstream, way, written)
        return Converted(outgoing, way.dialect, convert, dropped + absorbed)

    # -- both

    def _written(
        self, candidate: Candidate, upstream: Upstream, way: Way, written: Written
    ) -> tuple[UpstreamRequest, tuple[str, ...]]:
        """The request, and what of it was absorbed without a trace."""
        headers = translated_headers(written.headers, way.endpoint, upstream, is_stream=self._call.is_stream)
        body = fitted(written.body, way.endpoint, ())
        body, rules = absorb(upstream.provider.kind, way.dialect.name, candidate.model, body)
        return self._request(candidate, upstream, way, headers, body), lost(rules)

    def _request(
        self,
        candidate: Candidate,
        upstream: Upstream,
        way: Way,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes,
    ) -> UpstreamRequest:
        verb = self._verb if way.is_straight else None
        path = path_of(upstream, way.endpoint, candidate.model, is_stream=self._call.is_stream, verb=verb)
        return UpstreamRequest(method=b"POST", path=path, headers=headers, body=body)


def _traits(candidate: Candidate, way: Way) -> Traits:
    traits = way.traits
    limit = candidate.deployment.max_output_tokens
    return traits if limit is None else msgspec.structs.replace(traits, max_output_tokens=limit)
