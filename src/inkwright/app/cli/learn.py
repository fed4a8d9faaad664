"""inkwright learn"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from inkwright.app.cli.console import Output
from inkwright.errors import InkwrightError, UsageError

if TYPE_CHECKING:
    from inkwright.lessons.chapters import Chapter
    from inkwright.lessons.kit import Row

WIDTH = 80
INDENT = "    "
BAR = "  | "

learn = App(name="learn", help_format="plaintext", result_action="return_value")


@learn.default
def replay(*, replay: bool = False, json: bool = False) -> int:
    """The lecture as lessons that run here: its figures beside yours, and exercises that check themselves.

    Parameters
    ----------
    replay
        Run every chapter and compare each figure with what the notebooks printed.
    json
        With --replay: a JSON line for each figure.
    """
    if not replay:
        if json:
            raise UsageError("--json goes with --replay", "inkwright learn --replay --json")
        return list_()
    from inkwright.lessons.chapters import chapters
    from inkwright.lessons.kit import noting

    out = Output(json)
    rows: list[Row] = []
    out.say(f"{'chapter':<13} {'quantity':<28} {'notebook':>12} {'here':>12}  equal")
    for chapter in chapters().values():
        with noting() as found:
            for _ in _performed(chapter):
                pass
        for row in found:
            out.record(**row.record(chapter.id))
            out.say(_table_line(chapter.id, row))
        rows += found
    return _conclude(rows, out)


@learn.command(name="list", sort_key=0)
def list_() -> int:
    """Say which chapters and exercises there are."""
    from inkwright.lessons.chapters import chapters

    out = Output()
    out.say("Chapters: inkwright learn run ID     (seconds on one core)")
    for chapter in chapters().values():
        out.say(f"  {chapter.id:<14} {chapter.title:<56} {chapter.seconds:>3} s")
    from inkwright.lessons.exercises import EXERCISES

    out.say()
    out.say("Exercises: inkwright learn start ID  (writes a file for you to fill in)")
    for exercise in EXERCISES.values():
        out.say(f"  {exercise.id:<22} {exercise.title:<34} after {exercise.chapter}")
    return 0


@learn.command(sort_key=1)
def show(id: str, /) -> int:
    """Print a chapter, its text and its code, and run nothing.

    Parameters
    ----------
    id
        A chapter of the list.
    """
    from inkwright.lessons.chapters import chapter

    out = Output()
    for cell in chapter(id).cells:
        if cell.kind != "plot":
            out.say(_in_terminal(cell.source) if cell.kind == "text" else _code(cell.source))
            out.say()
    return 0


@learn.command(sort_key=2)
def run(id: str, /) -> int:
    """Run a chapter: its text, its code, what the code printed, and what the notebook printed beside it.

    Parameters
    ----------
    id
        A chapter of the list.
    """
    from inkwright.lessons.chapters import chapter, chapters
    from inkwright.lessons.exercises import EXERCISES

    out = Output()
    lesson = chapter(id)
    for block in _performed(lesson):
        out.say(block)
        out.say()
    for exercise in EXERCISES.values():
        if exercise.chapter == id:
            out.row("exercise", f"inkwright learn start {exercise.id}: {exercise.title}")
    ids = list(chapters())
    after = ids[ids.index(id) + 1 :]
    out.row("next", f"inkwright learn run {after[0]}" if after else "inkwright learn list names the exercises")
    return 0


@learn.command(sort_key=3)
def start(id: str, /, *, folder: Path = Path()) -> int:
    """Write the file of an exercise, for you to fill in.

    Parameters
    ----------
    id
        An exercise of the list.
    folder
        Where to write it [default: here].
    """
    from inkwright.lessons.exercises import start

    path = start(id, folder)
    out = Output()
    out.row("written", str(path))
    out.row("next", f"fill it in, then: inkwright learn check {path}")
    return 0


@learn.command(sort_key=4)
def check(file: Path, /) -> int:
    """Check an exercise. What is wrong is named, the first wrong element of it.

    Parameters
    ----------
    file
        The file you filled in.
    """
    from inkwright.lessons.exercises import check

    verdict = check(file)
    if not verdict.passed:
        raise InkwrightError(verdict.message, verdict.hint)
    Output().say(verdict.message)
    return 0


@learn.command(sort_key=5)
def hint(id: str, /) -> int:
    """Give a hint for an exercise.

    Parameters
    ----------
    id
        An exercise of the list.
    """
    from inkwright.lessons.exercises import hint

    Output().say("\n".join(textwrap.wrap(hint(id), WIDTH)))
    return 0


# ---------------------------------------------------------------- in a terminal


def _performed(chapter: "Chapter") -> Iterator[str]:
    """The chapter as it goes: each text, each piece of code before it runs, and what it printed."""
    from inkwright.lessons.chapters import open_chapter

    with open_chapter(chapter) as run_cell:
        for cell in chapter.cells:
            if cell.kind == "text":
                yield _in_terminal(cell.source)
            elif cell.kind == "code":
                yield _code(cell.source)
                printed = run_cell(cell).rstrip()
                if printed:
                    yield _set_apart(printed)


def _in_terminal(markdown: str) -> str:
    """Markdown as plain paragraphs of 80 columns; what is set apart (lists, tables, formulas) keeps its lines."""
    return "\n\n".join(_paragraph(block) for block in re.split(r"\n\s*\n", markdown))


def _paragraph(block: str) -> str:
    if block.startswith("#"):
        title = block.lstrip("# ")
        return f"{title}\n{'=' * len(title)}"
    if block.startswith(INDENT):
        return block
    plain = re.sub(r"\*+(\S[^*]*)\*+", r"\1", block.replace("`", ""))
    if block.startswith("|"):
        return _table(plain)
    items = re.split(r"\n(?=- )", plain)
    return "\n".join(
        textwrap.fill(" ".join(i.split()), WIDTH, subsequent_indent="  " * i.startswith("- ")) for i in items
    )


def _table(block: str) -> str:
    """A markdown table with its columns aligned."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if "---" not in line]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _code(source: str) -> str:
    return textwrap.indent(re.sub(r"\n{3,}", "\n\n", source), INDENT)


