"""inkwright sample --interactive: beginnings in, texts out, settings changed on the way."""

import contextlib
import io
import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import NAMES, flag, in_flags
from inkwright.config import SampleConfig, change
from inkwright.errors import InkwrightError, UsageError, quoted

if TYPE_CHECKING:
    from inkwright.language_model import LanguageModel

FIELDS = {
    NAMES.get(name, name).replace("_", "-"): name
    for name in SampleConfig.model_fields
    if name not in ("logit_bias", "stop")
}
"""A slash command for each setting that is one value, by the name of its flag."""

OTHERS = ", ".join("/" + name for name in FIELDS if name != "temperature")
HELP = f"""Type how a text begins, and Enter; an empty line begins anywhere. Each text
has its own seed.
  /temperature 0.8   change a setting; without a value, show it
{textwrap.fill(OTHERS, 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)}
  /help   /quit
Ctrl-C stops a text, Ctrl-D ends."""


def converse(lm: "LanguageModel", config: SampleConfig, out: Output, shown: Callable[[str], str]) -> int:
    """Read lines until there are no more; the exit code.

    Raises: UsageError   no standard input
    """
    from inkwright.app.cli.loading import tell_unknown

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() then edits a line and remembers the ones before
    if sys.stdin is None:
        raise UsageError("--interactive reads standard input, and there is none", "--prompt TEXT needs none")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a line that is not UTF-8 is a beginning like another
    print("Type how a text begins. /help says what else there is.")
    while True:
        try:
            line = input("> ")
            if line.startswith("/"):
                if line.strip() == "/quit":
                    return 0
                config = obey(line, config)
                continue
            if line:
                tell_unknown(lm, line, out)
            print(shown(line), end="", flush=True)
            for written in lm.write(line, config):
                print(shown(written.text), end="", flush=True)
            print()
            config = change(config, seed=(config.seed + 1) % 2**63)
        except EOFError:
            print()
            return 0
        except KeyboardInterrupt:  # the text ends, or the line that was being typed
            print()
        except InkwrightError as error:
            out.say(str(in_flags(error)))


def obey(line: str, config: SampleConfig) -> SampleConfig:
    """The settings after a slash command.

    Raises: UsageError   no such command, or a value that cannot be
    """
    name, _, value = line.strip()[1:].partition(" ")
    if name == "help":
        print(HELP)
        return config
    if name not in FIELDS:
        raise UsageError(f"{quoted('/' + name)} is not a command", "/help lists them")
    field = FIELDS[name]
    if value:
        config = change(config, **{field: value.strip()})
    print(f"{flag(field)} is {getattr(config, field)}")
    return config
