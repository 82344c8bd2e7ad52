"""People who come by single sign-on, from the command line through a real provider into a real house; nobody else."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from oidc_provider import CLIENT, OidcProvider
from tollhouse.core.sign_on import nonce_of

pytestmark = pytest.mark.slow


SECRET = "s" * 43
CALLERS = itertools.count(1)
ROOT = "the-first-owners-own-key-4711"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def house(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    oidc = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "allowed_domains": ["example.org"],
        "roles": [
            {"group": "platform", "role": "auditor"},
            {"group": "search", "role": "team_admin", "team": "search"},
        ],
    }
    # Each call here comes from another address: nobody is turned away because others have been wrong so often.
    server = {"listen": "127.0.0.1:0", "drain_s": 5, "trusted_proxies": ["127.0.0.1/32"]}
    config = config_text(
        "http://127.0.0.1:9/v1", server=server, identity={"oidc": oidc}, teams={"search": {}}
    )
    with running_house(tmp_path_factory.mktemp("house"), config, {"TOLLHOUSE_ADMIN_KEY": ROOT}) as house:
        end = time.monotonic() + 20
        while come_in(house, provider.mint(aud="x"))[1]["error"]["code"] == "auth_unavailable":
            assert time.monotonic() < end
            time.sleep(0.05)
        yield house


@pytest.fixture(autouse=True)
def sound(provider: OidcProvider) -> Iterator[None]:
    yield
    provider.faults({})
    provider.is_who(
        sub="alice-1", email="alice@example.org", email_verified=True, name="Alice", groups=["platform"]
    )


def call(house: House, method: str, path: str, text: str, **headers: str) -> tuple[int, Any]:
    caller = f"2001:db8::{next(CALLERS):x}"
    shown = {"authorization": f"Bearer {text}", "x-forwarded-for": caller, **headers}
    status, _, body = house.call(method, path, None, shown)
    return status, json.loads(body)


def come_in(house: House, token: str, secret: str = SECRET) -> tuple[int, Any]:
    return call(house, "POST", "/admin/v1/session", token, **{"x-tollhouse-nonce": secret})


def word(provider: OidcProvider, secret: str, **more: Any) -> str:
    """What a sound provider says of Alice to whoever has this secret."""
    said = {
        "aud": CLIENT, "sub": "alice-1", "email": "alice@example.org", "email_verified": True,
        "groups": ["platform"], "nonce": nonce_of(secret), **more,
    }  # fmt: skip
    return provider.mint(**said)


class Terminal:
    """Somebody at a command line, with a browser beside it."""

    def __init__(self, house: House, home: Path) -> None:
        self.house = house
        self.file = home / "tollhouse" / "session.json"
        self.env = {**house.env, "XDG_STATE_HOME": str(home)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tollhouse", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.env, timeout=60)

    @contextlib.contextmanager
    def logging_in(self, wait_s: float = 20.0) -> Iterator[tuple[subprocess.Popen[str], str]]:
        command = [
            sys.executable, "-u", "-m", "tollhouse", "login", "--config", str(self.house.config), "--house",
            self.house.url, "--no-browser", "--wait-s", str(wait_s),
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env
        ) as process:
            assert process.stdout is not None
            try:
                yield process, process.stdout.readline().strip()
            finally:
                process.kill()

    def log_in(self, wait_s: float = 20.0) -> tuple[int, str]:
        """With a browser that follows wherever it is sent; the exit status, and what was said."""
        with self.logging_in(wait_s) as (process, address):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(address, timeout=10).close()
            out, err = process.communicate(timeout=60)
            return process.returncode, out + err


@pytest.fixture
def terminal(house: House, tmp_path: Path) -> Terminal:
    return Terminal(house, tmp_path)


def test_person_logs_in_is_known_and_logs_out(terminal: Terminal, house: House) -> None:
    status, said = terminal.log_in()
    assert status == 0, said
    assert "Logged in" in said
    assert stat.S_IMODE(os.stat(terminal.file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(terminal.file.parent).st_mode) == 0o700
    me = json.loads(terminal.run("whoami", "--json").stdout)
    assert (me["name"], me["roles"]) == ("Alice", [{"role": "auditor", "team": None}])
    assert "auditor" in terminal.run("whoami").stdout
    session = json.loads(terminal.file.read_text())["session"]
    assert call(house, "GET", "/admin/v1/audit", session)[0] == 200
    assert call(house, "POST", "/admin/v1/teams", session)[0] == 403
    assert call(house, "GET", "/v1/models", session)[0] == 401, "a session opens no door of models"
    assert terminal.run("logout").returncode == 0
    assert not terminal.file.exists()
    assert call(house, "GET", "/admin/v1/me", session)[1]["error"]["code"] == "unauthenticated"
    assert "not logged in" in terminal.run("whoami").stderr
    rows = call(house, "GET", "/admin/v1/audit?limit=20", ROOT)[1]["items"]
    assert {"sessions.create", "sessions.end"} <= {row["action"] for row in rows}
    assert session not in json.dumps(rows)


def test_same_person_is_the_same_account_whatever_the_address_is_now(
    house: House, provider: OidcProvider
) -> None:
    one = come_in(house, word(provider, "a" * 43, sub="carol-1", email="carol@example.org"), "a" * 43)[1]
    two = come_in(house, word(provider, "b" * 43, sub="carol-1", email="Carol.New@Example.org"), "b" * 43)[1]
    assert one["account"] == two["account"]
    # Her old address is given to somebody else, who does not become her for that.
    other = word(provider, "c" * 43, sub="carol-2", email="carol@example.org")
    status, document = come_in(house, other, "c" * 43)
    assert (status, document["error"]["code"]) == (401, "unauthenticated")


def test_groups_are_roles_for_as_long_as_the_session(house: House, provider: OidcProvider) -> None:
    said = word(provider, "d" * 43, sub="dave", email="dave@example.org", groups=["search", "other"])
    session = come_in(house, said, "d" * 43)[1]["session"]
    assert call(house, "GET", "/admin/v1/me", session)[1]["roles"] == [
        {"role": "team_admin", "team": "search"}
    ]
    nobody = word(provider, "e" * 43, sub="dave", email="dave@example.org", groups=[])
    assert come_in(house, nobody, "e" * 43)[0] == 403


def test_disabled_person_is_let_in_no_more_and_the_session_opens_nothing(
    house: House, provider: OidcProvider
) -> None:
    said = word(provider, "f" * 43, sub="eve", email="eve@example.org")
    made = come_in(house, said, "f" * 43)[1]
    assert call(house, "GET", "/admin/v1/me", made["session"])[0] == 200
    assert call(house, "POST", f"/admin/v1/users/{made['account']}/disable", ROOT)[0] == 200
    assert call(house, "GET", "/admin/v1/me", made["session"])[0] == 401
    assert come_in(house, word(provider, "g" * 43, sub="eve", email="eve@example.org"), "g" * 43)[0] == 401


# -- A07: nobody comes in by any of these


def test_word_is_good_for_one_session(house: House, provider: OidcProvider) -> None:
    said = word(provider, "h" * 43, sub="fred", email="fred@example.org")
    assert come_in(house, said, "h" * 43)[0] == 201
    assert come_in(house, said, "h" * 43)[0] == 401
    again = word(provider, "h" * 43, sub="fred", email="fred@example.org", jti="another")
    assert come_in(house, again, "h" * 43)[0] == 401, "the nonce has been used"


WRONG: dict[str, dict[str, Any]] = {
    "email is not verified": {"email_verified": False},
    "email is verified in words": {"email_verified": "true"},
    "nobody says whether": {"email_verified": None},
    "another domain": {"email": "alice@example.com"},
    "a domain below ours": {"email": "alice@mail.example.org"},
    "a domain that ends like ours": {"email": "alice@evil-example.org"},
    "two addresses": {"email": "alice@example.com@example.org"},
    "a list of addresses": {"email": ["alice@example.org"]},
    "address with a line break": {"email": "alice@example.org\n"},
    "no address": {"email": None},
    "another program's word": {"aud": "another"},
    "a word for several": {"aud": [CLIENT, "another"]},
    "a word given to another": {"azp": "another"},
    "an access token for the gateway": {"aud": "tollhouse"},
    "another provider": {"iss": "https://idp.example.com"},
    "no nonce": {"nonce": None},
    "another nonce": {"nonce": nonce_of("x" * 43)},
    "the secret itself": {"nonce": SECRET},
    "expired": {"exp": 1_700_000_000},
    "an hour old": {"iat": int(time.time()) - 3_600},
    "no subject": {"sub": None},
}


@pytest.mark.parametrize("name", WRONG)
def test_word_that_is_wrong_lets_nobody_in(house: House, provider: OidcProvider, name: str) -> None:
    status, document = come_in(house, word(provider, SECRET, **WRONG[name]))
    assert (status, document["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("secret", ["", "short", "s" * 42, "s" * 100, "é" * 43])
def test_stolen_word_without_its_secret_lets_nobody_in(
    house: House, provider: OidcProvider, secret: str
) -> None:
    said = word(provider, secret)
    with contextlib.suppress(UnicodeEncodeError):
        assert come_in(house, said, secret)[0] in (400, 401)


def test_word_opens_nothing_but_the_door_of_sessions(house: House, provider: OidcProvider) -> None:
    said = word(provider, SECRET)
    for method, path in (("GET", "/admin/v1/me"), ("GET", "/admin/v1/session"), ("GET", "/v1/models")):
        assert call(house, method, path, said)[0] == 401


FAULTS: dict[str, dict[str, Any]] = {
    "another state": {"state": "x" * 43},
    "no state": {"state": ""},
    "answer of another provider": {"answer_iss": "https://evil.example"},
    "a code of somebody else's": {"code": "stolen"},
    "the person says no": {"refuse": True},
    "discovery of another issuer": {"issuer": "https://evil.example"},
    "provider is down": {"/.well-known/openid-configuration": "down"},
    "address is not verified": {"claims": {"email_verified": False}},
    "nonce of another sign-on": {"claims": {"nonce": "reused"}},
}


@pytest.mark.parametrize("name", FAULTS)
def test_login_fails_whatever_is_wrong_with_the_provider(
    terminal: Terminal, provider: OidcProvider, name: str
) -> None:
    provider.faults(FAULTS[name])
    with terminal.logging_in(wait_s=2.0) as (process, address):
        if address:
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(address, timeout=10).close()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert said.startswith("tollhouse: ")
    assert not terminal.file.exists()


def test_loopback_sends_nobody_on_and_takes_one_answer_only(terminal: Terminal) -> None:
    with terminal.logging_in() as (process, address):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert asked["code_challenge_method"] == "S256"
        back = asked["redirect_uri"]
        assert back.startswith("http://127.0.0.1:")
        for wrong in (
            "?code=x&state=guessed",
            "?code=x",
            f"?code=x&code=y&state={asked['state']}",
            f"/../?code=x&state={asked['state']}",
            "?returnTo=https://evil.example&next=//evil.example",
        ):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(back + wrong, timeout=10)
            assert (caught.value.code, caught.value.headers["location"]) == (400, None)
            caught.value.close()
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.url.startswith(back), "the answer's own page, and no other"
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert terminal.file.exists()
