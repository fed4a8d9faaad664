"""inkwright train"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from inkwright import config as configs
from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import Flags, as_given, gather
from inkwright.errors import SettingError, UsageError


def train(
    *texts: str,
    run: str | None = None,
    preset: str | None = None,
    config: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    portable: bool = False,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Train a model from scratch on a text.

    Parameters
    ----------
    texts
        A file, a folder, a glob, - for standard input, or a named text: pydocs (the default), shakespeare.
    run
        Folder for the run [default: runs/NAME-OF-THE-TEXT].
    preset
        laptop (the default), nanogpt-cpu, nanogpt-gpu, lecture.
    config
        A TOML file with settings, or the folder of a run whose settings to repeat.
    from_
        A run or model to start from instead of fresh weights; its alphabet may grow.
    portable
        Keep to shapes that transformers and llama.cpp read, also where --minutes would choose another.
    json
        Write JSON lines to stdout, all else to stderr.
    """
    out = Output(json)
    if run == "":
        raise UsageError("--run must be the name of a folder (got nothing)", "leave it out: runs/NAME-OF-THE-TEXT")
    given = gather(flags, config)
    preset = preset or given.preset
    sources = [as_given(text) for text in texts] or list(given.texts) or ["pydocs"]
    settings = ({"model": "gpt"} if portable else {}) | given.settings
    if portable and settings["model"] != "gpt":
        raise UsageError(f"--portable and --model {settings['model']} contradict each other", "leave one of them out")
    resolved = configs.resolve(settings, preset)
    if {"minutes", "steps"} <= settings.keys():
        raise SettingError("minutes", "and --steps say the same thing twice", "give one of them")

    from inkwright.app.cli.watching import announce, watch  # from here on torch is needed
    from inkwright.session.prepare import prepare
    from inkwright.session.training import Training

    with interrupt.listening():
        place = Path(run) if run else None
        prepared = prepare(sources, place, resolved, set(settings), from_, free=preset is None)
        training = Training(prepared.run)
        announce(training, prepared.notes, out)
        return watch(training, out)


train.__annotations__["flags"] = Annotated[Flags, Parameter(name="*")]
