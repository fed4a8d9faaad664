"""inkwright resume"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import Flags, as_given, gather


def resume(
    run: Path,
    /,
    *,
    text: list[str] | None = None,
    accept_new_data: bool = False,
    strict: bool = False,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Go on with a run where it was left. No flag needs to be repeated.

    --minutes gives it so many more from now on, also where it had ended: then the learning rate goes back to where it would
    be had all the time been planned from the start. --steps moves its end to that step.

    Parameters
    ----------
    run
        The folder of the run.
    text
        Where the text is now, if it was moved.
    accept_new_data
        Go on although the text has changed.
    strict
        Refuse when the newest checkpoint is damaged, instead of going on from the one before.
    json
        Write JSON lines to stdout, all else to stderr.
    """
    out = Output(json)
    given = gather(flags, None)

    from inkwright.app.cli.watching import announce, watch
    from inkwright.session.resuming import reopen
    from inkwright.text.corpus import Note

    texts = [as_given(part) for part in text] if text else None
    with interrupt.listening():
        training, notes = reopen(run, given.settings, texts, accept_new_data, strict)
        announce(training, [Note(note) for note in notes], out)
        return watch(training, out)


resume.__annotations__["flags"] = Annotated[Flags, Parameter(name="*")]
