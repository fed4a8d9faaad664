"""inkwright scale"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import WIDTH, Output, duration
from inkwright.app.cli.flags import GroundFlags, flag
from inkwright.app.cli.several import common, watch
from inkwright.errors import quoted

if TYPE_CHECKING:
    from inkwright.session.law import Estimate
    from inkwright.session.sweep import Advice, Result, Sweep

LITTLE = 0.01  # of the loss: what half of the text may cost and still be said to do as well
SURE = 0.9  # of the curves, when the best size is said to be known


def scale(
    *texts: str,
    minutes: float = 20.0,
    portable: bool = False,
    seed: int = 1337,
    run: Path | None = None,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Find out with small trainings how large a model for a text should be here, and what more time or text would gain.

    It tries the size that `train --minutes` would take, and the sizes next to it. Stop it with Ctrl-C; the same command
    goes on where it was left.

    Parameters
    ----------
    texts
        A file, a folder, a glob, or a named text [default: shakespeare].
    minutes
        What all of it may take, about. The advice is for one training as long as this.
    portable
        Try the sizes of `train --portable`, which transformers and llama.cpp read.
    seed
        The first seed; each length of training has one of its own.
    run
        Folder for the trainings [default: runs/scale-NAME-OF-THE-TEXT].
    json
        One JSON line for each training, and the advice as the last.
    """
    from inkwright.session.sweep import SEEDS, plan_sweep

    sources, given = common(texts, flags, minutes, seed, SEEDS)
    out = Output(json)
    with interrupt.listening():
        sweep = plan_sweep(sources, run, minutes, seed, given, "gpt" if portable else "swift")
        announce(sweep, out)
        results: list[Result] = []
        for point in sweep.points():
            found = sweep.result_of(point)
            if found is None:
                watch(sweep.begin(point), out)
                found = sweep.result_of(point)
            if found is None:
                out.say(f"stopped at {point.folder.name}; the same command goes on from there")
                return 128 + interrupt.requested()
            report(found, out)
            results.append(found)
        conclude(sweep, results, out)
    return 0


def announce(sweep: "Sweep", out: Output) -> None:
    """What will be trained."""
    from inkwright.session.sweep import LENGTHS, RUNS

    record = sweep.record
    out.row("sweep", f"{record['name']}: {RUNS} trainings of {record['model']}, about {sweep.minutes:g} minutes in all")
    out.row("sizes", f"{', '.join(sweep.sizes)} (layers x width @ context)")
    out.row("", f"{record['chosen']} is what {by_itself(sweep)} would take by itself")
    out.row("lengths", f"{', '.join(LENGTHS)}: each three times as many steps as the one before")
    out.row("folder", f"{quoted(sweep.folder, 30)} (Ctrl-C stops, the same command goes on)")
    if few := sweep.few_steps():
        out.note(f"the shortest training has {few:,} steps: what follows is little but a guess", "more --minutes")
    out.say()
    out.say(f"{'training':20} {'steps':>7} {'tokens':>11} {'epochs':>6} {'text':>5} {'bits per char':>13} {'time':>8}")


def report(found: "Result", out: Output) -> None:
    """One training's row."""
    point = found.point
    out.record(
        event="training", size=point.size, part=point.part, seed=point.seed, share=point.share, steps=found.steps,
        tokens=found.tokens, epochs=round(found.epochs, 4), bits_per_char=found.bits_per_char, seconds=found.seconds,
        run=str(point.folder),
    )  # fmt: skip
    out.say(
        f"{point.size + ' ' + point.part:20} {found.steps:>7,} {found.tokens:>11,} {found.epochs:>6.2f} "
        f"{point.share:>5.0%} {found.bits_per_char:>13.4f} {duration(found.seconds):>8}"
    )


