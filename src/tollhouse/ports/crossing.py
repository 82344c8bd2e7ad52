"""One attempt's way to an upstream and back: the request as it goes out, and what the caller gets of the answer.

Made by translate for each candidate, used by dispatch, which knows nothing of dialects.
"""

from __future__ import annotations

from typing import Protocol

from tollhouse.core.errors import GatewayError
from tollhouse.ports.dialect import Reading, StreamTap
from tollhouse.ports.transport import UpstreamRequest


class Crossing(Protocol):
    """Bytes of the caller's dialect on one side, of the upstream's on the other."""

    @property
    def request(self) -> UpstreamRequest: ...

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the caller said and the upstream is not told, in the caller's words."""

    @property
    def added_tokens(self) -> int:
        """How many tokens of input the house has added at most, which did not come with the call: what a model has
        thought before and the caller has not kept."""

    @property
    def stream_type(self) -> bytes:
        """The content type the upstream's streams have, without parameters."""

    @property
    def reply_type(self) -> bytes | None:
        """The content type of what the caller gets; None where it is the upstream's own."""

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        """An answer of the upstream's as the caller gets it. Raises: GatewayError where it is none."""

    def stream(self) -> StreamTap:
        """A fresh one: takes the upstream's bytes, gives the caller's."""

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        """What the upstream's answer with an error status means."""
