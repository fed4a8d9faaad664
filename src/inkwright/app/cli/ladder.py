"""inkwright ladder"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output, duration
from inkwright.app.cli.flags import GroundFlags
from inkwright.app.cli.several import common, watch
from inkwright.errors import SettingError, UsageError, quoted

if TYPE_CHECKING:
    from inkwright.session.ladder import Attempt, Result


def ladder(
    *texts: str,
    track: Literal["faithful", "fair"] = "faithful",
    minutes: float | None = None,
    seeds: int = 1,
    seed: int = 1337,
    scaled: bool = False,
    run: Path | None = None,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Train every rung from the bigram to the GPT on a text, and draw the staircase.

    Stop it with Ctrl-C; the same command goes on where it was left.

    Parameters
    ----------
    texts
        A file, a folder, a glob, or a named text [default: shakespeare].
    track
        faithful: the lecture's settings, beside the published losses; fair: the same amount of text for every rung, and
        one change at a time.
    minutes
        Fair track only: equal time for every rung instead of equal text; this many minutes in all.
    seeds
        How often each rung is trained, each time with another seed.
    seed
        The first of them.
    scaled
        Also train the faithful track's last rung, the lecture's large model: hours on a CPU.
    run
        Folder for the ladder [default: runs/ladder-NAME-OF-THE-TEXT].
    json
        One JSON line for each rung and seed.
    """
    if not 1 <= seeds <= 100:
        raise SettingError("seeds", f"must be 1 to 100 (got {quoted(seeds)})")
    if minutes is not None and track == "faithful":
        raise UsageError("--minutes is for --track fair: the faithful track has the lecture's steps", "--track fair")
    sources, given = common(texts, flags, minutes, seed, seeds)
    out = Output(json)

    from inkwright.session import ladder as session
    from inkwright.session.several import name_of

    folder = run or Path("runs") / f"ladder-{name_of(sources, given)}"
    plan = session.attempts(folder, track, seeds, seed, scaled)
    with interrupt.listening():
        announce(plan, folder, out)
        for attempt in plan:
            found = session.result_of(attempt)
            if found is None:
                watch(session.begin(sources, attempt, minutes and minutes / len(plan), given), out)
                found = session.result_of(attempt)
            if found is None:
                out.say(f"stopped at {attempt.rung.name}; the same command goes on from there")
                return 128 + interrupt.requested()
            report(found, out)
        conclude(folder, plan, out)
    return 0


def announce(plan: Sequence["Attempt"], folder: Path, out: Output) -> None:
    """What will be climbed."""
    rungs, seeds = (
        len(set(part)) for part in zip(*((attempt.rung.name, attempt.seed) for attempt in plan), strict=True)
    )
    done = sum(attempt.done for attempt in plan)
    out.row(
        "ladder",
        f"{plan[0].track}: {rungs} rungs, {seeds} seed{'s' * (seeds != 1)}" + f"; {done} runs done" * bool(done),
    )
    out.row("folder", f"{folder} (Ctrl-C stops, the same command goes on)")
    out.say()
    out.say(f"{'rung':14} {'seed':>6} {'parameters':>10}  {'validation loss':15} {'published':>9} {'time':>8}")


def report(found: "Result", out: Output) -> None:
    """One rung's row."""
    rung, seed = found.attempt.rung, found.attempt.seed
    out.record(
        track=found.attempt.track, rung=rung.name, seed=seed, loss=found.loss, loss_stderr=found.stderr,
        bits_per_char=found.bits_per_char, parameters=found.parameters, block_size=found.block_size, steps=found.steps,
        seconds=found.seconds, published=found.published, as_published=found.as_published, run=str(found.attempt.folder),
    )  # fmt: skip
    published = "" if found.published is None else f"{found.published:.3f}" + (" " if found.as_published else "!")
    loss = f"{found.loss:.4f} ± {found.stderr:.4f}"
    time = duration(found.seconds)
    out.say(f"{rung.name:14} {seed:>6} {found.parameters:>10,}  {loss:15} {published:>9} {time:>8}")


def conclude(folder: Path, plan: Sequence["Attempt"], out: Output) -> None:
    """The page, and what to look for in it."""
    from inkwright.app.page.ladder import write
    from inkwright.session.ladder import attempts, forecast_seconds, results

    left_out = len(attempts(folder, plan[0].track, 1, 0, scaled=True)) - len({attempt.rung.name for attempt in plan})
    if left_out:
        hours = forecast_seconds(attempts(folder, plan[0].track, 1, 0, scaled=True)[-1]) / 3600
        out.say(f"{'scaled':14} left out: about {hours:.1f} hours here; --scaled trains it")
    reached = list(results(folder))
    out.say()
    if any(result.as_published is False for result in reached):
        out.say("! outside the band of the published loss")
    out.row("page", f"{write(folder, reached)} (one file, works offline)")


ladder.__annotations__["flags"] = Annotated[GroundFlags, Parameter(name="*")]
