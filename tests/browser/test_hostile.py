"""Row S16: sixty texts that would run in a careless page, written by a model that knows them, as names, as errors."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inkwright
from inkwright.app.cli import run as command
from tests.browser.test_playground import Reader
from tests.lossless.hostile import SCRIPTS

pytest.importorskip("fastapi", reason="fastapi is not installed: the extra `serve`")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: the extra `serve`")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile")]  # one server of sixty runs is enough
LEARNER = """--model swift --n-layer 2 --n-head 2 --n-embd 64 --block-size 96 --batch-size 16 --threads 1 --dtype float32
    --steps 400 --eval-every 400 --sample-every 200""".split()
SMALL = (
    "--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --threads 1 --dtype float32 --steps 1 --sample-every 0".split()
)
NAMES = [text.replace("/", "∕").replace("\n", " ")[:60] for text in SCRIPTS]  # no folder has a slash in its name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the texts, and one with each of them as its name."""
    place = tmp_path_factory.mktemp("hostile")
    lines = "".join(f"{i:02}: {text}\n" for i, text in enumerate(SCRIPTS))
    (place / "book<img src=x onerror=window.ran=1>.txt").write_text(lines * 20, encoding="utf-8")
    book = str(place / "book<img src=x onerror=window.ran=1>.txt")
    assert command(["train", book, "--run", str(place / "by heart"), *LEARNER]) == 0
    assert command(["report", str(place / "by heart")]) == 0
    assert command(["train", book, "--run", str(place / NAMES[0]), *SMALL]) == 0
    for name in NAMES[1:]:
        (place / name).symlink_to(place / NAMES[0], target_is_directory=True)
    return place


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """A server of all of them."""
    log = place / "log"
    arguments = [sys.executable, "-m", "inkwright", "serve", *(str(place / name) for name in ["by heart", *NAMES])]
    with log.open("wb") as file:
        process = subprocess.Popen([*arguments, "--port", "0"], stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (found := re.search(r"page +(http://\S+)\n.*API", log.read_text(), re.DOTALL)):
        assert process.poll() is None, log.read_text()
    yield found[1]
    process.terminate()
    assert process.wait(30) == 0 and "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def seen(browser: Any, url: str) -> Iterator[Reader]:
    found = Reader(browser, url)
    found.page.set_default_timeout(120_000)
    yield found
    found.context.close()


def nothing_ran(seen: Reader) -> None:
    """No script of theirs, nothing asked of others, no rule of the page's policy broken, no element of theirs."""
    assert seen.page.evaluate("window.ran") is None
    expected = re.compile(r"Failed to load resource: the server responded with a status of 404")
    assert [said for said in seen.complaints if not expected.match(said)] == [] and seen.foreign == []
    strange = (
        "main :is(script, img, iframe, video, audio, object, embed, link, style, base, form, marquee, math, animate)"
    )
    assert seen.page.locator(strange).count() == 0


def test_what_it_writes_is_text(seen: Reader, place: Path) -> None:
    lm, known = inkwright.load(place / "by heart"), 0
    seen.page.locator("#model").select_option("by heart")
    seen.page.locator("#temperature").fill("0")
    for i, text in enumerate(SCRIPTS):
        written = lm.generate(f"{i:02}: ", max_new_tokens=len(text), temperature=0.0)
        known += written == text
        seen.write(f"{i:02}: ", len(text))
        assert seen.text == f"{i:02}: {written}"
        nothing_ran(seen)
    assert known >= 55, f"only {known} of {len(SCRIPTS)} are known by heart"
    seen.page.locator("#t9").click()
    seen.page.wait_for_selector("#rows button")
    seen.page.locator("#sample").click()
    seen.page.wait_for_selector("#sampled:not([hidden])")
    seen.page.locator("#on-the-way summary").click()
    nothing_ran(seen)


@pytest.mark.parametrize("at", range(len(SCRIPTS)))
def test_a_beginning_and_an_error_are_text(seen: Reader, at: int) -> None:
    """The server itself answers with the name that it does not have."""
    text = SCRIPTS[at]

    def renamed(route: Any) -> None:
        route.continue_(post_data=json.dumps(route.request.post_data_json | {"model": f"no {text}"}))

    seen.context.route("**/v1/completions", renamed)
    seen.write(text, 1, wait=False)
    seen.page.wait_for_selector("#problem:not([hidden])")
    seen.context.unroute("**/v1/completions", renamed)
    assert text[:20].split("\n")[0] in seen.page.locator("#problem").text_content()
    assert seen.page.locator("#text .begun").text_content() == text
    nothing_ran(seen)


@pytest.mark.parametrize("at", range(len(NAMES)))
def test_the_name_of_a_run_is_text(seen: Reader, at: int) -> None:
    seen.page.locator("#model").select_option(index=at + 1)
    seen.page.wait_for_function("name => document.title === `${name} · Inkwright`", arg=NAMES[at])
    seen.page.wait_for_selector("#run-said:has-text('step 1 of 1')")
    assert seen.page.locator("#curve circle.val").count() == 1  # the one evaluation is to be seen
    nothing_ran(seen)


def test_the_report_is_text(visit: Any, place: Path) -> None:
    page = place / "by heart" / "report.html"
    seen = visit(page.as_uri())
    assert "window.ran=1" in seen.page.content() and seen.page.evaluate("window.ran") is None
    assert seen.complaints == [] and seen.requests == [page.as_uri()]
    assert seen.page.locator("script, img, iframe, object, embed, link[rel=stylesheet], form").count() == 0
