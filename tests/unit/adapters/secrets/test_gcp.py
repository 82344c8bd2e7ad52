"""`gcp-secret-manager:` against servers that speak Google's API, opened by a service account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from secret_doubles import GoogleDouble
from tollhouse.adapters.secrets.gcp import GcpSecrets
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable
from tollhouse.testing import refused_port

OPENAI = "projects/house-1/secrets/openai"


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(65_537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def google(private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleDouble]:
    with GoogleDouble(openai="sk-google", other="sk-other") as double:
        account = {
            "type": "service_account",
            "project_id": "house-1",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "house@house-1.iam.gserviceaccount.com",
            "token_uri": f"{double.url}/token",
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        yield double


def source(google: GoogleDouble) -> GcpSecrets:
    return GcpSecrets({"CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": google.url + "/"})


def test_newest_version_is_the_secret_unless_one_is_named(google: GoogleDouble) -> None:
    made: SecretSource = source(google)
    assert made.scheme == "gcp-secret-manager"
    assert made.resolve(OPENAI).reveal() == "sk-google"
    assert made.resolve("projects/house-1/secrets/other/versions/7").reveal() == "sk-other"
    paths = [each.path for each in google.asked]
    assert paths == [
        "/token",
        f"/v1/{OPENAI}/versions/latest:access",
        "/v1/projects/house-1/secrets/other/versions/7:access",
    ]
    assert made.caution(OPENAI) is None


@pytest.mark.parametrize(
    ("status", "word", "is_down"),
    [
        (400, "disabled or destroyed", False),
        (403, "secretAccessor", False),
        (404, "no such secret", False),
        (401, "status 401", False),
        (429, "status 429", True),
        (500, "status 500", True),
        (503, "status 503", True),
    ],
)
def test_refusals_and_failures_are_told_apart(
    google: GoogleDouble, status: int, word: str, is_down: bool
) -> None:
    google.states["openai"] = status
    with pytest.raises(SecretUnavailable, match=word) as caught:
        source(google).resolve(OPENAI)
    assert isinstance(caught.value, SecretSourceDown) is is_down


def test_identity_service_that_fails_is_down(google: GoogleDouble) -> None:
    made = source(google)
    with refused_port() as port:
        made._endpoint = f"http://127.0.0.1:{port}"
        with pytest.raises(SecretSourceDown, match="Connection refused"):
            made.resolve(OPENAI)
    google.status = 400
    with pytest.raises(SecretUnavailable, match="RefreshError") as caught:
        source(google).resolve(OPENAI)
    assert not isinstance(caught.value, SecretSourceDown)


def test_secret_that_is_no_text_is_refused(google: GoogleDouble) -> None:
    google.secrets["openai"] = "two\nlines"
    with pytest.raises(SecretUnavailable, match="several lines"):
        source(google).resolve(OPENAI)


def test_process_without_an_identity_is_told_so(
    google: GoogleDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(SecretUnavailable, match="GOOGLE_APPLICATION_CREDENTIALS"):
        source(google).resolve(OPENAI)
