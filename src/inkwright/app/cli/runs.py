"""inkwright runs"""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from inkwright import interrupt
from inkwright.app.cli.console import Output, duration
from inkwright.errors import InkwrightError, OccupiedError, UsageError, quoted

if TYPE_CHECKING:
    from inkwright.run.listing import Listed

WIDTH, NARROWEST_NAME = 80, 8
HEAD = ("run", "params", "step", "best loss", "b/chr", "time", "disk", "begun")


def runs(folder: Path = Path("runs"), /, *, prune: bool = False, yes: bool = False, json: bool = False) -> int:
    """List the runs in a folder: what each is and has reached, and what it takes on the disk.

    Parameters
    ----------
    folder
        Where to look, also in the folders within.
    prune
        Say what could be taken away: all checkpoints but the best, and the newest of a run that can be gone on with.
    yes
        With --prune: take it away.
    json
        One JSON line for each run.
    """
    if yes and not prune:
        raise UsageError("--yes means something only with --prune", f"inkwright runs {quoted(folder)} --prune --yes")
    out = Output(json)

    from inkwright.run import listing

    with interrupt.listening():
        found = sorted(map(listing.look, listing.find(folder)), key=_place)
        failed: InkwrightError | None = None
        for one in found:
            freed = 0
            if yes and one.spare:
                try:
                    freed = listing.prune(one.folder)
                except OccupiedError as error:
                    out.note(f"{error.message}; nothing was taken away there")
                except InkwrightError as error:
                    if failed is not None:
                        out.warn(failed.message)
                    failed = type(error)(f"{one.folder}: {error.message}; nothing was taken away there", error.hint)
            _record(one, freed, prune, out)
            if prune and one.spare and (freed or not yes):
                _tell(one, freed, out)
    if not prune:
        table(found, out)
        conclude(found, out)
    elif not any(one.spare for one in found):
        out.say("Nothing can be spared.")
    elif not yes:
        out.say("Nothing was taken away; --prune --yes does it.")
    if failed is not None:
        raise failed
    return 0


def table(found: Sequence["Listed"], out: Output) -> None:
    """A row a run, under the folder it lies in; the newest of each comes last."""
    rows = [_cells(one) for one in found]
    widths = [max(len(row[i]) for row in (HEAD, *rows)) for i in range(1, len(HEAD))]
    name_width = max(NARROWEST_NAME, WIDTH - sum(widths) - len(widths))
    if rows:
        out.say(" ".join([f"{HEAD[0]:{name_width}}", *map(str.rjust, HEAD[1:], widths)]))
    for parent, part in groupby(zip(found, rows, strict=True), key=lambda pair: pair[0].folder.parent):
        out.say(f"{quoted(parent, WIDTH - 1)}/")
        for _, (name, *cells) in part:
            shown = quoted(name, name_width - 2)
            out.say(" ".join([f"  {shown:{name_width - 2}}", *map(str.rjust, cells, widths)]))


def conclude(found: Sequence["Listed"], out: Output) -> None:
    """How many there are, what they take, and what could be done about it."""
    from inkwright.storage import megabytes

    out.say()
    total, spare = sum(one.disk_bytes for one in found), sum(one.spare_bytes for one in found)
    out.say(f"{len(found):,} run{'s' * (len(found) != 1)}, {megabytes(total)}")
    for one in found:
        if one.state == "damaged":
            out.note(f"{one.folder}: {(one.problem or '').splitlines()[0]}")
    if any(one.state == "stopped" for one in found):
        out.say("A step with a / was stopped before its plan: inkwright resume RUN goes on.")
    if spare:
        out.say(f"--prune names {megabytes(spare)} that can be spared.")


def _place(one: "Listed") -> tuple[Path, str, str]:
    return one.folder.parent, one.begun or "", one.folder.name


def _cells(one: "Listed") -> tuple[str, ...]:
    """What stands in a row."""
    from inkwright.storage import megabytes

    size = megabytes(one.disk_bytes)
    if one.best is None or one.step is None or one.steps is None or one.begun is None:
        return (one.folder.name, "", one.state, "", "", "", size, "")
    step = f"{one.step:,}" if one.state == "done" else f"{one.step:,}/{one.steps:,}"
    loss, bits = one.best.get("val_loss"), one.best.get("bits_per_char")
    return (
        one.folder.name,
        "counts" if one.parameters is None else short(one.parameters),
        step + " now" * (one.state == "training"),
        f"{loss:.4f}@{one.block_size}" if loss is not None else "",
        f"{bits:.3f}" if bits is not None else "",
        duration(one.seconds or 0.0),
        size,
        one.begun[5:10] if one.begun[:4] == time.strftime("%Y") else one.begun[:4],
    )


def short(count: int) -> str:
    """A number in four digits at most: 512, 4.2k, 887k, 10.7M."""
    for unit, size in (("", 1), ("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if count / size < 999.5 or unit == "G":
            break
    return f"{count / size:.1f}{unit}" if unit and count / size < 99.95 else f"{count / size:.0f}{unit}"


def _tell(one: "Listed", freed: int, out: Output) -> None:
    from inkwright.storage import megabytes

    done = f"freed {megabytes(freed)}" if freed else f"could free {megabytes(one.spare_bytes)}"
    out.say(f"{one.folder}: {done}")
    for path in one.spare:
        out.say(f"  {path.relative_to(one.folder)}")


def _record(one: "Listed", freed: int, prune: bool, out: Output) -> None:
    best = one.best or {}
    out.record(
        run=str(one.folder), state=one.state, problem=one.problem, begun=one.begun, parameters=one.parameters,
        step=one.step, steps=one.steps, best_step=best.get("step"), val_loss=best.get("val_loss"),
        bits_per_char=best.get("bits_per_char"), block_size=one.block_size, seconds=one.seconds,
        disk_bytes=one.disk_bytes, spare_bytes=one.spare_bytes,
        **({"spare": [str(path) for path in one.spare], "freed_bytes": freed} if prune else {}),
    )  # fmt: skip
