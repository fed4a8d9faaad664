"""The scale of a text in a picture: the lines that it reaches, and a mark at its edge for those beyond."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inkwright.app.page.html import Axis, dashed, hint
from inkwright.train.baseline import title

UNITS = {"loss": "nats", "bits_per_char": "bits per character"}

Lines = Sequence[Mapping[str, Any]]


def drawn(lines: Lines, unit: str, axis: Axis, left: float, right: float) -> Iterator[str]:
    """A dashed line for each of the scale that lies in the picture; `unit` is which of its values is shown."""
    for line in lines:
        if axis.low < line[unit] < axis.high:
            yield hint(dashed(left, right, axis(line[unit])), f"{title(line)}: {line[unit]:.4f} {UNITS[unit]}")


def named(lines: Lines, unit: str, axis: Axis) -> list[tuple[float, str]]:
    """What to write beside the picture, and how far down: every line of the scale with its value.

    One that lies outside is named at the edge that it lies beyond, so that no picture is squashed to reach it.
    """
    return [(axis(line[unit]), f"{_mark(line[unit], axis)}{title(line)} {line[unit]:.3f}") for line in lines]


def _mark(value: float, axis: Axis) -> str:
    return "▲ " if value >= axis.high else "▼ " if value <= axis.low else ""
