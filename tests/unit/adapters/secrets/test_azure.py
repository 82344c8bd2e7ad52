"""`azure-key-vault:` against a server that speaks the API of key vaults, opened by a managed identity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from secret_doubles import AzureDouble
from tollhouse.adapters.secrets.azure import AzureSecrets
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable
from tollhouse.testing import refused_port


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureDouble]:
    with AzureDouble(openai="sk-azure") as double:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{double.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", AzureDouble.HEADER)
        monkeypatch.setenv("PATH", "/nowhere")  # no developer's login
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        yield double


def source(azure: AzureDouble) -> AzureSecrets:
    """The vault's host is checked, and its address replaced by the double's."""

    def address(host: str) -> str:
        assert host in {"kv-house.vault.azure.net", "kv.vault.azure.cn"}
        return azure.url

    return AzureSecrets(address)


def test_newest_version_is_the_secret_unless_one_is_named(azure: AzureDouble) -> None:
    made: SecretSource = source(azure)
    version = "0123456789abcdef0123456789abcdef"
    assert made.scheme == "azure-key-vault"
    assert made.resolve("kv-house/openai").reveal() == "sk-azure"
    assert made.resolve(f"kv-house/openai/{version}").reveal() == "sk-azure"
    assert [each.path for each in azure.asked if "secrets" in each.path] == [
        "/secrets/openai",
        f"/secrets/openai/{version}",
    ]
    assert azure.asked[0].query["resource"] == ["https://vault.azure.net"]
    assert made.caution("kv-house/openai") is None


def test_vault_of_another_cloud_is_named_by_its_host(azure: AzureDouble) -> None:
    assert source(azure).resolve("kv.vault.azure.cn/openai").reveal() == "sk-azure"
    assert azure.asked[0].query["resource"] == ["https://vault.azure.cn"]


@pytest.mark.parametrize(
    ("status", "word", "is_down"),
    [
        (401, "Key Vault Secrets User", False),
        (403, "Key Vault Secrets User", False),
        (404, "no such secret", False),
        (400, "status 400", False),
        (429, "status 429", True),
        (500, "status 500", True),
    ],
)
def test_refusals_and_failures_are_told_apart(
    azure: AzureDouble, status: int, word: str, is_down: bool
) -> None:
    azure.states["openai"] = status
    with pytest.raises(SecretUnavailable, match=word) as caught:
        source(azure).resolve("kv-house/openai")
    assert isinstance(caught.value, SecretSourceDown) is is_down


def test_vault_that_cannot_be_reached_is_down(azure: AzureDouble) -> None:
    with refused_port() as port:
        with pytest.raises(SecretSourceDown, match="Connection refused"):
            AzureSecrets(lambda _: f"http://127.0.0.1:{port}").resolve("kv-house/openai")


def test_process_without_an_identity_is_told_so(azure: AzureDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "another")
    with pytest.raises(SecretUnavailable, match="Nothing opens Azure"):
        source(azure).resolve("kv-house/openai")
