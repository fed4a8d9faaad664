"""A real browser without a network: Debian's chromium, driven by playwright. Tests skip where either is missing."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the extra `browser`")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """One page, opened with the network off, and everything it complained about or asked for."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """`visit(url, viewport={"width": 360, "height": 800})`"""
    visits: list[Visit] = []

    def go(url: str, **context: Any) -> Visit:
        visits.append(Visit(browser, url, **context))
        return visits[-1]

    yield go
    for each in visits:
        each.context.close()


SCALE = ("uniform", "unigram", "bigram", "-gram", "gzip", "xz")


def named_lines(page: Any, picture: str) -> list[str]:
    """The lines of the scale that a picture names, in the order of the scale."""
    texts = page.eval_on_selector_all(f"{picture} text", "all => all.map(one => one.textContent)")
    return [name for name in SCALE if any(re.search(rf"{name} \d+\.\d{{3}}$", text) for text in texts)]
