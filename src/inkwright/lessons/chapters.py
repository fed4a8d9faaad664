"""Finds the chapters, cuts them into cells and runs them. Knows nothing of what they teach, and prints nothing.

A chapter is a Python file in the percent format that notebooks are written in as well: `# %% [markdown]` begins a cell of
text, `# %%` one of code. A cell tagged "plot" draws, and is left to notebooks.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from inkwright.config import did_you_mean
from inkwright.errors import MachineError, UsageError, quoted

IN_A_WHEEL = Path(__file__).parent / "notebooks"
IN_A_CHECKOUT = Path(__file__).parents[3] / "notebooks"
MARK = "# %%"


@dataclass(frozen=True)
class Cell:
    """A piece of text, or a piece of code."""

    kind: str
    """`text`, `code`, or `plot`: code that only a notebook runs."""
    source: str


@dataclass(frozen=True)
class Chapter:
    """One lesson."""

    id: str
    title: str
    seconds: int
    """What it takes, about, on one core of a laptop."""
    cells: tuple[Cell, ...]
    path: Path


@cache
def chapters() -> dict[str, Chapter]:
    """Every chapter by its id, in the order they are read.

    Raises: MachineError   the files are not where they were installed
    """
    folder = IN_A_WHEEL if IN_A_WHEEL.is_dir() else IN_A_CHECKOUT
    found = [parse(path) for path in sorted(folder.glob("[0-9][0-9]_*.py"))]
    if not found:
        raise MachineError(f"the chapters are missing ({quoted(folder)})", "install Inkwright again")
    return {chapter.id: chapter for chapter in found}


def chapter(id: str) -> Chapter:
    """The chapter of that name.

    Raises: UsageError   there is none
    """
    if id not in chapters():
        raise UsageError(f"there is no chapter {quoted(id)!r}", did_you_mean(id, chapters()))
    return chapters()[id]


def parse(path: Path) -> Chapter:
    """A file in the percent format. The first cell holds the title, and `seconds=N` behind its mark."""
    _, *parts = re.split(rf"^{MARK}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    heads, bodies = zip(*(part.split("\n", 1) for part in parts), strict=True)
    cells = tuple(_cell(head, body) for head, body in zip(heads, bodies, strict=True))
    title = cells[0].source.partition("\n")[0].removeprefix("# ")
    return Chapter(path.stem[3:], title, int(heads[0].rpartition("seconds=")[2]), cells, path)


def _cell(head: str, body: str) -> Cell:
    if "[markdown]" in head:
        lines = (line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
        return Cell("text", "\n".join(lines))
    return Cell("plot" if '"plot"' in head else "code", body.strip())


@contextmanager
def open_chapter(chapter: Chapter) -> Iterator[Callable[[Cell], str]]:
    """A function that runs a cell of the chapter and gives back what it printed; the cells share their names.

    The chapters draw from torch's global generator, as the notebooks did, and one thread adds up in the same order
    everywhere. Both are as they were when the chapter is closed.
    """
    import torch

    names: dict[str, object] = {"__name__": f"inkwright.lessons.{chapter.id}"}

    def run(cell: Cell) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.source, str(chapter.path), "exec"), names)
        return printed.getvalue()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield run
    finally:
        torch.set_num_threads(threads)
