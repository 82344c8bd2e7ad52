"""A back end asks for a browser token with its virtual key."""

from __future__ import annotations

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.passage import Passage
from tollhouse.ports.reply import Reply
from tollhouse.ports.request import Request
from tollhouse.stages.deliver import answer_headers, deliver_ours
from tollhouse.stages.mint import minted, read_wish, token_for

from .house import House

_LONGEST_BODY_BYTES = 16 * 1024
_ENTROPY_BYTES = 10


async def mint_client_token(
    house: House, principal: Principal, request: Request, reply: Reply, passage: Passage
) -> None:
    """Raises: GatewayError, see stages.mint."""
    signer = house.keyring.client_tokens
    if not signer.can_sign or not house.keyring.knows(principal.key_id):
        raise GatewayError(
            ErrorKind.FORBIDDEN,
            "Browser tokens are made with virtual keys, and this is none.",
            blame=Blame.CLIENT,
            hint="Ask the operator for a virtual key (`tollhouse keys create`) for the page's back end.",
        )
    house.admission.check_declared(principal, request.headers)
    body = await request.body()
    passage.request_bytes = len(body)
    if len(body) > _LONGEST_BODY_BYTES:
        raise GatewayError(
            ErrorKind.INVALID_REQUEST,
            f"The body has {len(body):,} bytes; what there is to say about a token fits into {_LONGEST_BODY_BYTES:,}.",
            blame=Blame.CLIENT,
            status=413,
        )
    clock = house.clock
    now = clock.now()
    token = token_for(
        read_wish(body), principal, now=now, entropy=clock.entropy(_ENTROPY_BYTES), era=house.admission.era
    )
    passage.end_user = token.end_user
    headers = [*answer_headers(passage, clock), (b"cache-control", b"no-store")]
    deliver_ours(minted(token, signer.sign(token), now), reply, headers, passage, clock)
