"""`aws-secrets-manager:` against an emulator of the service, and against servers that fail."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from house import free_port
from secret_doubles import HttpDouble
from tollhouse.adapters.secrets.aws import AwsSecrets
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable
from tollhouse.testing import refused_port

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_EC2_METADATA_DISABLED": "true",
}
REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore reads the environment itself."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """moto's server in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            assert process.poll() is None, "the emulator has ended: pip install 'moto[server]'"
            with contextlib.suppress(URLError), urlopen(f"{url}/moto-api/"):
                break
            assert time.monotonic() < until, "the emulator does not answer"
            time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def secrets(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """What has been put there: ARNs by name."""
    from botocore.session import Session

    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", emulator)
    client = Session().create_client("secretsmanager", region_name=REGION, endpoint_url=emulator)
    texts = {"prod/openai": "sk-aws", "prod/json": '{"key": "sk-member", "port": 5}'}
    arns = {name: client.create_secret(Name=name, SecretString=text)["ARN"] for name, text in texts.items()}
    arns["prod/binary"] = client.create_secret(Name="prod/binary", SecretBinary=b"sk-binary")["ARN"]
    arns["prod/deleted"] = client.create_secret(Name="prod/deleted", SecretString="sk-x")["ARN"]
    client.delete_secret(SecretId="prod/deleted")
    yield arns
    for name in arns:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize(
    ("rest", "value"),
    [("prod/openai", "sk-aws"), ("prod/json#key", "sk-member"), ("prod/binary", "sk-binary")],
)
def test_current_version_is_the_secret(secrets: Mapping[str, str], rest: str, value: str) -> None:
    source: SecretSource = AwsSecrets({"AWS_REGION": REGION})
    assert source.scheme == "aws-secrets-manager"
    assert source.resolve(rest).reveal() == value
    assert source.caution(rest) is None


def test_arn_says_the_region(secrets: Mapping[str, str]) -> None:
    assert AwsSecrets({}).resolve(secrets["prod/openai"]).reveal() == "sk-aws"


@pytest.mark.parametrize(
    ("rest", "word"),
    [
        ("prod/none", "there is none of this name"),
        ("prod/deleted", "marked for deletion"),
        ("prod/openai#key", "not a JSON object"),
        ("prod/json#other", "no text field 'other'"),
        ("prod/json#port", "no text field 'port'"),
    ],
)
def test_what_is_not_there_is_told(secrets: Mapping[str, str], rest: str, word: str) -> None:
    with pytest.raises(SecretUnavailable, match=word) as caught:
        AwsSecrets({"AWS_REGION": REGION}).resolve(rest)
    assert not isinstance(caught.value, SecretSourceDown)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "status", "is_down"),
    [
        ("AccessDeniedException", 400, False),
        ("DecryptionFailure", 400, False),
        ("ExpiredTokenException", 400, False),
        ("ThrottlingException", 400, True),
        ("InternalServiceError", 500, True),
        ("Whatever", 503, True),
    ],
)
def test_refusals_and_failures_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, is_down: bool
) -> None:
    with HttpDouble(lambda _: (status, {"__type": code, "message": "canary in a message"})) as double:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", double.url)
        with pytest.raises(SecretUnavailable, match=code) as caught:
            AwsSecrets({"AWS_REGION": REGION}).resolve("prod/openai")
    assert isinstance(caught.value, SecretSourceDown) is is_down
    assert "canary" not in str(caught.value)


def test_service_that_cannot_be_reached_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_port() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{port}")
        with pytest.raises(SecretSourceDown, match="cannot be reached"):
            AwsSecrets({"AWS_REGION": REGION}).resolve("prod/openai")


def test_process_without_credentials_or_region_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SecretUnavailable, match="NoRegionError"):
        AwsSecrets({}).resolve("prod/openai")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SecretUnavailable, match="NoCredentialsError"):
        AwsSecrets({"AWS_REGION": REGION}).resolve("prod/openai")
