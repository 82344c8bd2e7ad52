"""Bedrock's Converse API, `POST /model/{modelId}/converse` and `/model/{modelId}/converse-stream`.

Source: Amazon Bedrock's API reference, https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
in the words of the service model bedrock-runtime 2023-09-30 of botocore 1.44.8, read 2026-11-25.
"""

from __future__ import annotations

from .dialect import ConverseDialect

DIALECT = ConverseDialect()
