"""The ladder as one page: the staircase, a table of the same figures, a card a rung. Trains nothing."""

import inspect
import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from statistics import mean

from inkwright import storage
from inkwright.app.cli.console import duration
from inkwright.app.page import lines as scale
from inkwright.app.page.html import Axis, element, grid, hint, labels, page, polyline, table
from inkwright.model import RUNGS
from inkwright.session.ladder import Result, sample_of

WIDTH, TOP, BOTTOM, LEFT, RIGHT = 960, 20, 330, 52, 140  # of the staircase
SAMPLE_TOKENS, SAMPLE_SEED = 300, 1337

INTRODUCTION = """Each step of the staircase is a model with one idea more than the one to its left, trained on the same
text and judged on all of the text that was held out, every token once. Lower is better: the loss is the model's surprise at
the next token, in nats. A dot is one training. Dashed is the scale of the text: what guessing blindly, counting and packing
need for it (▲: further up than the picture reaches). A network that does not pass below the counts has learned nothing that
counting cannot do in a second."""

CAUTIONS = (
    "Compare only at equal context. A model that sees 8 characters must be read against counts that see 8 characters, and "
    "so the dashed lines change where the context changes.",
    "An average over windows of 8 characters includes predictions from a single character of context.",
    "Published losses (hollow diamonds) average 200 random batches, with a noise of about 0.01; those here are exact. The "
    "seed, the last step and the machine move a small rung by 0.02 to 0.05.",
    "A rung that got worse is kept, in the other colour: that is a result too.",
)
TITLES = {
    "faithful": "The lecture's settings",
    "fair": "Equal text or equal time, one change at a time",
}


def write(folder: Path, results: Sequence[Result]) -> Path:
    """The page of all that was reached in a ladder's folder; where it lies.

    Raises: SaveError
    """
    body = [element("h1", f"The ladder on {results[0].text}"), f"<p>{escape(INTRODUCTION)}</p>"]
    for track, part in groupby(results, key=lambda result: result.attempt.track):
        body += _track(TITLES[track], list(part))
    body += ["<h2>How to read it</h2><ul>", *(f"<li>{escape(line)}</li>" for line in CAUTIONS), "</ul>"]
    path = folder / "ladder.html"
    storage.replace(path, page(f"The ladder on {results[0].text}", body).encode())
    return path


def _track(title: str, results: list[Result]) -> Iterator[str]:
    rungs = [list(group) for _, group in groupby(results, key=lambda result: result.attempt.rung.name)]
    yield element("h2", title)
    yield f'<figure><div class="wide">{_staircase(rungs)}</div></figure>'
    yield table(
        ["rung", "parameters", "context", "loss", "bits per char", "best counts there", "published", "time"],
        [_row(result) for result in results],
        "The same figures: nats per token on the whole validation text, with the standard error as a sample of such text.",
    )
    yield '<div class="cards">'
    for group in rungs:
        yield _card(group[0], rungs)
    yield "</div>"


def _row(r: Result) -> list[object]:
    loss, published = f"{r.loss:.4f} ± {r.stderr:.4f}", "" if r.published is None else f"{r.published:.3f}"
    counts, time = f"{_line(r, 'ngram'):.3f}", duration(r.seconds)
    name = f"{r.attempt.rung.name}, seed {r.attempt.seed}"
    return [name, f"{r.parameters:,}", r.block_size, loss, f"{r.bits_per_char:.4f}", counts, published, time]


def _line(result: Result, name: str) -> float:
    return next(line["loss"] for line in result.baseline if line["name"] == name)


# ---------------------------------------------------------------- the staircase


def _staircase(rungs: list[list[Result]]) -> str:
    means = [mean(result.loss for result in group) for group in rungs]
    counts = [_line(group[0], name) for group in rungs for name in ("ngram", "bigram")]
    shown = [
        *means,
        *counts,
        *(r.loss for group in rungs for r in group),
        *(g[0].published or g[0].loss for g in rungs),
    ]
    low, high = min(shown) - 0.05, max(shown) + 0.05
    step = (WIDTH - LEFT - RIGHT) / len(rungs)

    y = Axis(low, high, TOP, BOTTOM)
    parts = [grid(y, LEFT, WIDTH - RIGHT, "nats"), *_scale(rungs, step, y)]
    for i, (group, level) in enumerate(zip(rungs, means, strict=True)):
        x1, x2 = LEFT + i * step, LEFT + (i + 1) * step
        worse = i > 0 and level > means[i - 1]
        colour = "worse" if worse else "mark"
        if i:
            parts.append(polyline([(x1, y(means[i - 1])), (x1, y(level))], colour, 1))
        parts.append(polyline([(x1, y(level)), (x2, y(level))], colour))
        parts += _dots(group, (x1 + x2) / 2, step, colour, y)
        name = group[0].attempt.rung.name + (" (worse)" if worse else "")
        at = f"{(x1 + x2) / 2:.1f} {BOTTOM + 22}"
        parts.append(f'<g transform="translate({at}) rotate(-35)">{element("text", name, text_anchor="end")}</g>')
    said = "; ".join(f"{group[0].attempt.rung.name} {level:.3f}" for group, level in zip(rungs, means, strict=True))
    size = f'viewBox="0 0 {WIDTH} {BOTTOM + 110}" role="img"'
    return f'<svg {size} aria-label="{escape(f"Validation loss of each rung: {said}")}">{"".join(parts)}</svg>'


