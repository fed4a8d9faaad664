"""A page as one file: its frame, its colours in light and dark, the few shapes that charts are made of. Knows no model."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

LABEL_GAP = 15  # from one line of writing to the next

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #23211e; --faint: #6d6860; --rule: #dcd8cf; --card: #ffffff;
  --mark: #1d5fa8; --worse: #b4501c; --line: #5d7a3a; }
@media (prefers-color-scheme: dark) { :root { --paper: #191816; --ink: #ece8df; --faint: #a39d92; --rule: #3b3833;
  --card: #211f1d; --mark: #7db4f0; --worse: #f0925a; --line: #a7c77d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 Georgia, 'Times New Roman', serif; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; } h1 { margin: 0 0 .3rem; } h2 { margin: 2.5rem 0 .5rem; }
p, li { max-width: 46rem; } .faint, figcaption, dt { color: var(--faint); }
figure { margin: 1rem 0; } svg { display: block; width: 100%; height: auto; } .wide { overflow-x: auto; }
.wide > svg { min-width: 44rem; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; } svg .faint { fill: var(--faint); }
table { border-collapse: collapse; font: 14px/1.4 system-ui, sans-serif; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 1rem; min-width: 0; }
.card h3 { margin: 0 0 .3rem; } dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .8rem; margin: .6rem 0;
  font: 14px/1.5 system-ui, sans-serif; } dd { margin: 0; text-align: right; }
pre { background: var(--paper); border: 1px solid var(--rule); border-radius: 6px; padding: .6rem; margin: .6rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
.advice dd { text-align: left; }
summary { cursor: pointer; color: var(--faint); }
mark { color: inherit; background: color-mix(in srgb, var(--worse) 26%, transparent); border-radius: 2px; }
u { text-decoration: underline 2px var(--mark); text-underline-offset: 3px; }
dd { overflow-wrap: anywhere; } .whole { white-space: nowrap; } figcaption { max-width: 46rem; margin-top: .5rem; }
.curve text { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.answers { grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); } .card p { margin: .5rem 0 0; }
svg.narrow { display: none; } @media (max-width: 44rem) { svg.broad { display: none; } svg.narrow { display: block; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole document; `body` is HTML, `title` is text."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def element(name: str, text: object = "", **attributes: object) -> str:
    """One element around a text, which is shown as text; `class_` and `stroke_width` become class and stroke-width."""
    given = "".join(f' {key.strip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{given}>{escape(str(text))}</{name}>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """A table of texts and numbers."""
    lines = "".join("<tr>" + "".join(element("td", cell) for cell in row) + "</tr>" for row in rows)
    names = "".join(element("th", name, scope="col") for name in head)
    return (
        f'<div class="wide"><table>{element("caption", caption, class_="faint")}<tr>{names}</tr>{lines}</table></div>'
    )


def polyline(points: Iterable[tuple[float, float]], colour: str, width: float = 2) -> str:
    """A line through points, in the colour of that name."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="var(--{colour})" stroke-width="{width}"/>'


def dashed(x1: float, x2: float, y: float) -> str:
    """A level dashed line."""
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)" stroke-dasharray="6 4"/>'


@dataclass(frozen=True)
class Axis:
    """The values that a picture shows: `low` at its `bottom`, `high` at its `top`."""

    low: float
    high: float
    top: float
    bottom: float

    def __call__(self, value: float) -> float:
        """How far down a value stands; what lies outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        return self.top + (self.high - inside) / ((self.high - self.low) or 1) * (self.bottom - self.top)


def grid(axis: Axis, left: float, right: float, unit: str) -> str:
    """Level lines with their figures, from `left` to `right`; the unit above."""
    low, high = axis.low, axis.high
    gap = next(gap for gap in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / gap <= 10 or gap == 2.0)
    parts = [element("text", unit, x=4, y=axis.top - 6, class_="faint")]
    for i in range(math.ceil(low / gap), math.floor(high / gap) + 1):
        level = axis(i * gap)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{level:.1f}" y2="{level:.1f}" stroke="var(--rule)"/>')
        figure = f"{i * gap:.2f}".removesuffix("0")
        parts.append(element("text", figure, x=left - 8, y=f"{level + 4:.1f}", text_anchor="end", class_="faint"))
    return "".join(parts)


def labels(named: Iterable[tuple[float, str]], top: float, bottom: float, **at: object) -> Iterator[str]:
    """Writing at these heights, moved apart where one would cover another, and not above `top` or below `bottom`."""
    wanted = sorted(named)
    placed: list[float] = []
    for level, _ in wanted:
        placed.append(max(level, placed[-1] + LABEL_GAP if placed else top))
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], placed[i + 1] - LABEL_GAP if i + 1 < len(placed) else bottom)
    for level, (_, text) in zip(placed, wanted, strict=True):
        yield element("text", text, y=f"{level:.1f}", **at)


def hint(shape: str, text: str) -> str:
    """A shape that says something when it is pointed at."""
    return f"<g>{element('title', text)}{shape}</g>"
