"""Those who are not let in: whatever key they show, however they spell a path, whatever a value looks like."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from admin.people import PATHS, ROOT, Town, town
from tollhouse.core.admin_keys import admin_key_text
from tollhouse.core.authority import Action


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as opened:
        for name in opened.keys:
            # What others do at the same address keeps nobody out who has been in.
            assert opened.do(Action.ME_GET, name)[0] == 200
        yield opened


@pytest.mark.parametrize("action", list(Action))
def test_nobody_is_let_in_by_anything_but_an_admin_key(live: Town, action: Action) -> None:
    method, path = PATHS[action]
    virtual = live.make("keys", name="k", routes=["*"])["key"]
    unknown = admin_key_text(b"q" * 32) if action is Action.KEYS_LIST else None
    for key in (None, "", virtual, ROOT[:-1], ROOT + "x", live.keys["owner"][:-1], unknown):
        status, _, document = live.call(method, path.replace("{id}", "main"), key, {})
        # An address that was wrong too often is not listened to for a while.
        assert (status, document["error"]["code"]) in ((401, "unauthenticated"), (429, "rate_limited"))


# -- paths and hosts that are spelled in other ways


def tricks() -> list[tuple[str, dict[str, str]]]:
    """Paths and headers that mean a protected path to somebody who does not read letter by letter."""
    bare = ["keys", "teams", "users", "audit", "config", "config/reload", "admin-keys", "pauses", "me"]
    spelled = []
    for name in bare:
        path = f"/admin/v1/{name}"
        spelled += [
            "/" + path, path + "/", path + "//", path + "/.", path + "/..", path.replace("/v1", "/./v1"),
            path.replace("/v1", "/x/../v1"), path.replace("/v1/", "/v1//"), path.replace("a", "%61"),
            path.replace("/", "%2f"), path.replace("admin", "ADMIN"), path + ";x=1", path + "%00", path + "%20",
            path + "%2e", "/v1/..;/admin/v1/" + name, "/v1/%2e%2e/admin/v1/" + name, "/v1/../admin/v1/" + name,
            "/v1/chat/..%2f..%2fadmin/v1/" + name, path.replace("/", "\\"), "/healthz/.." + path,
            "/healthz;" + path, "/readyz%2f.." + path, path + "#x", path + "?/healthz", "/metrics/.." + path,
            "/passthrough/up/../.." + path, "http://127.0.0.1" + path, "http://admin@127.0.0.1" + path,
        ]  # fmt: skip
    found = [(path, {}) for path in spelled]
    hosts = [
        "a/?x=",
        "h/#",
        "127.0.0.1/healthz?",
        "localhost:1/readyz#",
        "127.0.0.1.",
        "[::1]",
        "metrics",
        "",
        "x" * 200,
    ]
    for name in bare:
        path = f"/admin/v1/{name}"
        found += [(path, {"host": host}) for host in hosts]
        found += [
            (path, {header: value})
            for header in (
                "x-original-url",
                "x-rewrite-url",
                "x-forwarded-prefix",
                "x-forwarded-path",
                "x-http-method-override",
            )
            for value in ("/healthz", path)
        ]
        found += [
            (path, {"x-forwarded-for": "127.0.0.1"}), (path, {"forwarded": "for=127.0.0.1"}),
            (path, {"x-admin": "true"}), (path, {"x-real-ip": "127.0.0.1"}), (path, {"cookie": f"key={ROOT}"}),
            (path, {"x-api-key": ROOT}), (path, {"authorization": f"Basic {ROOT}"}),
            (path, {"proxy-authorization": f"Bearer {ROOT}"}), (path, {"authorization": "Bearer \t"}),
            (f"{path}?key={ROOT}", {}), (f"{path}?access_token={ROOT}", {}),
        ]  # fmt: skip
    return found


def test_nothing_that_is_spelled_in_another_way_gets_past_the_door(live: Town) -> None:
    """Without a key, and with one that may not: 500 spellings, and none is answered with anything but a refusal."""
    attempts = tricks()
    assert len(attempts) >= 500
    before = live.call("GET", "/admin/v1/audit?limit=1", ROOT)[2]["items"][0]["number"]
    through = []
    for path, headers in attempts:
        for method in ("GET", "POST"):
            status, text = raw(live, method, path, headers)
            is_open = path.partition("?")[0] in ("/healthz", "/readyz")
            if status < 400 and not is_open:
                through.append((method, path, headers, status, text[:80]))
    assert through == []
    after = live.call("GET", "/admin/v1/audit?limit=1", ROOT)[2]["items"][0]["number"]
    assert after == before, "nothing was written"


def test_member_gets_no_further_by_spelling_a_path_in_another_way(live: Town) -> None:
    shown = {"authorization": f"Bearer {live.keys['member']}"}
    through = []
    for path, headers in tricks():
        if "audit" in path or "pauses" in path or "config" in path:
            status, text = raw(live, "GET", path, shown | headers)
            if status < 400:
                through.append((path, headers, text[:80]))
    assert through == []


def raw(live: Town, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """A request as it stands; a connection that is closed on us is a refusal."""
    host, _, port = live.house.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"host": "localhost"} | headers).items():
            connection.putheader(name, value)
        connection.putheader("content-length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (http.client.HTTPException, ConnectionError):
        return 400, ""
    finally:
        connection.close()


# -- texts that want to be statements

STATEMENTS = [
    "' OR '1'='1", "'; DROP TABLE keys; --", '" OR ""="', "1; SELECT pg_sleep(10)", "' UNION SELECT digest FROM keys",
    "%' OR 1=1 --", "\\'; --", "$ne", '{"$gt": ""}', "key_1' AND (SELECT 1 FROM (SELECT SLEEP(10))x)='1", "*", "%", "_",
    "0x27", "admin'--", "');DELETE FROM audit;--", "\u02bc OR 1=1", "ʼ", "'" * 100,
]  # fmt: skip


@pytest.mark.parametrize("text", STATEMENTS)
def test_statement_in_a_value_is_a_value(live: Town, text: str) -> None:
    count = len(live.call("GET", "/admin/v1/keys?limit=500", ROOT)[2]["items"])
    for name in ("team", "project", "account", "name", "after", "limit", "sort", text[:50]):
        status, _, document = live.call("GET", f"/admin/v1/keys?{quote(name)}={quote(text)}", ROOT)
        assert status in (200, 400), (name, document)
        if status == 200 and name != "after":
            assert document["items"] == []
    status, _, document = live.call("GET", f"/admin/v1/keys/{quote(text, safe='')}", ROOT)
    assert status == 404
    status, _, made = live.call("POST", "/admin/v1/keys", ROOT, {"name": text, "metadata": {"x": text}})
    assert (status, made["name"], made["metadata"]) == (201, text, {"x": text})
    status, _, _ = live.call(
        "PATCH", f"/admin/v1/keys/{made['id']}", ROOT, {"name": text}, **{"if-match": "'; --"}
    )
    assert status == 412
    assert len(live.call("GET", "/admin/v1/keys?limit=500", ROOT)[2]["items"]) == count + 1
    live.call("GET", "/admin/v1/keys", text.encode("ascii", "replace").decode())
    assert live.call("GET", "/admin/v1/audit/verify", ROOT)[2]["is_whole"]
