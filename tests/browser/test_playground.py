"""The playground in a real browser, which may reach nothing but its own server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import inkwright
from inkwright.app.cli import run as command
from tests.browser.conftest import SCALE, named_lines

pytest.importorskip("fastapi", reason="fastapi is not installed: the extra `serve`")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: the extra `serve`")
pytestmark = pytest.mark.slow
HOSTILE = '<script>document.title="run"</script><img src=x onerror=alert(1)>\x1b]0;x\x07\u202e'
SLOW = """--n-layer 6 --n-head 4 --n-embd 128 --block-size 64 --batch-size 2 --threads 1 --dtype float32
    --sample-every 0""".split()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs are."""
    return tmp_path_factory.mktemp("playground")


@pytest.fixture(scope="module")
def unfinished(place: Path) -> Path:
    """A run that has reached step 6 of 1000."""
    return place / "unfinished"


@pytest.fixture(scope="module")
def url(place: Path, unfinished: Path, tiny_text: str) -> Iterator[str]:
    """A server with a model that has seen nothing but hostile text, and two that have seen prose."""
    (place / "hostile.txt").write_text(f"{HOSTILE} {'ba ' * 100}\n" * 60, encoding="utf-8")
    (place / "book.txt").write_text(tiny_text, encoding="utf-8")
    runs = {"book": ("book.txt", SLOW, 12), "<i>hostile": ("hostile.txt", SLOW, 60)}
    for name, (text, flags, steps) in runs.items():
        asked = ["--steps", str(steps), "--eval-every", str(steps // 3), *flags]
        assert command(["train", str(place / text), "--run", str(place / name), *asked]) == 0
    small = dict(n_layer=1, n_head=2, n_embd=16, block_size=16, threads=1, dtype="float32", steps=1000, report_every=1)
    for progress in inkwright.fit(place / "book.txt", unfinished, eval_every=3, **small):
        if progress.step == 6:
            break
    log = place / "log"
    folders = [*(str(place / name) for name in runs), str(unfinished)]
    arguments = [sys.executable, "-m", "inkwright", "serve", *folders, "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(arguments, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (found := re.search(r"page +(http://\S+)\n.*API", log.read_text(), re.DOTALL)):
        assert process.poll() is None, log.read_text()
    yield found[1]
    process.terminate()
    assert process.wait(30) == 0 and "Traceback" not in log.read_text()


class Reader:
    """A page that was opened, with everything it complained about or asked of others."""

    def __init__(self, browser: Any, url: str, fragment: str = "", **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append("a script has run"))

        def only_ours(route: Any) -> None:
            if route.request.url.startswith(url):
                route.continue_()
            else:
                self.foreign.append(route.request.url)
                route.abort()

        self.context.route("**/*", only_ours)
        self.page.goto(f"{url}/{fragment}")
        self.page.wait_for_selector("#desk:not([hidden])")

    def write(self, prompt: str = "Ba", tokens: int = 60, wait: bool = True) -> None:
        self.page.locator("#tokens").fill(str(tokens))
        self.page.locator("#prompt").fill(prompt)
        self.page.locator("#write").click()
        if wait:
            self.page.wait_for_selector(f"#t{tokens - 1}", state="attached")
            self.page.wait_for_selector("#stop:disabled")

    @property
    def text(self) -> str:
        return self.page.locator("#text").text_content()

    def json(self, path: str, body: Any) -> Any:
        """What the server says when it is asked directly."""
        return self.context.request.post(self.page.url.split("/#")[0] + path, data=body).json()


@pytest.fixture
def read(browser: Any, url: str) -> Iterator[Callable[..., Reader]]:
    """`read(viewport=...)`: the page; at the end it must have complained of nothing and asked nobody else."""
    readers: list[Reader] = []

    def go(**options: Any) -> Reader:
        readers.append(Reader(browser, url, **options))
        return readers[-1]

    yield go
    for each in readers:
        each.context.close()
        assert each.complaints == [] and each.foreign == []


def test_a_text_streams_in_and_is_the_one_that_the_server_writes(read: Callable[..., Reader]) -> None:
    seen = read()
    assert seen.page.locator("#empty").is_visible()
    seen.write("Ba", 80)
    asked = {"model": "book", "prompt": "Ba", "max_tokens": 80, "seed": 1337, "temperature": 0.8}
    assert seen.text == "Ba" + seen.json("/v1/completions", asked)["choices"][0]["text"]
    tints = {kind for kind in seen.page.locator("#text .token").evaluate_all("e => e.map(t => t.classList[1])")}
    assert len(tints) > 2 and not seen.page.locator("#empty").is_visible()


def test_stop_ends_it_and_what_is_there_stays(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.write("Ba", 4096, wait=False)
    seen.page.wait_for_selector("#t20", state="attached")
    seen.page.locator("#stop").click()
    seen.page.wait_for_selector("#stop:disabled")
    count = seen.page.locator("#text .token").count()
    seen.page.wait_for_timeout(300)
    assert 20 < seen.page.locator("#text .token").count() == count < 4096
    assert seen.page.locator("#problem").is_hidden()


def test_pointing_at_a_token_shows_the_distribution_it_was_drawn_from(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.write("Ba", 90)
    asked = {"model": "book", "prompt": "Ba", "max_tokens": 90, "seed": 1337, "temperature": 0.8, "logprobs": 5}
    marks = seen.json("/v1/completions", asked)["choices"][0]["logprobs"]
    for at in (0, 30, 75):  # the last one after the context was full
        seen.page.locator(f"#t{at}").click()
        seen.page.wait_for_selector("#next-said:has-text('Token " + f"{at + 1},')")
        likeliest, logprob = next(iter(marks["top_logprobs"][at].items()))
        row = seen.page.locator("#rows tr").first.locator("td").all_text_contents()
        assert row[0] == likeliest.replace(" ", "␣").replace("\n", "⏎")
        assert row[3] == f"{-logprob / 0.6931471805599453:.1f}"
    taken = seen.page.locator("#rows tr.taken td").first.text_content()
    assert taken == marks["tokens"][75].replace(" ", "␣").replace("\n", "⏎")


def test_the_cut_follows_the_settings(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.write()
    seen.page.locator("#t5").click()
    seen.page.wait_for_selector("#rows button")
    assert seen.page.locator("#rows tr.cut").count() == 0
    seen.page.locator("#top_k").fill("3")
    assert (
        "3 of " in seen.page.locator("#cut").text_content() and "top-k 3" in seen.page.locator("#bars").text_content()
    )
    assert [cell == "cut" for cell in seen.page.locator("#rows td:nth-child(3)").all_text_contents()[:5]] == [
        False
    ] * 3 + [True] * 2
    seen.page.locator("#temperature").fill("0")
    assert seen.page.locator("#rows td:nth-child(3)").first.text_content() == "100 %"


def test_another_token_branches_the_text_and_back_returns(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.write("Ba", 40)
    before = seen.text
    seen.page.locator("#t10").click()
    seen.page.wait_for_selector("#rows button")
    other = seen.page.locator("#rows tr:not(.taken) button").nth(1)
    name = other.text_content()
    other.click()
    seen.page.wait_for_selector("#t50", state="attached")
    seen.page.wait_for_selector("#stop:disabled")
    assert seen.text.startswith(before[:12]) and seen.text != before
    assert seen.page.locator("#t10.chosen").text_content().replace(" ", "␣").replace("\n", "⏎") == name
    branched, address = seen.text, seen.page.url
    seen.page.locator("#back").click()
    assert seen.text == before
    again = read(fragment=address.split("/")[-1])
    again.page.locator("#again").focus()
    assert "from=" in address and again.page.locator("#prompt").input_value() == "Ba"
    assert branched[:13] == before[:12] + branched[12]


def test_the_address_bar_keeps_everything(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.page.locator("#temperature").fill("1.2")
    seen.page.locator("#seed").fill("42")
    seen.write("Ci\n“é", 30)
    again = read(fragment=seen.page.url.split("/")[-1])
    again.page.locator("#write").click()
    again.page.wait_for_selector("#t29", state="attached")
    again.page.wait_for_selector("#stop:disabled")
    assert again.text == seen.text


def test_another_seed_another_text(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.write("Ba", 60)
    before = seen.text
    seen.page.locator("#again").click()
    seen.page.wait_for_selector("#t59", state="attached")
    seen.page.wait_for_selector("#stop:disabled")
    assert seen.text != before and seen.page.locator("#seed").input_value() != "1337"


def test_everything_can_be_done_with_the_keyboard(read: Callable[..., Reader]) -> None:
    seen = read()
    keys = seen.page.keyboard
    seen.page.locator("#tokens").fill("30")
    for _ in range(20):
        if seen.page.evaluate("document.activeElement.id") == "prompt":
            break
        keys.press("Shift+Tab")
    keys.type("Ba")
    keys.press("Control+Enter")
    seen.page.wait_for_selector("#t29", state="attached")
    seen.page.wait_for_selector("#stop:disabled")
    for _ in range(20):
        if seen.page.evaluate("document.activeElement.id") == "text":
            break
        keys.press("Tab")
    for _ in range(3):
        keys.press("ArrowRight")
    seen.page.wait_for_selector("#next-said:has-text('Token 3,')")
    assert seen.page.locator("#text").get_attribute("aria-activedescendant") == "t2"
    keys.press("Enter")
    assert seen.page.evaluate("document.activeElement.closest('#rows') !== null")
    keys.press("Tab")
    keys.press("Enter")
    seen.page.wait_for_selector("#t2.chosen", state="attached")
    seen.page.wait_for_selector("#stop:disabled")
    assert seen.page.evaluate("document.activeElement.id") == "text"


def test_the_run_is_shown_with_what_counting_reaches(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.page.wait_for_selector("#curve svg")
    assert "step 12 of 12" in seen.page.locator("#run-said").text_content()
    assert seen.page.locator("#curve svg").get_attribute("aria-label").startswith("book")
    assert named_lines(seen.page, "#curve svg") == list(SCALE)
    seen.page.get_by_text("The curve as a table").click()
    assert seen.page.locator("#points tr").count() == 3
    assert "bigram counts" in seen.page.locator("#scale").text_content()
    seen.page.locator("#sample").click()
    seen.page.wait_for_selector("#sampled:not([hidden])")


def test_a_run_that_is_still_training_is_followed(read: Callable[..., Reader], url: str, unfinished: Path) -> None:
    seen = read()
    seen.page.locator("#model").select_option("unfinished")
    seen.page.wait_for_selector("#run-said:has-text('while it goes on')")
    before = seen.page.locator("#curve svg").get_attribute("aria-label")
    line = json.loads((unfinished / "metrics.jsonl").read_text().splitlines()[-1])
    with (unfinished / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line | {"step": 7, "loss": 1.0, "val_loss": 0.5, "sample": HOSTILE}) + "\n")
    seen.page.wait_for_selector("#run-said:has-text('step 7 of')", timeout=10_000)
    assert seen.page.locator("#curve svg").get_attribute("aria-label") != before
    assert seen.page.locator("#points tr").last.text_content() == "70.5000"
    assert seen.page.locator("#samples pre").all_text_contents() == [HOSTILE]


def test_hostile_text_is_text_everywhere(read: Callable[..., Reader]) -> None:
    seen = read()
    seen.page.locator("#model").select_option("<i>hostile")
    seen.page.wait_for_selector("#run-said:has-text('hostile')")
    seen.write(HOSTILE, 300)
    assert "<script>" in seen.text and "\x1b" in seen.text
    seen.page.locator("#t7").click()
    seen.page.wait_for_selector("#rows button")
    seen.page.locator("#more").click()
    assert "\\u{1b}" in seen.page.locator("#rows").text_content()
    seen.page.locator("#sample").click()
    seen.page.wait_for_selector("#sampled:not([hidden])")
    assert seen.page.title() == "<i>hostile · Inkwright"
    assert seen.page.locator("main img, main script, main i").count() == 0


def test_what_goes_wrong_is_said_in_the_page(read: Callable[..., Reader]) -> None:
    seen = read()
    broken = "data: " + json.dumps({"error": {"message": "<b>Broken."}}) + "\n\n"
    answer = {"status": 200, "content_type": "text/event-stream", "body": broken}
    seen.context.route("**/v1/completions", lambda route: route.fulfill(**answer))
    seen.page.locator("#write").click()
    seen.page.wait_for_selector("#problem:not([hidden])")
    assert seen.page.locator("#problem").text_content() == "<b>Broken."


@pytest.mark.parametrize("width", [360, 800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_every_target_is_large_enough(
    read: Callable[..., Reader], width: int, scheme: str
) -> None:
    seen = read(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    seen.write("Ba", 100)
    seen.page.locator("#t3").click()
    seen.page.wait_for_selector("#rows button")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    heights = seen.page.locator(".buttons button").evaluate_all("all => all.map(b => b.getBoundingClientRect().height)")
    assert min(heights) >= 44
    if folder := os.environ.get("INKWRIGHT_SCREENSHOTS"):
        seen.page.screenshot(path=Path(folder) / f"playground-{width}-{scheme}.png", full_page=True)


def test_a_page_whose_name_was_made_to_point_here_reads_nothing(browser: Any, url: str) -> None:
    """DNS rebinding: evil.test is this machine, and its pages may ask their own origin whatever they like."""
    port, path = url.rpartition(":")[2], shutil.which("chromium") or shutil.which("chromium-browser")
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP evil.test 127.0.0.1"]
    page = (lured := browser.browser_type.launch(executable_path=path, args=arguments)).new_page()
    answer = page.goto(f"http://evil.test:{port}/v1/models")
    assert answer is not None and answer.status == 403
    asked = "fetch('/v1/completions', {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}})"
    assert page.evaluate(f"{asked}.then(answer => answer.status)") == 403
    assert "book" not in page.content()
    lured.close()