def _scale(rungs: list[list[Result]], step: float, y: Axis) -> Iterator[str]:
    """The scale of the text, as far as the context stays the same; named where the last rung ends."""
    places = list(enumerate(group[0] for group in rungs))
    for _, part in groupby(places, key=lambda place: place[1].block_size):
        inside = list(part)
        x1, x2 = LEFT + inside[0][0] * step, LEFT + (inside[-1][0] + 1) * step
        yield from scale.drawn(inside[0][1].baseline, "loss", y, x1, x2)
    named = [(level + 4, text) for level, text in scale.named(rungs[-1][0].baseline, "loss", y)]
    yield from labels(named, TOP + 4, BOTTOM + 4, x=WIDTH - RIGHT + 6, class_="faint")


def _dots(group: list[Result], x: float, step: float, colour: str, y: Axis) -> Iterator[str]:
    for i, result in enumerate(group):
        at = x + (i - (len(group) - 1) / 2) * min(10.0, step / (len(group) + 1))
        dot = f'<circle cx="{at:.1f}" cy="{y(result.loss):.1f}" r="4.5" fill="var(--{colour})"/>'
        yield hint(
            dot,
            f"{result.attempt.rung.name}, seed {result.attempt.seed}: {_figures(result.loss, result.bits_per_char)}",
        )
    if group[0].published is not None:
        top = y(group[0].published)
        corners = f"{x:.1f},{top - 6:.1f} {x + 6:.1f},{top:.1f} {x:.1f},{top + 6:.1f} {x - 6:.1f},{top:.1f}"
        diamond = f'<polygon points="{corners}" fill="none" stroke="var(--ink)" stroke-width="1.3"/>'
        yield hint(diamond, f"published: {group[0].published:.3f} nats")


def _figures(loss: float, bits: float) -> str:
    return f"{loss:.4f} nats, {bits:.4f} bits per character, perplexity {math.exp(loss):.2f}"


# ---------------------------------------------------------------- a card


def _card(result: Result, rungs: list[list[Result]]) -> str:
    rung = result.attempt.rung
    facts = [
        ("parameters", f"{result.parameters:,}"),
        ("loss", f"{result.loss:.4f} ± {result.stderr:.4f}"),
        ("perplexity", f"{math.exp(result.loss):.2f}"),
        ("sees", f"{result.block_size} tokens"),
        ("trained", f"{result.steps:,} steps in {duration(result.seconds)}"),
    ]
    listed = "".join(element("dt", name) + element("dd", value) for name, value in facts)
    curve = _curve(result, [group[0] for group in rungs])
    sample = sample_of(result.attempt, SAMPLE_TOKENS, SAMPLE_SEED)
    code = RUNGS.get(str(rung.settings["model"]))
    source = f"<details><summary>the code</summary>{element('pre', inspect.getsource(code))}</details>" if code else ""
    return (
        f'<section class="card">{element("h3", rung.name)}{element("p", rung.idea)}<dl>{listed}</dl>{curve}'
        f"{element('pre', sample)}{source}</section>"
    )


def _curve(result: Result, others: Sequence[Result]) -> str:
    """The loss while training, over those of the other rungs in grey and the scale at this context."""
    curves, counts = [r.curve for r in others], _line(result, "ngram")
    values = [counts, *(loss for curve in curves for _, loss in curve)]
    low, last = min(values) - 0.05, max(curve[-1][0] for curve in curves)
    y, end = Axis(low, min(max(values), low + 2.0), 6, 112), 178

    def points(curve: list[tuple[int, float]]) -> list[tuple[float, float]]:
        return [(4 + (end - 4) * step / last, y(loss)) for step, loss in curve]

    grey = "".join(polyline(points(curve), "rule", 1) for curve in curves)
    said = (
        f"validation loss from {result.curve[0][1]:.3f} to {result.curve[-1][1]:.3f} over {result.curve[-1][0]:,} steps"
    )
    parts = [grey, *scale.drawn(result.baseline, "loss", y, 4, end)]
    parts.append(hint(polyline(points(result.curve), "mark", 2), said))
    named = [(level + 4, text) for level, text in scale.named(result.baseline, "loss", y)]
    parts += labels(named, 12, 116, x=end + 6, class_="faint")
    return f'<svg viewBox="0 0 300 120" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
