"""A sweep as one page: the advice, the loss over the size for each length of training, a table. Trains nothing."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from inkwright import storage
from inkwright.app.cli.console import duration
from inkwright.app.cli.runs import short
from inkwright.app.cli.scale import advise
from inkwright.app.page.html import element, grid, hint, page, polyline, table
from inkwright.session.sweep import Advice, Result, Sweep

WIDTH, TOP, BOTTOM, LEFT, RIGHT = 960, 30, 360, 52, 150
COLOURS = {"short": "line", "long": "mark", "whole": "worse"}

INTRODUCTION = """Every dot is one training on this text, judged on all of the text that was held out. To the right are larger
models, further down better ones. A line joins what the fitted curve says of all sizes for one length of training; the band
around the lowest line is where it may lie with 90 % confidence. A line is lowest where the size fits the time: smaller models
have learned what they can, larger ones have not had the time to."""

CAUTIONS = (
    "The lowest line is a forecast: no model was trained for so long here. A curve that is straight on this picture flattens "
    "sooner or later, so that the forecast is a best case.",
    "The confidence covers the luck of the seed and the misfit of the curve. It does not cover settings: all sizes share one "
    "learning rate.",
    "A share of the text is its end, next to what was held out. Where half of the text does as well as all of it, the "
    "trainings were too short to use it up, and more time comes before more text.",
    "Times are those of this machine while the sweep ran.",
)


def write(sweep: Sweep, results: Sequence[Result], advice: Advice) -> Path:
    """The page of a finished sweep; where it lies.

    Raises: SaveError
    """
    title = f"How large a model for {sweep.record['name']}"
    body = [element("h1", title), '<dl class="advice">', *_advice(advice, sweep.minutes), "</dl>"]
    body += [
        f"<p>{escape(INTRODUCTION)}</p>",
        f'<figure><div class="wide">{_picture(sweep, results, advice)}</div></figure>',
    ]
    body.append(_table(results))
    body += ["<h2>How to read it</h2><ul>", *(f"<li>{escape(line)}</li>" for line in CAUTIONS), "</ul>"]
    path = sweep.folder / "scale.html"
    storage.replace(path, page(title, body).encode())
    return path


def _advice(advice: Advice, minutes: float) -> Iterator[str]:
    label, said = "", ""
    for next_label, sentence in [*advise(advice, minutes), ("end", "")]:
        if next_label and label:
            yield element("dt", label) + element("dd", said)
        label, said = next_label or label, sentence if next_label else f"{said} {sentence}"


def _table(results: Sequence[Result]) -> str:
    rows = [
        [
            f"{r.point.size} {r.point.part}, seed {r.point.seed}", f"{r.parameters:,}", f"{r.steps:,}", f"{r.tokens:,}",
            f"{r.point.share:.0%}", f"{r.bits_per_char:.4f}", duration(r.seconds),
        ]
        for r in results
    ]  # fmt: skip
    head = ["training", "parameters", "steps", "tokens", "text", "bits per char", "time"]
    return table(head, rows, "The same figures: bits per character on the whole held-out text.")


# ---------------------------------------------------------------- the picture


def _picture(sweep: Sweep, results: Sequence[Result], advice: Advice) -> str:
    law = sweep.law(results)
    sizes = sorted({result.parameters for result in results})
    places = np.geomspace(sizes[0], sizes[-1], 60)
    lines = {name: law.losses(places, count) for name, count in _lengths(sweep, results, places).items()}
    band = np.quantile(lines["whole"][1:], [0.05, 0.95], axis=0)
    shown = [
        *(r.bits_per_char for r in results),
        *(float(v) for line in lines.values() for v in line[0]),
        *band.flatten(),
    ]
    low, high = min(shown) - 0.03, min(max(shown) + 0.03, 1.3 * max(r.bits_per_char for r in results))

    def x(parameters: float) -> float:
        share = math.log(parameters / sizes[0]) / math.log(sizes[-1] / sizes[0])
        return LEFT + 30 + share * (WIDTH - LEFT - RIGHT - 60)

    def y(loss: float) -> float:
        return TOP + (high - min(max(loss, low), high)) / (high - low) * (BOTTOM - TOP)

    parts = [grid(low, high, y, LEFT, WIDTH - RIGHT, TOP, "bits per character"), _band(places, band, x, y)]
    for name, line in lines.items():
        parts.append(polyline([(x(n), y(v)) for n, v in zip(places, line[0], strict=True)], COLOURS[name]))
        at = f"{y(float(line[0][-1])) + 4:.1f}"
        parts.append(element("text", _name(name, sweep, results), x=f"{x(sizes[-1]) + 14:.1f}", y=at, class_="faint"))
    parts += [_dot(result, x, y) for result in results]
    parts += _axis(results, x)
    best = advice.parameters
    if advice.edge is None:
        said = f"best for {sweep.minutes:g} minutes: {short(round(best.low))} to {short(round(best.high))} parameters"
        parts.append(hint(f'<line x1="{x(best.low):.1f}" x2="{x(best.high):.1f}" y1="{BOTTOM - 4}" y2="{BOTTOM - 4}" '
                          'stroke="var(--worse)" stroke-width="5" stroke-opacity="0.6"/>', said))  # fmt: skip
    said = "; ".join(f"{r.point.size} {r.point.part} {r.bits_per_char:.3f}" for r in results)
    size = f'viewBox="0 0 {WIDTH} {BOTTOM + 60}" role="img"'
    return f'<svg {size} aria-label="{escape(f"Bits per character of each training: {said}")}">{"".join(parts)}</svg>'


def _lengths(sweep: Sweep, results: Sequence[Result], places: np.ndarray) -> dict[str, np.ndarray]:
    """The tokens that models of these sizes are trained on, for each length of training."""
    found = {}
    for part in ("short", "long"):
        known = sorted({(r.parameters, r.tokens) for r in results if r.point.part == part})
        sizes, counts = np.log(np.array(known, float).T)
        found[part] = np.exp(np.interp(np.log(places), sizes, counts))
    return found | {"whole": sweep.tokens_in(sweep.minutes * 60, places, results)}


def _name(part: str, sweep: Sweep, results: Sequence[Result]) -> str:
    if part == "whole":
        return f"{sweep.minutes:g} minutes, forecast"
    seconds = np.median([result.seconds for result in results if result.point.part == part])
    return f"{part}, about {duration(float(seconds))}"


def _band(places: np.ndarray, band: np.ndarray, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    edge = [(n, v) for n, v in zip(places, band[0], strict=True)]
    edge += [(n, v) for n, v in zip(places[::-1], band[1][::-1], strict=True)]
    corners = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in edge)
    return f'<polygon points="{corners}" fill="var(--worse)" fill-opacity="0.15"/>'


def _dot(result: Result, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Filled where all of the text was there; hollow, and smaller, for a share."""
    colour = COLOURS["short" if result.point.part == "short" else "long"]
    fill = f"var(--{colour})" if result.point.share == 1 else "var(--paper)"
    radius = 4.5 if result.point.share == 1 else 2.5 + 4 * result.point.share
    at = f'cx="{x(result.parameters):.1f}" cy="{y(result.bits_per_char):.1f}" r="{radius}"'
    text = "" if result.point.share == 1 else f" on {result.point.share:.0%} of the text"
    said = f"{result.point.size}, {result.steps:,} steps{text}, seed {result.point.seed}: {result.bits_per_char:.4f}"
    return hint(
        f'<circle {at} fill="{fill}" stroke="var(--{colour})" stroke-width="1.5"/>', f"{said} bits per character"
    )


def _axis(results: Sequence[Result], x: Callable[[float], float]) -> Iterator[str]:
    """The sizes by name and by their parameters; a model of a share has fewer tokens in its alphabet at most."""
    for size, parameters in {r.point.size: r.parameters for r in results if r.point.share == 1}.items():
        yield element("text", size, x=f"{x(parameters):.1f}", y=BOTTOM + 20, text_anchor="middle")
        place = {"x": f"{x(parameters):.1f}", "y": BOTTOM + 37, "text_anchor": "middle", "class_": "faint"}
        yield element("text", short(parameters), **place)
    yield element("text", "layers x width, parameters", x=LEFT, y=BOTTOM + 56, class_="faint")
