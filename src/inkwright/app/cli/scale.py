"""inkwright scale"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output, duration
from inkwright.app.cli.flags import GroundFlags
from inkwright.app.cli.runs import short
from inkwright.app.cli.several import common, watch
from inkwright.errors import quoted

if TYPE_CHECKING:
    from inkwright.session.law import Estimate
    from inkwright.session.sweep import Advice, Result, Sweep


def scale(
    *texts: str,
    minutes: float = 20.0,
    seed: int = 1337,
    run: Path | None = None,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Find out with small trainings how large a model for a text should be here, and what more time or text would gain.

    Stop it with Ctrl-C; the same command goes on where it was left.

    Parameters
    ----------
    texts
        A file, a folder, a glob, or a named text [default: shakespeare].
    minutes
        What all of it may take, about. The advice is for one training as long as this.
    seed
        The first seed; the short trainings have a second one.
    run
        Folder for the trainings [default: runs/scale-NAME-OF-THE-TEXT].
    json
        One JSON line for each training, and the advice as the last.
    """
    from inkwright.session.sweep import SEEDS, plan_sweep

    sources, given = common(texts, flags, minutes, seed, SEEDS)
    out = Output(json)

    with interrupt.listening():
        sweep = plan_sweep(sources, run, minutes, seed, given)
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
    from inkwright.session.sweep import RUNS, SIZES

    out.row(
        "sweep", f"{sweep.record['name']}: {len(SIZES)} sizes, {RUNS} trainings, about {sweep.minutes:g} minutes in all"
    )
    out.row("folder", f"{quoted(sweep.folder, 30)} (Ctrl-C stops, the same command goes on)")
    if few := sweep.few_steps():
        out.note(
            f"the shortest training has only {few:,} steps: what follows is hardly more than a guess", "more --minutes"
        )
    out.say()
    out.say(f"{'training':24} {'parameters':>10} {'steps':>7} {'text':>5} {'bits per char':>13} {'time':>8}")


def report(found: "Result", out: Output) -> None:
    """One training's row."""
    point = found.point
    out.record(
        event="training", size=point.size, part=point.part, seed=point.seed, share=point.share, steps=found.steps,
        parameters=found.parameters, tokens=found.tokens, bits_per_char=found.bits_per_char, seconds=found.seconds,
        run=str(point.folder),
    )  # fmt: skip
    figures = f"{found.steps:>7,} {point.share:>5.0%} {found.bits_per_char:>13.4f} {duration(found.seconds):>8}"
    out.say(f"{point.folder.name:24} {found.parameters:>10,} {figures}")


def conclude(sweep: "Sweep", results: "list[Result]", out: Output) -> None:
    """The advice, and the page."""
    from inkwright.app.page.scale import write
    from inkwright.session.sweep import SIZES

    advice = sweep.advice(results)
    n_layer, n_embd = SIZES[advice.size]
    out.record(
        event="advice", minutes=sweep.minutes, size=advice.size, n_layer=n_layer, n_embd=n_embd, told=advice.told,
        edge=advice.edge, **{
            name: vars(getattr(advice, name))
            for name in ("parameters", "bits_per_char", "twice_the_time", "half_the_text")
        },
    )  # fmt: skip
    out.say()
    for label, sentence in advise(advice, sweep.minutes):
        out.row(label, sentence)
    page = write(sweep, results, advice)
    out.row("page", f"{page} (one file, works offline)")


def advise(advice: "Advice", minutes: float) -> Iterator[tuple[str, str]]:
    """What to do, in sentences that say how sure they are: (label, text)."""
    best, span = advice.parameters, f"{short(round(advice.parameters.low))} to {short(round(advice.parameters.high))}"
    n_layer, n_embd = advice.size.split("x")
    flags = f"--n-layer {n_layer} --n-embd {n_embd}"
    if advice.edge is not None:
        yield "size", f"{advice.size}, the {advice.edge} tried, is best for a training of {minutes:g} minutes;"
        yield "", f"{'larger' if advice.edge == 'largest' else 'smaller'} may be better still ({flags})"
    elif not advice.told:
        yield "size", f"not told for a training of {minutes:g} minutes: any from {span} may"
        yield "", f"be the best; the curve is lowest at {short(round(best.middle))} ({flags})"
    else:
        yield "size", f"{advice.size} for a training of {minutes:g} minutes: the best has {span}"
        yield "", f"parameters, most likely {short(round(best.middle))} ({flags})"
    reached = advice.bits_per_char
    yield "forecast", f"{reached.middle:.3f} bits per character ({reached.low:.3f} to {reached.high:.3f}), if the curve"
    yield "", "goes on like this; it rather flattens, so take it for the best case"
    yield "more time", gain("twice as long", advice.twice_the_time)
    half = advice.half_the_text
    if half.low > 1:
        yield "more text", f"half of the text costs {half.middle - 1:.1%} ({half.low - 1:.1%} to {half.high - 1:.1%});"
        yield "", "twice as much can be expected to gain less than that"
    else:
        yield "more text", "half of the text did as well, as far as this can tell: in so short a"
        yield "", "time more of it would hardly help"


def gain(what: str, factor: "Estimate") -> str:
    """A change of the loss in words."""
    if factor.high >= 1:
        return f"{what}: no gain that this sweep could tell"
    return f"{what}: {1 - factor.middle:.1%} less loss ({1 - factor.high:.1%} to {1 - factor.low:.1%})"


scale.__annotations__["flags"] = Annotated[GroundFlags, Parameter(name="*")]
