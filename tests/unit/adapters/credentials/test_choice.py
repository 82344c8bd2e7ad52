"""Which secrets open which providers how."""

from __future__ import annotations

import subprocess
import sys

import pytest

from contract.transport.rig import Bench, Rig
from tollhouse.adapters.credentials import EntraOpener, GoogleServiceAccountOpener, SigV4Opener, opener_for
from tollhouse.adapters.system import SystemClock
from tollhouse.core.secret import Secret
from tollhouse.plugins import load_plugins
from tollhouse.ports.provider import AuthScheme
from tollhouse.ports.transport import Credential, Origin

ORIGIN = Origin("https", "api.example", 443)
CLIENT = '{"tenant_id": "t", "client_id": "c", "client_secret": "s"}'
ACCOUNT = '{"type": "service_account", "client_email": "a@b", "private_key": "k"}'
PROVIDERS = load_plugins().providers

CASES = [
    ("openai", "sk-1", ("authorization", "Bearer sk-1")),
    ("anthropic", "sk-ant-1", ("x-api-key", "sk-ant-1")),
    ("azure_openai", "key", ("api-key", "key")),
    ("azure_openai", f"\n{CLIENT}\n", EntraOpener),
    ("bedrock", "ABSKQmVkcm9jaw==", ("authorization", "Bearer ABSKQmVkcm9jaw==")),
    ("bedrock", "AKID:secret", SigV4Opener),
    ("bedrock", "AKID:secret:token", SigV4Opener),
    ("bedrock_anthropic", "AKID:secret", SigV4Opener),
    ("vertex", "ya29.token", ("authorization", "Bearer ya29.token")),
    ("vertex", ACCOUNT, GoogleServiceAccountOpener),
    ("vertex_anthropic", ACCOUNT, GoogleServiceAccountOpener),
]


@pytest.mark.parametrize(("kind", "secret", "expected"), CASES)
def test_provider_is_opened_as_the_form_of_its_secret_says(
    kind: str, secret: str, expected: type | tuple[str, str]
) -> None:
    async def scenario(bench: Bench) -> None:
        auth = PROVIDERS[kind].auth
        settings = {"region": "eu-west-1"}
        made = opener_for(auth, Secret(secret), ORIGIN, settings, bench.transport, SystemClock())
        assert made.origin == ORIGIN
        if isinstance(expected, tuple):
            assert isinstance(made, Credential)
            assert (made.header.decode(), made.value.reveal()) == expected
        else:
            assert isinstance(made, expected)
        bench.transport.bind(ORIGIN, made)

    Rig("http1-asyncio").run(scenario)


def test_every_scheme_is_used_by_a_provider_and_tried_here() -> None:
    tried = {PROVIDERS[kind].auth.scheme for kind, _, _ in CASES}
    assert tried == set(AuthScheme) == {provider.auth.scheme for provider in PROVIDERS.values()}


def test_cryptography_is_not_loaded_before_it_is_needed() -> None:
    program = "import sys, tollhouse.adapters.credentials; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
