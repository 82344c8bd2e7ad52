"""A real Chromium before a real house."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from browser.site_in_browser import ROOT, Sight
from house import House, free_port, running_house

MASTER_KEY = "Zr8uB2nQe6TfWk0Lx5VhGd9SjYm3CpAi7oRtX1cKq4M"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless, with a profile that is empty and gone afterwards."""
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.fail("This test needs Chromium. On Debian, as root: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, int]]:
    """The house of `make demo`, and the port of the page that it takes calls from."""
    port = free_port()
    text = (ROOT / "demo/tollhouse.yaml").read_text()
    for before, after in (
        ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:8090", f"127.0.0.1:{port}"), ("log: text", "log: json"),
    ):  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    with running_house(tmp_path_factory.mktemp("house"), text, {"TOLLHOUSE_MASTER_KEY": MASTER_KEY}) as house:
        yield house, port


@pytest.fixture
def seen(browser: Browser) -> Iterator[tuple[Page, Sight]]:
    """A new page in a context of its own."""
    context = browser.new_context()
    sight = Sight(context)
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page, sight
    context.close()