def conclude(sweep: "Sweep", results: "list[Result]", out: Output) -> None:
    """The advice, and the page."""
    from inkwright.app.page.scale import write

    advice = sweep.advice(results)
    row = sweep.row(advice.size)
    out.record(
        event="advice", minutes=sweep.minutes, size=advice.size, n_layer=row.n_layer, n_embd=row.n_embd,
        chosen=sweep.record["chosen"], sure=advice.sure, edge=advice.edge,
        misfit=advice.misfit, described=advice.described,
        **{
            name: vars(getattr(advice, name))
            for name in ("bits_per_char", "over_chosen", "twice_the_time", "half_the_text")
        },
    )  # fmt: skip
    out.say()
    for label, sentence in advise(advice, sweep):
        out.paragraph(label, sentence)
    for i, line in enumerate(folded(command(advice, sweep))):
        out.row("" if i else "next", line)
    page = write(sweep, results, advice)
    out.row("page", f"{page} (one file, works offline)")


def advise(advice: "Advice", sweep: "Sweep") -> Iterator[tuple[str, str]]:
    """What to do, in sentences that say how sure they are: (label, sentences)."""
    yield "size", _size(advice, sweep)
    reached = advice.bits_per_char
    yield (
        "forecast",
        f"{reached.middle:.3f} bits per character ({reached.low:.3f} to {reached.high:.3f}) after {sweep.minutes:g} minutes",
    )
    yield "more time", gain("twice as long", advice.twice_the_time)
    yield "more text", _text(advice)
    off = f"these trainings lie {advice.misfit:.1%} off the curve"
    if advice.described:
        yield "fit", f"{off}: it describes them"
    else:
        yield (
            "fit",
            f"{off}, more than the luck of a seed makes: it does not describe them. Only the trainings themselves are known.",
        )


def _size(advice: "Advice", sweep: "Sweep") -> str:
    chosen, among = sweep.record["chosen"], f"{advice.sure:.0%} of the curves that fit as well"
    if advice.sure >= SURE:
        said = f"{advice.size} is the best of the three for {sweep.minutes:g} minutes, by {among}."
    else:
        said = f"not told for {sweep.minutes:g} minutes: {advice.size} is the best by {among}."
    if advice.edge:
        said += f" It is the {advice.edge} tried; a {advice.edge[:-2] + 'r'} one may be better still."
    if advice.size == chosen:
        return f"{said} {by_itself(sweep)} takes it by itself."
    over = advice.over_chosen
    return (
        f"{said} {by_itself(sweep)} would take {chosen}, with a loss {over.middle - 1:.1%} higher "
        f"({over.low - 1:.1%} to {over.high - 1:.1%})."
    )


def _text(advice: "Advice") -> str:
    half = advice.half_the_text
    span = f"{half.low - 1:.1%} to {half.high - 1:.1%}"
    if half.low > 1:
        return f"half of the text costs {half.middle - 1:.1%} ({span}); twice as much can be expected to gain less than that"
    if half.high < 1 + LITTLE:
        return "half of the text did as well: in so short a time more of it would hardly help"
    return f"not told: half of the text costs {span}"


def by_itself(sweep: "Sweep") -> str:
    """The command whose size is in question."""
    return f"train {'--portable ' * (sweep.record['model'] == 'gpt')}--minutes {sweep.minutes:g}"


def command(advice: "Advice", sweep: "Sweep") -> list[str]:
    """What to type, in words: nothing about the size where that is what would be chosen."""
    words = ["inkwright", "train", *sweep.texts, *by_itself(sweep).split()[1:]]
    settings = dict(sweep.given)
    if advice.size != sweep.record["chosen"]:
        settings |= {
            name: f"{value:g}" for name, value in vars(sweep.row(advice.size)).items() if name != "least_tokens"
        }
    for name, value in settings.items():
        words += [flag(name), str(value)]
    return [shlex.quote(word) for word in words]


def folded(words: Sequence[str]) -> list[str]:
    """A command in lines that a shell reads as one."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > WIDTH - 11 - len("  \\"):
            lines[-1] += " \\"
            lines.append(" ")
        lines[-1] += " " * bool(lines[-1]) + word
    return lines


def gain(what: str, factor: "Estimate") -> str:
    """A change of the loss in words."""
    if factor.high >= 1:
        return f"{what}: no gain that this sweep could tell"
    return f"{what}: {1 - factor.middle:.1%} less loss ({1 - factor.high:.1%} to {1 - factor.low:.1%})"


scale.__annotations__["flags"] = Annotated[GroundFlags, Parameter(name="*")]
