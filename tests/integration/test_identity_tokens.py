"""Tokens of an identity provider at the doors of a real house: let in, kept apart, and over whatever becomes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from oidc_provider import AUDIENCE, OidcProvider
from tollhouse.testing import ScriptedUpstream

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as provider:
        yield provider


def jwt(provider: OidcProvider, **more: Any) -> dict[str, Any]:
    """The issuer's part of a configuration."""
    written = {"issuer": provider.issuer, "audience": [AUDIENCE], "routes": ["gpt"], **more}
    return {"jwt": {"ci": written}}


def until(is_so: Callable[[], bool], patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def status(house: House, token: str, **body: Any) -> int:
    return house.chat(token, **body)[0]


def until_let_in(house: House, token: str) -> None:
    until(lambda: status(house, token) == 200)


def code_of(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[2])["error"]["code"]


def test_token_lets_its_subject_in_as_the_configuration_says(
    provider: OidcProvider, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    identity = jwt(
        provider,
        claims={"team": "org.team", "tags": "groups", "name": "email"},
        limits={"requests_per_minute": 2},
    )
    with running_house(tmp_path, config_text(upstream.base_url, identity=identity)) as house:
        said = {"org": {"team": "search"}, "groups": "nightly", "email": "build@example.org"}
        token = provider.mint(sub="build-7", **said)
        until_let_in(house, token)
        assert all(token not in value for value in upstream.received[-1].headers.values())
        # Of each subject its own two a minute, whatever token it shows.
        assert status(house, provider.mint(sub="build-7", jti="2", **said)) == 200
        assert code_of(house.chat(provider.mint(sub="build-7", jti="3", **said))) == (429, "rate_limited")
        assert status(house, provider.mint(sub="build-8", header={"alg": "ES256"}, **said)) == 200
        assert code_of(house.chat(token, model="embed")) == (403, "forbidden")
        shown = json.loads(house.call("GET", "/v1/key", headers={"authorization": f"Bearer {token}"})[2])
        assert (shown["id"], shown["name"], shown["team"]) == (
            "jwt:ci:build-7",
            "build@example.org",
            "search",
        )
        until(lambda: {row["key_id"] for row in house.book()} >= {"jwt:ci:build-7", "jwt:ci:build-8"})
        assert {row["team"] for row in house.book() if row["status"] == 200} == {"search"}


def test_nobody_elses_token_and_no_forged_one_lets_in(
    provider: OidcProvider, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    identity = jwt(provider, require={"repository_owner": "us"})
    with (
        running_house(tmp_path, config_text(upstream.base_url, identity=identity)) as house,
        OidcProvider() as other,
    ):
        good = provider.mint(repository_owner="us")
        until_let_in(house, good)
        asked = provider.asked("/jwks")
        head, claims, signature = good.split(".")
        refused = [
            other.mint(repository_owner="us"),
            other.mint(iss=provider.issuer, repository_owner="us"),
            other.mint(iss=provider.issuer, repository_owner="us", header={"jku": other.issuer + "/jwks"}),
            provider.mint(repository_owner="them"),
            provider.mint(aud="another", repository_owner="us"),
            provider.mint(exp=int(time.time()) - 61, repository_owner="us"),
            f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
            f"{head}.{provider.mint(sub='root', repository_owner='us').split('.')[1]}.{signature}",
        ]
        for token in refused:
            assert code_of(house.chat(token)) == (401, "unauthenticated")
        # However many come with keys that nobody knows: the provider is not asked for each.
        for number in range(50):
            token = provider.mint(repository_owner="us", header={"kid": f"unknown-{number}"})
            assert house.chat(token)[0] in (401, 503)
        assert provider.asked("/jwks") <= asked + 1
        assert other.asked("/jwks") == 0
        assert status(house, good) == 200


@pytest.mark.parametrize("fault", ["down", "huge", "text", "slow"])
def test_house_serves_keys_while_the_providers_keys_cannot_be_had_and_tokens_when_they_can(
    provider: OidcProvider, upstream: ScriptedUpstream, tmp_path: Path, fault: str
) -> None:
    provider.faults({"/jwks": fault})
    with running_house(tmp_path, config_text(upstream.base_url, identity=jwt(provider))) as house:
        token = provider.mint()
        assert code_of(house.chat(token)) == (503, "auth_unavailable")
        assert status(house, house.new_key("gpt")) == 200
        until(lambda: any(event["event"] == "issuer_keys_unavailable" for event in house.events()))
        provider.faults({})
        until_let_in(house, token)


def test_tokens_open_on_when_the_provider_is_gone(
    provider: OidcProvider, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    with running_house(tmp_path, config_text(upstream.base_url, identity=jwt(provider))) as house:
        known, fresh = provider.mint(sub="known"), provider.mint(sub="fresh")
        until_let_in(house, known)
        provider.stop()
        assert status(house, known) == 200
        assert status(house, fresh) == 200


def test_reload_brings_an_issuer_and_takes_it_away(
    provider: OidcProvider, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    with running_house(tmp_path, config_text(upstream.base_url)) as house:
        token = provider.mint()
        assert code_of(house.chat(token))[0] == 401
        house.config.write_text(config_text(upstream.base_url, identity=jwt(provider)))
        house.run("reload")
        until_let_in(house, token)
        house.config.write_text(config_text(upstream.base_url))
        house.run("reload")
        assert code_of(house.chat(token)) == (401, "unauthenticated")
