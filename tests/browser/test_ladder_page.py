"""The ladder's page as a browser shows it, with the network blocked."""

from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run as command

pytestmark = pytest.mark.slow
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
    assert seen.page.title() == "The ladder on <i>book"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_sticks_out_at_any_width(visit: Any, page: Path, width: int) -> None:
    seen = visit(page.as_uri(), viewport={"width": width, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read_in_light_and_dark(visit: Any, page: Path, scheme: str) -> None:
    seen = visit(page.as_uri(), color_scheme=scheme)
    light = "c => c.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 3"
    for selector in ("body", ".card", "pre", "figure svg text"):
        ink = seen.page.eval_on_selector(
            selector, f"e => ({light})(getComputedStyle(e)[e.tagName == 'text' ? 'fill' : 'color'])"
        )
        assert ink < 100 if scheme == "light" else ink > 150


def test_every_figure_of_the_staircase_stands_in_the_table_too(visit: Any, page: Path) -> None:
    seen = visit(page.as_uri()).page
    said = seen.get_attribute("figure svg", "aria-label")
    rows = seen.eval_on_selector_all("tr", "rows => rows.map(row => row.innerText.split('\\t'))")
    for row in rows[1:]:
        rung, loss = row[0].split(",")[0], float(row[3].split()[0])
        assert f"{rung} {loss:.3f}" in said


def test_pointing_at_a_dot_tells_its_figures(visit: Any, page: Path) -> None:
    titles = visit(page.as_uri()).page.eval_on_selector_all(
        "figure g > title", "all => all.map(one => one.textContent)"
    )
    assert any(title.startswith("one-head, seed 1337: ") and "perplexity" in title for title in titles)
