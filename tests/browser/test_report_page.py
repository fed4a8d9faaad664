"""The page of a run as a browser shows it, with the network blocked."""

import json
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run as command
from inkwright.run.folder import Run
from inkwright.session.history import evaluations
from tests.browser.conftest import SCALE, named_lines
from tests.browser.test_ladder_page import HOSTILE, OUTSIDE, luminance

pytestmark = pytest.mark.slow
TINY = "--n-layer 1 --n-head 2 --n-embd 32 --block-size 96 --batch-size 8 --threads 1 --dtype float32".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows a hostile text by heart, and its page."""
    place = tmp_path_factory.mktemp("report")
    (place / "<i>book.txt").write_text(f"{HOSTILE}\u202e\n" * 60, encoding="utf-8")
    plan = ["--steps", "240", "--eval-every", "40", "--sample-every", "80", "--run", str(place / "run")]
    assert command(["train", str(place / "<i>book.txt"), *plan, *TINY]) == 0
    assert command(["report", str(place / "run")]) == 0
    return place / "run"


@pytest.fixture(scope="module")
def page(run: Path) -> Path:
    return run / "report.html"


def test_it_asks_for_nothing_complains_of_nothing_and_runs_nothing(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri())
    assert seen.complaints == [] and seen.requests == [page.as_uri()]
    assert seen.page.title() == "i-book: a training"
    assert seen.page.locator("script, img, link[rel=stylesheet]").count() == 0


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_sticks_out_at_any_width_and_one_picture_is_shown(visit: Any, page: Path, width: int) -> None:
    seen = visit(page.as_uri(), viewport={"width": width, "height": 800})
    seen.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.locator("figure svg:visible").count() == 1


def test_the_samples_stand_there_as_they_were_written_and_what_is_copied_is_marked(
    visit: Any, run: Path, page: Path
) -> None:
    seen = visit(page.as_uri()).page
    written = [line["sample"] for line in Run.open(run).reports() if "sample" in line]
    cards = seen.locator(".card:has(pre)").all()
    assert [card.locator("h3").text_content() for card in cards[:3]] == ["Step 80", "Step 160", "Step 240"]
    for card, sample in zip(cards[:3], written, strict=True):
        assert card.locator("pre").text_content() == sample.replace("\u202e", "\\u202e")
    assert cards[2].locator("mark").count() and "% copied" in cards[2].locator("p").text_content()
    longest = "".join(cards[2].locator("u").all_text_contents()).replace("\\u202e", "\u202e")
    assert longest in f"{HOSTILE}\u202e\n" * 60
    assert f"the longest passage: {len(longest)} characters" in cards[2].locator("p").text_content()


def test_the_verdict_comes_first_and_is_that_of_the_command_line(
    visit: Any, run: Path, page: Path, capsys: Any
) -> None:
    seen = visit(page.as_uri()).page
    assert command(["info", str(run), "--json"]) == 0
    said = [finding["sentence"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert seen.locator(".answers p").all_text_contents()[: len(said)] == said
    assert seen.locator("h2").first.text_content() == "How it learned"


def test_every_point_of_the_curve_stands_in_the_table_too(visit: Any, run: Path, page: Path) -> None:
    seen = visit(page.as_uri()).page
    seen.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    points = evaluations(Run.open(run).reports())
    dots = seen.eval_on_selector_all(
        "svg.broad circle[r='3']", "all => all.map(one => one.previousSibling.textContent)"
    )
    assert dots == [f"step {point.step:,}: {point.val:.4f} nats" for point in points]
    rows = seen.eval_on_selector_all("details tr", "rows => rows.map(row => row.innerText.split('\\t'))")
    assert [(row[0], row[2].split()[0]) for row in rows[1 : len(points) + 1]] == [
        (f"{point.step:,}", f"{point.val:.4f}") for point in points
    ]
    best = min(points, key=lambda point: point.val)
    assert f"lowest at step {best.step:,} with {best.val:.3f}" in seen.get_attribute("svg.broad", "aria-label")


def test_the_curve_names_the_whole_scale_in_both_its_forms(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri()).page
    assert named_lines(seen, "svg.broad") == named_lines(seen, "svg.narrow") == list(SCALE)
    assert seen.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_writing_stands_out_from_its_ground(visit: Any, page: Path, scheme: str) -> None:
    seen = visit(page.as_uri(), color_scheme=scheme).page
    style = "(all, name) => all.map(one => getComputedStyle(one)[name])"
    grounds = [
        luminance(seen.eval_on_selector_all(ground, style, "backgroundColor")[0]) for ground in ("body", ".card")
    ]
    inks = [("body, p, dt, dd, pre, mark, th, td, summary, caption, figcaption", "color"), (".broad text", "fill")]
    colours = {colour for selector, name in inks for colour in seen.eval_on_selector_all(selector, style, name)}
    for ink, ground in ((luminance(colour), ground) for colour in colours for ground in grounds):
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5
