"""The page of a sweep as a browser shows it, with the network blocked."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run as command
from inkwright.train import recipe
from tests.browser.conftest import SCALE, named_lines
from tests.session.test_sweep import TABLE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """The page of a sweep in seconds, on a text whose name would run in a careless page."""
    place = tmp_path_factory.mktemp("scale")
    (place / "<i>book.txt").write_text(tiny_text[:4000], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "SIZES", TABLE)
        arguments = ["--minutes", "0.05", "--threads", "1", "--run", str(place / "sweep")]
        assert command(["scale", str(place / "<i>book.txt"), *arguments]) == 0
    return place / "sweep" / "scale.html"


def test_it_asks_for_nothing_and_complains_of_nothing(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri())
    assert seen.complaints == [] and seen.requests == [page.as_uri()]
    assert seen.page.title() == "How large a model for i-book"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_sticks_out_at_any_width(visit: Any, page: Path, width: int) -> None:
    seen = visit(page.as_uri(), viewport={"width": width, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_dot_stands_in_the_table_at_its_height(visit: Any, page: Path) -> None:
    """Higher on the page is a larger loss, for every pair of dots."""
    seen = visit(page.as_uri()).page
    dots = seen.eval_on_selector_all(
        "figure circle", "all => all.map(one => [+one.getAttribute('cy'), one.parentNode.textContent])"
    )
    rows = seen.eval_on_selector_all("tr", "rows => rows.map(row => row.innerText.split('\\t'))")[1:]
    told = [text.rpartition(": ")[2].split()[0] for _, text in dots]
    assert told == [row[5] for row in rows] and len(told) == 11
    by_height = [float(loss) for _, loss in sorted(zip([-height for height, _ in dots], told, strict=True))]
    assert all(b - a > -0.02 for a, b in pairwise(by_height))


def test_the_picture_names_the_whole_scale(visit: Any, page: Path) -> None:
    assert named_lines(visit(page.as_uri()).page, "figure svg") == list(SCALE)


def test_no_name_of_a_line_lies_outside_the_picture(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri(), viewport={"width": 1100, "height": 900}).page
    outside = seen.evaluate("""() => {
      const edge = document.querySelector("figure svg").getBoundingClientRect();
      return [...document.querySelectorAll("figure svg text")].map(t => t.getBoundingClientRect())
        .filter(t => t.right > edge.right + 1 || t.left < edge.left - 1 || t.bottom > edge.bottom + 1).length }""")
    assert outside == 0
