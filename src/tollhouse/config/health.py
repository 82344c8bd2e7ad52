"""How a provider is looked at without a call to a model: the keys of `health_check`, and what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from tollhouse.core.problem import ConfigProblem


class HealthCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look at a provider now and then, so that its deployments are left alone before a caller meets its failure. No
    model is called, and no credential is sent. Two checks in a row that fail count; a single one is repeated after a
    second."""

    path: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^/[!\"$-~]*$",
                max_length=1000,
                extra={
                    "expected": "a path that begins with a slash: visible ASCII, percent-encoded, without a `#`"
                },
            ),
        ]
        | None,
        Meta(
            description="What is asked for by GET at the provider's host, such as `/health`; the path of `base_url` is "
            "not put before it. A status of 200 to 399 is well. Without a path a connection is opened, with TLS where "
            "the URL is https, and closed again."
        ),
    ] = None
    every_s: Annotated[
        float, Meta(ge=1, le=3600, description="How often, in seconds; up to a tenth sooner, by chance.")
    ] = 10.0
    timeout_s: Annotated[
        float,
        Meta(gt=0, le=60, description="How long one check may take, in seconds; not longer than `every_s`."),
    ] = 2.0


def health_problems(path: str, check: HealthCheck | None) -> Iterator[ConfigProblem]:
    """What is wrong with the check of the provider at `path`."""
    if check is not None and check.timeout_s > check.every_s:
        yield ConfigProblem(
            path=f"{path}.health_check.timeout_s",
            message=f"{check.timeout_s:g} is more than `every_s`, which is {check.every_s:g}.",
            hint="The next check would be due before this one is over: lower this or raise `every_s`.",
        )
