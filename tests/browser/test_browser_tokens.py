"""The example's page in a real browser: it calls a model, holds no key, and can do no more than its token says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from browser.conftest import MASTER_KEY
from browser.site_in_browser import Sight, Site, ask, post, running_site
from house import House, free_port
from tollhouse.core.client_token import ClientToken, ClientTokenSigner
from tollhouse.core.master_key import Purpose, parse_master_keys
from tollhouse.testing import CanaryScanner

pytestmark = [pytest.mark.slow, pytest.mark.browser]

Stage = tuple[House, int]
Seen = tuple[Page, Sight]


@pytest.fixture(scope="module")
def key(stage: Stage) -> dict[str, str]:
    return stage[0].new_key_with_id("mock-chat", name="back end")


@pytest.fixture(scope="module")
def site(stage: Stage, key: dict[str, str]) -> Iterator[Site]:
    with running_site(stage[0], key["key"], stage[1]) as site:
        yield site


def test_page_calls_a_model_and_shows_the_answer_as_it_streams(site: Site, seen: Seen) -> None:
    page, sight = seen
    page.add_init_script(
        "new MutationObserver(() => { const at = document.getElementById('answer');"
        " if (at) (window.lengths ??= []).push(at.textContent.length) })"
        ".observe(document, {subtree: true, childList: true, characterData: true})"
    )
    answer = ask(page, site)
    assert len(answer) > 10, answer
    lengths = page.evaluate("window.lengths.filter((n, i, all) => n && n !== all[i - 1])")
    assert len(lengths) > 2, "it grew piece by piece"
    assert lengths == sorted(lengths)
    (head,) = [headers for status, headers in sight.heads("/v1/chat/completions") if status == 200]
    assert head["access-control-allow-origin"] == site.url
    assert head["content-type"].startswith("text/event-stream")


def test_virtual_key_is_in_nothing_that_the_browser_ever_sees(
    stage: Stage, site: Site, seen: Seen, key: dict[str, str]
) -> None:
    page, sight = seen
    ask(page, site)
    everything = sight.everything(page).encode()
    token = page.evaluate("token.token").encode()
    assert CanaryScanner({"token": token}).scan(everything), "what is looked through is what the browser sees"
    assert CanaryScanner({"virtual key": key["key"], "master key": MASTER_KEY}).scan(everything) == []
    assert b"set-cookie" not in everything.lower()
    log = stage[0].log.read_bytes()
    assert CanaryScanner({"token": token, "virtual key": key["key"]}).scan(log) == []


def test_page_of_another_origin_is_refused(stage: Stage, key: dict[str, str], seen: Seen) -> None:
    """Its back end is good and its token names its page: the house does not take calls from there."""
    page, sight = seen
    with running_site(stage[0], key["key"], free_port()) as other:
        assert "Failed to fetch" in ask(page, other)
    assert [row for row in sight.heads("/v1/chat/completions") if row[0] == 200] == []
    assert any("CORS" in line for line in sight.console)


def test_token_that_another_page_has_got_hold_of_is_refused(stage: Stage, site: Site, seen: Seen) -> None:
    page, _ = seen
    ask(page, site)
    token = page.evaluate("token.token")
    body = json.dumps(
        {"model": "mock-chat", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    )
    url = f"{stage[0].url}/v1/chat/completions"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    for origin in ({}, {"origin": "https://evil.example"}):
        status, answer = post(url, headers | origin, body.encode())
        assert (status, json.loads(answer)["error"]["code"]) == (403, "forbidden")
    assert post(url, headers | {"origin": site.url}, body.encode())[0] == 200


def test_expired_token_is_refused_and_the_page_can_read_why(
    site: Site, seen: Seen, key: dict[str, str]
) -> None:
    page, sight = seen
    ask(page, site)
    minted = page.evaluate("token")
    signer = ClientTokenSigner(parse_master_keys(MASTER_KEY).derive(Purpose.BROWSER_TOKENS))
    good = signer.read(minted["token"].encode())
    assert good.key_id == key["id"]
    expired = ClientToken(
        id="ct_expired", key_id=good.key_id, routes=good.routes, origins=good.origins,
        expires_at=int(time.time()) - 1,
    )  # fmt: skip
    document = json.dumps(minted | {"token": signer.sign(expired)})
    page.route("**/token", lambda route: route.fulfill(body=document, content_type="application/json"))
    answer = ask(page, site)
    assert "This browser token has expired" in answer
    assert "(key_expired)" in answer
    assert [status for status, _ in sight.heads("/v1/chat/completions")][-2:] == [401, 401]


def test_page_goes_on_with_a_new_token_when_the_one_before_has_expired(site: Site, seen: Seen) -> None:
    page, sight = seen
    ask(page, site)
    page.evaluate("token = {...token, token: token.token.slice(0, -3)}")
    assert "(unauthenticated)" in ask(page, site, goes=False), "what was never good is not asked for again"
    page.evaluate("token = null")
    assert len(ask(page, site, goes=False)) > 10
    assert len([head for head in sight.heads("/token") if head[0] == 200]) == 2


def test_limit_on_calls_stops_the_page(site: Site, seen: Seen) -> None:
    page, sight = seen
    assert len(ask(page, site)) > 10
    for _ in range(4):
        ask(page, site, goes=False)
    refusal = ask(page, site, goes=False)
    assert "is good for 5 calls and has 0 left" in refusal
    assert "(budget_exceeded)" in refusal
    statuses = [status for status, _ in sight.heads("/v1/chat/completions")]
    assert [status for status in statuses if status != 204] == [200] * 5 + [429]


def test_limit_on_money_stops_the_page(stage: Stage, site: Site, seen: Seen) -> None:
    house, _ = stage
    key = house.new_key("mock-chat", name="poor")
    page, _ = seen
    with running_site(house, key, free_port(), origins=[site.url], max_usd=0.000_000_1) as poor:
        minted = json.loads(post(f"{poor.url}/token", {"origin": poor.url})[1])
    document = json.dumps(minted)
    page.route("**/token", lambda route: route.fulfill(body=document, content_type="application/json"))
    refusal = ask(page, site)
    assert "The budget of client token" in refusal
    assert "(budget_exceeded)" in refusal


def test_key_that_is_revoked_ends_the_page_when_the_command_returns(
    stage: Stage, site: Site, seen: Seen
) -> None:
    house, _ = stage
    made = house.new_key_with_id("mock-chat", name="leaver")
    page, _ = seen
    with running_site(house, made["key"], free_port(), origins=[site.url], max_calls=1_000) as leaver:
        minted = json.loads(post(f"{leaver.url}/token", {"origin": leaver.url})[1])
    document = json.dumps(minted)
    page.route("**/token", lambda route: route.fulfill(body=document, content_type="application/json"))
    assert len(ask(page, site)) > 10
    house.run("keys", "revoke", made["id"])
    assert "has been revoked" in ask(page, site, goes=False)
