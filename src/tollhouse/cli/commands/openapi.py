"""`tollhouse openapi`: the admin API, described."""

from __future__ import annotations

from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document


def openapi() -> int:
    """Print the OpenAPI 3.1 document of the admin API, the same as GET /admin/v1/openapi.json."""
    from tollhouse.surface.admin.openapi import openapi as describe  # noqa: PLC0415

    document(describe())
    return ExitStatus.DONE
