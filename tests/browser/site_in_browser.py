"""An application with a page, and everything that a browser sees of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request

from house import House

ROOT = Path(__file__).parents[2]


class Site:
    """An application: its back end as a process, and where its page is."""

    def __init__(self, url: str) -> None:
        self.url = url


@contextmanager
def running_site(house: House, key: str, port: int, **wish: Any) -> Iterator[Site]:
    """The example's own back end. `wish` is what its tokens are good for besides what it says itself."""
    origin = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "TOLLHOUSE_URL": house.url, "TOLLHOUSE_KEY": key, "PORT": str(port), "TOKEN_WISH": json.dumps(wish),
    }  # fmt: skip
    with (house.folder / f"site-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "examples/browser/backend.py")],
            env=environment, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        assert origin.encode() in process.stdout.readline()
        yield Site(origin)
    finally:
        process.terminate()
        process.communicate(timeout=10)


class Sight:
    """Everything that a browser has seen: every request and answer with heads and bodies, and what pages hold."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._requests: list[Request] = []
        self.console: list[str] = []
        context.on("request", self._note_request)
        context.on("console", lambda message: self.console.append(message.text))

    def _note_request(self, request: Request) -> None:
        self._requests.append(request)

    def everything(self, page: Page) -> str:
        parts = [*self.console, page.content(), json.dumps(self._context.cookies())]
        parts.append(page.evaluate(_HELD))
        for request in self._requests:
            parts += [request.method, request.url, json.dumps(request.all_headers()), request.post_data or ""]
            answer = request.response()
            if answer is not None:
                parts += [str(answer.status), json.dumps(answer.all_headers())]
                with suppress(Exception):  # a redirect or a 204 has no body to be had
                    parts.append(answer.text())
        return "\n".join(parts)

    def heads(self, part_of_url: str) -> list[tuple[int, dict[str, str]]]:
        """Status and headers of the answers from there."""
        found = [request.response() for request in self._requests if part_of_url in request.url]
        return [(answer.status, answer.all_headers()) for answer in found if answer is not None]


_HELD = """async () => JSON.stringify({
  local: {...localStorage}, session: {...sessionStorage}, cookie: document.cookie,
  databases: indexedDB.databases ? await indexedDB.databases() : [], caches: await caches.keys(),
  state: typeof token === 'undefined' ? null : token, entries: performance.getEntries(),
})"""


def ask(page: Page, site: Site, *, goes: bool = True) -> str:
    """Send the question that stands there; the answer, or what went wrong."""
    if goes:
        page.goto(site.url + "/")
    page.click("button")
    page.wait_for_selector("body[data-state=done], body[data-state=failed]")
    is_done = page.get_attribute("body", "data-state") == "done"
    return page.inner_text("#answer" if is_done else "#trouble")


def post(url: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """A call that is no browser's."""
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()
