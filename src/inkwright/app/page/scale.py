"""A sweep as one page: the advice, the loss over time for each size, a table. Trains nothing."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from inkwright import storage
from inkwright.app.cli.console import duration
from inkwright.app.cli.scale import advise, command
from inkwright.app.page import lines as scale
from inkwright.app.page.html import Axis, element, grid, hint, labels, page, polyline, table
from inkwright.run.folder import Run
from inkwright.session.law import Law
from inkwright.session.sweep import Advice, Result, Sweep

WIDTH, TOP, BOTTOM, LEFT, RIGHT = 960, 30, 380, 52, 236
NAMES = 92  # of the sizes, at the ends of their lines; what the scale is called stands further right
COLOURS = ("line", "mark", "worse")  # of the sizes, smallest first
TIMES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 36000, 86400, 604800)  # seconds

INTRODUCTION = """Every dot is one training on this text, judged on all of the text that was held out: to the right are
longer ones, further down better ones. Hollow dots read a share of the text only. A line is what the fitted curve says of one
size. The upright line is the time that the advice is
for; the band shows where the curve of the best size may lie with 90 % confidence. Dashed is the scale of the text: what
guessing blindly, counting and packing need for it (▲: further up than the picture reaches)."""

CAUTIONS = (
    "What lies to the right of the last dots is a forecast: no model was trained for so long here. How fast the curves "
    "flatten is what three lengths tell worst, and most of what the ranges are wide for.",
    "The confidence covers the luck of the seed and the misfit of the curve, as far as these few trainings show them.",
    "Each size has the context, batch and learning rate of its row in the recipe, and is judged with that context: so this "
    "is what train would make of it, not what width alone would do.",
    "A share of the text is its end, next to what was held out. A share is read more often in the same steps.",
    "Times are those of this machine while the sweep ran; a dot stands where the speed of the long training puts it.",
)


def write(sweep: Sweep, results: Sequence[Result], advice: Advice) -> Path:
    """The page of a finished sweep; where it lies.

    Raises: SaveError
    """
    title = f"How large a model for {sweep.record['name']}"
    told = [*advise(advice, sweep), ("next", " ".join(command(advice, sweep)))]
    said = "".join(element("dt", label) + element("dd", sentence) for label, sentence in told)
    body = [element("h1", title), f'<dl class="advice">{said}</dl>', f"<p>{escape(INTRODUCTION)}</p>"]
    body.append(f'<figure><div class="wide">{Picture(sweep, results, advice).svg()}</div></figure>')
    body.append(_table(sweep, results))
    body += ["<h2>How to read it</h2><ul>", *(f"<li>{escape(line)}</li>" for line in CAUTIONS), "</ul>"]
    path = sweep.folder / "scale.html"
    storage.replace(path, page(title, body).encode())
    return path


def _table(sweep: Sweep, results: Sequence[Result]) -> str:
    law = sweep.law(results)
    rows = [
        [
            f"{r.point.size} {r.point.part}", f"{r.steps:,}", f"{r.tokens:,}", f"{r.epochs:.2f}", f"{r.point.share:.0%}",
            f"{r.bits_per_char:.4f}", f"{_fitted(law, sweep, r):.4f}", duration(r.seconds),
        ]
        for r in results
    ]  # fmt: skip
    head = ["training", "steps", "tokens", "epochs", "text", "bits per char", "by the curve", "time"]
    return table(head, rows, "The same figures: bits per character on the whole held-out text.")


def _fitted(law: Law, sweep: Sweep, result: Result) -> float:
    place = sweep.sizes.index(result.point.size)
    return float(law.losses(place, np.array([result.tokens]), result.point.share)[0, 0])


class Picture:
    """The loss over time, a line for each size."""

    def __init__(self, sweep: Sweep, results: Sequence[Result], advice: Advice) -> None:
        self.sweep, self.results, self.advice = sweep, results, advice
        self.rates = sweep.tokens_per_second(results)
        self.asked = sweep.minutes * 60
        took = [self.seconds(result) for result in results]
        self.first, self.last = min(took), max(self.asked, *took)
        times = np.geomspace(self.first, self.last, 80)
        law = sweep.law(results)
        self.times = times
        self.lines = {size: law.losses(i, self.seen(size, times)) for i, size in enumerate(sweep.sizes)}
        self.band = np.quantile(self.lines[advice.size][1:], [0.05, 0.95], axis=0)
        losses = [r.bits_per_char for r in results]
        shown = [*losses, *(line[0, -1] for line in self.lines.values()), *self.band[:, -1]]
        self.y = Axis(max(min(shown) - 0.03, 0.6 * min(losses)), max(losses) + 0.05, TOP, BOTTOM)

    def seconds(self, result: Result) -> float:
        """What a training takes at the speed of the long one."""
        return result.tokens / self.rates[result.point.size]

    def seen(self, size: str, seconds: np.ndarray) -> np.ndarray:
        """The tokens that a size is trained on in so many seconds."""
        return self.rates[size] * seconds

    def x(self, seconds: float) -> float:
        """Where a time stands."""
        share = math.log(seconds / self.first) / math.log(self.last / self.first)
        return LEFT + 20 + share * (WIDTH - LEFT - RIGHT - 20)

    def svg(self) -> str:
        """All of it."""
        parts = [grid(self.y, LEFT, WIDTH - RIGHT, "bits per character"), *self._scale(), self._band()]
        parts += [*self._axis(), *self._curves(), *map(self._dot, self.results)]
        said = "; ".join(f"{r.point.size} {r.point.part} {r.bits_per_char:.3f}" for r in self.results)
        size = f'viewBox="0 0 {WIDTH} {BOTTOM + 50}" role="img"'
        return (
            f'<svg {size} aria-label="{escape(f"Bits per character of each training: {said}")}">{"".join(parts)}</svg>'
        )

    def _scale(self) -> Iterator[str]:
        """What the loss is read against."""
        baseline = Run.open(self.results[0].point.folder).record["baseline"]
        yield from scale.drawn(baseline, "bits_per_char", self.y, LEFT, WIDTH - RIGHT)
        named = [(level + 4, text) for level, text in scale.named(baseline, "bits_per_char", self.y)]
        yield from labels(named, TOP + 4, BOTTOM + 4, x=WIDTH - RIGHT + NAMES, class_="faint")

    def _band(self) -> str:
        edge = [*zip(self.times, self.band[0], strict=True), *zip(self.times[::-1], self.band[1][::-1], strict=True)]
        corners = " ".join(f"{self.x(t):.1f},{self.y(v):.1f}" for t, v in edge)
        return f'<polygon points="{corners}" fill="var(--{self._colour(self.advice.size)})" fill-opacity="0.13"/>'

    def _colour(self, size: str) -> str:
        return COLOURS[self.sweep.sizes.index(size)]

    def _curves(self) -> Iterator[str]:
        """A line for each size and its name at its end; names that would touch are moved apart."""
        below = -math.inf
        for size in sorted(self.lines, key=lambda size: -self.lines[size][0, -1]):
            line = self.lines[size][0]
            shown = (line <= self.y.high) | (self.times == self.times[-1])
            points = [(self.x(t), self.y(v)) for t, v in zip(self.times[shown], line[shown], strict=True)]
            yield polyline(points, self._colour(size))
            below = max(points[-1][1] + 4, below + 15)
            place = {"x": f"{points[-1][0] + 8:.1f}", "y": f"{below:.1f}"}
            yield element("text", size, **place, style=f"fill: var(--{self._colour(size)})")

    def _dot(self, result: Result) -> str:
        """Filled where all of the text was there; hollow, and smaller, for a share."""
        share, colour = result.point.share, self._colour(result.point.size)
        fill = f"var(--{colour})" if share == 1 else "var(--paper)"
        radius = 4.5 if share == 1 else 2.5 + 4 * share
        at = f'cx="{self.x(self.seconds(result)):.1f}" cy="{self.y(result.bits_per_char):.1f}" r="{radius}"'
        text = "" if share == 1 else f" on {share:.0%} of the text"
        said = (
            f"{result.point.size}, {result.steps:,} steps{text}, {result.epochs:.2f} epochs: {result.bits_per_char:.4f}"
        )
        dot = f'<circle {at} fill="{fill}" stroke="var(--{colour})" stroke-width="1.5"/>'
        return hint(dot, f"{said} bits per character")

    def _axis(self) -> Iterator[str]:
        """Times below; an upright line at the minutes of the advice."""
        level = {"y": BOTTOM + 20, "text_anchor": "middle", "class_": "faint"}
        for seconds in (t for t in TIMES if self.first <= t < self.last and not 0.75 < t / self.asked < 1.3):
            yield element("text", duration(seconds), x=f"{self.x(seconds):.1f}", **level)
        x = f"{self.x(max(self.asked, self.first)):.1f}"
        yield element("text", f"{self.sweep.minutes:g} minutes", x=x, **level)
        yield f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{BOTTOM}" stroke="var(--rule)"/>'
        yield element("text", "time of training", x=LEFT, y=BOTTOM + 40, class_="faint")