def _set_apart(printed: str) -> str:
    """What a cell printed, with a bar in front of each line; a long line is broken, whatever is in it."""
    room = WIDTH - len(BAR)
    lines = (line[i : i + room] for line in printed.splitlines() for i in range(0, max(len(line), 1), room))
    return "\n".join((BAR + line).rstrip() for line in lines)


def _table_line(chapter: str, row: "Row") -> str:
    notebook, here = (_cut(text, 12) for text in row.columns)
    equal = "yes" if row.equal else "differs" if row.platform_dependent else "NO"
    return f"{chapter:<13} {_cut(row.quantity, 28):<28} {notebook:>12} {here:>12}  {equal}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _conclude(rows: list["Row"], out: Output) -> int:
    """What the table comes to.

    Raises: InkwrightError   a figure that should be equal is not
    """
    import torch

    counted = [row for row in rows if not row.platform_dependent]
    wrong = [row.quantity for row in counted if not row.equal]
    claims = [row.equal for row in counted if row.notebook is True]
    figures = [row.equal for row in counted if row.notebook is not True]
    out.say(f"{sum(figures)} of {len(figures)} figures are equal, {sum(claims)} of {len(claims)} claims hold.")
    differing = [row.quantity for row in rows if row.platform_dependent and not row.equal]
    if differing:
        out.warn(f"torch {torch.__version__} draws differently here: {', '.join(differing)}; that is not counted")
    if wrong:
        raise InkwrightError(f"not equal: {', '.join(wrong)}", f"torch here is {torch.__version__}; see the chapter")
    return 0
