"""`vault:PATH#FIELD` against a server that speaks Vault's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from secret_doubles import VaultDouble
from tollhouse.adapters.secrets.vault import VaultSecrets
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable
from tollhouse.testing import refused_port


@pytest.fixture
def vault() -> Iterator[VaultDouble]:
    with VaultDouble(
        secret__house__openai={"key": "sk-vault", "user": "x", "port": 5},
        kv__team__red={"key": "sk-red"},
        secret__gone=None,  # type: ignore[arg-type]
    ) as double:
        yield double


def source(vault: VaultDouble, **variables: str) -> VaultSecrets:
    given = variables or {"VAULT_TOKEN": VaultDouble.TOKEN}
    return VaultSecrets({"VAULT_ADDR": vault.url + "/", **given})


def test_field_of_the_newest_version_is_the_secret(vault: VaultDouble) -> None:
    made: SecretSource = source(vault)
    assert made.scheme == "vault"
    assert made.resolve("secret/house/openai#key").reveal() == "sk-vault"
    assert vault.asked[-1].path == "/v1/secret/data/house/openai"
    assert made.caution("secret/house/openai#key") is None


def test_mount_of_several_segments_is_told_by_the_path_of_the_api(vault: VaultDouble) -> None:
    assert source(vault).resolve("kv/team/data/red#key").reveal() == "sk-red"


def test_new_value_is_seen_at_the_next_look(vault: VaultDouble) -> None:
    made = source(vault)
    assert made.resolve("secret/house/openai#key").reveal() == "sk-vault"
    vault.secrets["secret/house/openai"] = {"key": "sk-rotated"}
    assert made.resolve("secret/house/openai#key").reveal() == "sk-rotated"


def test_namespace_goes_with_every_question(vault: VaultDouble) -> None:
    vault.namespace = "teams/red"
    assert source(vault, VAULT_TOKEN=VaultDouble.TOKEN, VAULT_NAMESPACE="teams/red").resolve(
        "secret/house/openai#key"
    )


# -- logins


def test_approle_logs_in_once_and_again_when_its_token_has_expired(vault: VaultDouble) -> None:
    vault.logins["auth/approle/login"] = {"role_id": "role-1", "secret_id": "s-1"}
    made = source(vault, VAULT_ROLE_ID="role-1", VAULT_SECRET_ID="s-1")
    for _ in range(3):
        assert made.resolve("secret/house/openai#key").reveal() == "sk-vault"
    assert [each.path for each in vault.asked].count("/v1/auth/approle/login") == 1
    vault.tokens.clear()
    assert made.resolve("secret/house/openai#key").reveal() == "sk-vault"
    assert [each.path for each in vault.asked].count("/v1/auth/approle/login") == 2


def test_kubernetes_logs_in_with_the_token_of_the_service_account(vault: VaultDouble, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("eyJ.pod\n")
    vault.logins["auth/cluster/login"] = {"role": "house", "jwt": "eyJ.pod"}
    variables = {
        "VAULT_KUBERNETES_ROLE": "house",
        "VAULT_KUBERNETES_TOKEN_FILE": str(tmp_path / "token"),
        "VAULT_AUTH_MOUNT": "cluster",
    }
    assert source(vault, **variables).resolve("secret/house/openai#key").reveal() == "sk-vault"


# -- refusals, which nobody should go on by an older value for


@pytest.mark.parametrize(
    ("rest", "word"),
    [
        ("secret/none#key", "There is no secret secret/none"),
        ("secret/gone#key", "was deleted"),
        ("secret/house/openai#other", "Its fields: key, port, user"),
        ("secret/house/openai#port", "no text field 'port'"),
    ],
)
def test_what_is_not_there_is_told(vault: VaultDouble, rest: str, word: str) -> None:
    with pytest.raises(SecretUnavailable, match=word) as caught:
        source(vault).resolve(rest)
    assert not isinstance(caught.value, SecretSourceDown)
    assert "sk-vault" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"VAULT_TOKEN": "hvs.wrong"}, "capability `read`"),
        ({"VAULT_ROLE_ID": "role-1", "VAULT_SECRET_ID": "wrong-1"}, "refuses the login by approle"),
        (
            {"VAULT_KUBERNETES_ROLE": "house", "VAULT_KUBERNETES_TOKEN_FILE": "/nowhere"},
            "/nowhere cannot be read",
        ),
        ({"VAULT_CACERT": ""}, "Nothing opens Vault"),
        ({"VAULT_ADDR": ""}, "Nothing opens Vault"),
        ({"VAULT_ADDR": "", "VAULT_TOKEN": "x"}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "http://vault.example.com", "VAULT_TOKEN": "x"}, "must be https"),
        ({"VAULT_ADDR": "ftp://127.0.0.1", "VAULT_TOKEN": "x"}, "not an http or https URL"),
        ({"VAULT_ADDR": "http://[::1", "VAULT_TOKEN": "x"}, "cannot be read"),
    ],
)
def test_what_is_not_set_up_is_told_with_the_cure(
    vault: VaultDouble, variables: dict[str, str], word: str
) -> None:
    with pytest.raises(SecretUnavailable, match=word) as caught:
        source(vault, **variables).resolve("secret/house/openai#key")
    assert not isinstance(caught.value, SecretSourceDown)
    assert "wrong" not in str(caught.value)


# -- outages, for which an older value may stand in


@pytest.mark.parametrize("status", [500, 503, 429, 472])
def test_vault_that_fails_is_down(vault: VaultDouble, status: int) -> None:
    vault.status = status
    with pytest.raises(SecretSourceDown, match=str(status)):
        source(vault).resolve("secret/house/openai#key")


def test_vault_that_fails_at_the_login_is_down(vault: VaultDouble) -> None:
    vault.status = 503
    with pytest.raises(SecretSourceDown, match="login with status 503"):
        source(vault, VAULT_ROLE_ID="role-1").resolve("secret/house/openai#key")


def test_vault_that_cannot_be_reached_is_down() -> None:
    with refused_port() as port:
        made = VaultSecrets({"VAULT_ADDR": f"http://127.0.0.1:{port}", "VAULT_TOKEN": "hvs.secret"})
        with pytest.raises(SecretSourceDown, match="Connection refused") as caught:
            made.resolve("secret/x#y")
    assert "hvs.secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 1}', b"x" * 2_000_000])
def test_answer_that_is_none_of_vault_is_refused(vault: VaultDouble, body: bytes) -> None:
    vault._answer = lambda _: (200, body)
    with pytest.raises(SecretUnavailable, match=r"version 2|more than 1048576 bytes"):
        source(vault).resolve("secret/house/openai#key")


def test_redirect_is_not_followed(vault: VaultDouble) -> None:
    vault._answer = lambda _: (307, {})
    with pytest.raises(SecretSourceDown, match="307"):
        source(vault).resolve("secret/house/openai#key")


def test_secrets_that_travel_in_clear_are_warned_of() -> None:
    assert "Use https" in (VaultSecrets({"VAULT_ADDR": "http://vault:8200"}).caution("x#y") or "")
