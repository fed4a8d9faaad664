"""The ladder's page as a browser shows it, with the network blocked."""

import re
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run as command
from tests.browser.conftest import SCALE, named_lines

pytestmark = pytest.mark.slow
OUTSIDE = """() => [...document.querySelectorAll("svg:not(.narrow) text")].filter(text => {
  const [inner, edge] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
  return inner.right > edge.right + 1 || inner.left < edge.left - 1 || inner.bottom > edge.bottom + 1
}).map(text => text.textContent)"""
HOSTILE = '<script>document.title="run"</script><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """The page of a climb in seconds, on a text that would run in a careless page."""
    place = tmp_path_factory.mktemp("ladder")
    (place / "<i>book.txt").write_text(f"{HOSTILE}\n" * 40 + tiny_text[:4000], encoding="utf-8")
    arguments = ["--track", "fair", "--minutes", "0.05", "--threads", "1", "--run", str(place / "climb")]
    assert command(["ladder", str(place / "<i>book.txt"), *arguments]) == 0
    return place / "climb" / "ladder.html"


def test_it_asks_for_nothing_and_complains_of_nothing(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri())
    assert seen.complaints == [] and seen.requests == [page.as_uri()]
    assert seen.page.title() == "The ladder on i-book"  # no script has changed it


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_sticks_out_at_any_width(visit: Any, page: Path, width: int) -> None:
    seen = visit(page.as_uri(), viewport={"width": width, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def luminance(colour: str) -> float:
    """Of `rgb(109, 104, 96)`: WCAG 2.2, relative luminance."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_writing_stands_out_from_its_ground(visit: Any, page: Path, scheme: str) -> None:
    seen = visit(page.as_uri(), color_scheme=scheme).page
    style = "(all, name) => all.map(one => getComputedStyle(one)[name])"
    grounds = {
        luminance(seen.eval_on_selector_all(ground, style, "backgroundColor")[0]) for ground in ("body", ".card")
    }
    inks = [("body, p, dt, dd, pre, th, td, summary, caption", "color"), ("svg text", "fill")]
    colours = {colour for selector, name in inks for colour in seen.eval_on_selector_all(selector, style, name)}
    assert len(colours) == 2
    for ink, ground in ((luminance(colour), ground) for colour in colours for ground in grounds):
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5


def test_every_figure_of_the_staircase_stands_in_the_table_too(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri()).page
    said = seen.get_attribute("figure svg", "aria-label").rpartition(": ")[2].split("; ")
    heights = {name: float(loss) for name, loss in (step.split() for step in said)}
    rows = seen.eval_on_selector_all("tr", "rows => rows.map(row => row.innerText.split('\\t'))")
    for row in rows[1:]:
        assert heights.pop(row[0].split(",")[0]) == pytest.approx(float(row[3].split()[0]), abs=6e-4)
    assert heights == {}


def test_the_staircase_and_every_curve_name_the_whole_scale(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri()).page
    assert named_lines(seen, "figure svg") == list(SCALE)
    for i in range(1, seen.locator(".card").count() + 1):
        assert named_lines(seen, f".card:nth-child({i}) svg") == list(SCALE)
    outside = seen.evaluate(OUTSIDE)
    assert outside == []


def test_pointing_at_a_dot_tells_its_figures(visit: Any, page: Path) -> None:
    titles = visit(page.as_uri()).page.eval_on_selector_all(
        "figure g > title", "all => all.map(one => one.textContent)"
    )
    assert any(title.startswith("one-head, seed 1337: ") and "perplexity" in title for title in titles)
