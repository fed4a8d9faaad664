"""The losses of a run as a picture: training, unseen text, the lines of the scale, the best. Judges nothing."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from inkwright.app.page import lines as scale
from inkwright.app.page.html import Axis, element, hint, labels, polyline
from inkwright.session.history import thinned

MOST_POINTS = 400  # of the training loss: more cannot be seen
TALLEST = 3.0  # nats: a beginning further above the lowest loss is cut off, or the rest could not be told apart

Pairs = Sequence[tuple[int, float]]
"""(step, loss) in order."""


class Size(NamedTuple):
    """A picture: its edges, and whether the names of the lines stand beside it or in it."""

    width: int
    height: int
    right: int
    name: str


SIZES = (Size(960, 400, 130, "broad"), Size(340, 280, 8, "narrow"))
TOP, LEFT, FOOT = 14, 42, 40


def curve(train: Pairs, val: Pairs, lines: Sequence[dict[str, Any]]) -> str:
    """The picture, once for a wide window and once for a narrow one: so its letters keep their size."""
    said = f"Loss on unseen text from {val[0][1]:.3f} to {val[-1][1]:.3f}" if val else "Training loss"
    best = min(val, key=lambda point: point[1], default=None)
    said += f", lowest at step {best[0]:,} with {best[1]:.3f}" if best else ""
    return "".join(_picture(thinned(train, MOST_POINTS), val, lines, best, said, size) for size in SIZES)


def _picture(
    train: Pairs, val: Pairs, lines: Sequence[dict[str, Any]], best: tuple[int, float] | None, said: str, size: Size
) -> str:
    shown = [loss for _, loss in (val or train)] + [min(loss for _, loss in (train or val))]
    counted = [line["loss"] for line in lines if line["name"] in ("ngram", "bigram")]
    low = min([*shown, *counted]) - 0.05
    risen = [loss for step, loss in val if best and step >= best[0]]  # never cut off: it would look like standing still
    high = max(min(max([*shown, *counted]), low + TALLEST), *risen, low) + 0.05
    last = max(step for step, _ in [*train, *val])

    def x(step: float) -> float:
        return LEFT + step / last * (size.width - LEFT - size.right)

    y = Axis(low, high, TOP, size.height - FOOT)
    parts = [*_levels(y, size), *_steps(last, x, size), *scale.drawn(lines, "loss", y, LEFT, x(last))]
    parts.append(polyline(((x(step), y(loss)) for step, loss in train if loss <= high), "faint", 1))
    parts.append(polyline(((x(step), y(loss)) for step, loss in val), "mark", 2.5))
    for step, loss in val if len(val) <= MOST_POINTS else ():
        dot = f'<circle cx="{x(step):.1f}" cy="{y(loss):.1f}" r="3" fill="var(--mark)"/>'
        parts.append(hint(dot, f"step {step:,}: {loss:.4f} nats"))
    parts += _names(scale.named(lines, "loss", y), x(last), size)
    if best:
        parts += _best(best, x, y, size)
    view = f'viewBox="0 0 {size.width} {size.height}" class="curve {size.name}" role="img" aria-label="{escape(said)}"'
    return f"<svg {view}>{''.join(parts)}</svg>"


def _levels(y: Axis, size: Size) -> Iterator[str]:
    gap = next((gap for gap in (0.1, 0.2, 0.5, 1.0) if (y.high - y.low) / gap <= 8), 2.0)
    for i in range(math.ceil(y.low / gap), math.floor(y.high / gap) + 1):
        level = y(i * gap)
        ends = f'x1="{LEFT}" x2="{size.width - size.right}" y1="{level:.1f}" y2="{level:.1f}"'
        yield f'<line {ends} stroke="var(--rule)"/>'
        at = {"x": LEFT - 7, "y": f"{level + 4:.1f}", "text_anchor": "end", "class_": "faint"}
        yield element("text", f"{i * gap:.1f}", **at)


def _steps(last: int, x: Callable[[float], float], size: Size) -> Iterator[str]:
    most = 4 if size.name == "narrow" else 8
    gap = next(gap for power in range(10) for gap in (10**power, 2 * 10**power, 5 * 10**power) if last / gap <= most)
    for step in range(gap, last + 1, gap):
        anchor = "end" if x(step) > size.width - 20 else "middle"
        at = {"x": f"{x(step):.1f}", "y": size.height - FOOT + 18, "text_anchor": anchor, "class_": "faint"}
        yield element("text", f"{step:,}", **at)
    yield element("text", "steps", x=LEFT, y=size.height - FOOT + 18, class_="faint")
    key = (
        "nats per token; thick: unseen text, thin: training"
        if size.name == "broad"
        else "nats; thick: unseen, thin: training"
    )
    yield element("text", key, x=LEFT, y=size.height - 4, class_="faint")


def _names(named: Sequence[tuple[float, str]], end: float, size: Size) -> Iterator[str]:
    """What the lines of the scale are: beside the picture, or in it above their lines."""
    beside = size.name == "broad"
    at = {"x": f"{end + 8:.1f}"} if beside else {"x": f"{end:.1f}", "text_anchor": "end"}
    moved = [(level + (4 if beside else -4), text) for level, text in named]
    return labels(moved, TOP + 4, size.height - FOOT, **at)


def _best(best: tuple[int, float], x: Callable[[float], float], y: Axis, size: Size) -> Iterator[str]:
    at, level = x(best[0]), y(best[1])
    yield (f'<circle cx="{at:.1f}" cy="{level:.1f}" r="7" fill="none" stroke="var(--worse)" stroke-width="2"/>')
    anchor = "end" if at > size.width / 2 else "start"
    below = level + 24 if level + 30 < size.height - FOOT else level - 12
    yield element("text", f"best {best[1]:.3f}", x=f"{at:.1f}", y=f"{below:.1f}", text_anchor=anchor)
