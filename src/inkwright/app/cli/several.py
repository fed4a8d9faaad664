"""What the verbs have in common that train many runs on one text. Knows no ladder and no sweep."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from inkwright import config as configs
from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import STDIN, gather
from inkwright.errors import UsageError

if TYPE_CHECKING:
    from inkwright.session.training import Training


def common(
    texts: Sequence[str], flags: BaseModel | None, minutes: float | None, seed: int, seeds: int
) -> tuple[list[str], dict[str, Any]]:
    """The text of all trainings, and the settings of text and machine that a person gave for all of them.

    Raises: SettingError   so many minutes or such seeds there cannot be; UsageError   the text can be read only once
    """
    configs.resolve({"minutes": minutes, "seed": seed})
    configs.resolve({"seed": seed + seeds - 1})
    if STDIN in texts:
        raise UsageError("each training reads the text anew, so it cannot be standard input", "give a file")
    ground = {name for name, (section, _) in configs.settable().items() if section in ("text", "machine")}
    given = {name: value for name, value in gather(flags, None).settings.items() if name in ground}
    return list(texts) or ["shakespeare"], given


def watch(training: "Training", out: Output) -> None:
    """Train one of them, with a moving bar where there is a terminal."""
    from inkwright.app.cli.watching import Bar

    with Bar(training, out, lines=False) as bar, closing(iter(training)) as steps:
        for now in steps:
            for warning in now.warnings:
                out.warn(warning)
            bar.show(now)
            if interrupt.requested():
                break
