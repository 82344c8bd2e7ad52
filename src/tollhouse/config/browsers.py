"""The part of the tree that is about web pages: whose may call models from a browser."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from tollhouse.core.origins import LONGEST_ORIGIN, check_origin

Origin = Annotated[
    str,
    Meta(
        max_length=LONGEST_ORIGIN,
        extra={
            "check": check_origin,
            "expected": "an origin as browsers send it, such as https://app.example",
        },
    ),
]


class Cors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pages of which origins may call models, and read the answers: what browsers ask for before they let a page call
    another origin (CORS). There is no star, and no cookie is ever taken or set."""

    origins: Annotated[
        tuple[Origin, ...],
        Meta(
            max_length=200,
            description="Scheme, host and port of each, exactly as the browser sends them. Without any, no browser "
            "lets a page of another origin call.",
        ),
    ] = ()
    max_age_s: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="How long browsers may remember that they have asked, in seconds; most do so for two hours at "
            "most.",
        ),
    ] = 600
