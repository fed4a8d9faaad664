"""The command line: one file a verb. Imports torch, and the settings, only where needed, so that --help is quick."""

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import NoReturn

import cyclopts
from cyclopts import App, CycloptsError, Parameter

from inkwright import clock, interrupt
from inkwright.app.cli import console
from inkwright.app.cli.console import STDIN
from inkwright.errors import InkwrightError, MachineError, SettingError, UsageError, quoted
from inkwright.version import __version__

app = App(
    name="inkwright",
    help="Train a small GPT from scratch on your own text, and let it write.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    help_on_error=False,
    help_format="plaintext",
)
VERBS = {
    "train": "Train a model from scratch on a text.",
    "resume": "Go on with a run where it was left. No flag needs to be repeated.",
    "sample": "Let a model write.",
    "eval": "Measure how well a model knows a text: exactly, every token once.",
    "compare": "Say which of two models knows a text better, and whether the difference is real.",
    "report": "Write one page about a run: what its loss means, how it learned, what it writes.",
    "novelty": "Say how much of what a model writes is copied from its training text.",
    "info": "Say what a run, a checkpoint or a model folder is.",
    "runs": "List the runs in a folder: what each has reached, and what it takes on the disk.",
    "baseline": "Say what a loss on a text means: what guessing, counting and packing need for it.",
    "scale": "Find out with small trainings how large a model should be, and what would help it.",
    "ladder": "Train every rung from the bigram to the GPT on a text, and draw the staircase.",
    "serve": "Let models write for a page in your browser, and for OpenAI's clients.",
    "doctor": "Say what is odd about a text, before any training.",
    "learn": "The lecture as lessons that run here, and exercises that check themselves.",
}
for order, (verb, meaning) in enumerate(VERBS.items()):
    app.command(f"inkwright.app.cli.{verb}:{verb}", help=meaning, sort_key=order)
app.register_install_completion_command()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and leave the process with the exit code of the table in errors.py."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    clock.count_from_process_start()
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # a thread that waits must not spin for long: docs/diary.md
    console.prepare_streams()
    code = run([a for a in arguments if a != "--debug"], debug)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    sys.stdout = open(os.devnull, "w")  # a reader that left early is no error worth a message at exit  # noqa: SIM115
    sys.exit(code)


def run(arguments: list[str], debug: bool = False) -> int:
    """Run one verb; its exit code. Nothing that a person can do comes out as a traceback."""
    try:
        return app([STDIN if a == "-" else a for a in arguments]) or 0
    except KeyboardInterrupt:
        return 130
    except interrupt.Interrupted:  # before there was anything to save
        return 128 + interrupt.requested()
    except BrokenPipeError:
        return 141
    except Exception as error:
        if interrupt.left() and not isinstance(error, InkwrightError):
            return 130
        known = in_our_words(error, arguments)
        if debug:
            traceback.print_exc()
        console.complain(known or _bug(error))
        return known.exit_code if known else 1


def in_our_words(error: Exception, arguments: Sequence[str]) -> InkwrightError | None:
    """What a person did, or what the machine refused; None for a bug of ours."""
    from inkwright.app.cli.flags import in_flags

    if isinstance(error, InkwrightError):
        return in_flags(error)
    if isinstance(error, CycloptsError):
        return usage_error(error, arguments)
    if isinstance(error, ImportError) and error.name in (None, "torch"):
        return MachineError(f"PyTorch does not load ({quoted(error)})", "install it again; see the README")
    if isinstance(error, MemoryError):
        return MachineError("this machine has not enough memory for that", "a smaller model, batch or text")
    if isinstance(error, OSError):
        place = f"{quoted(error.filename)}: " if error.filename is not None else ""
        return MachineError(place + (error.strerror or str(error)).lower())
    return None


def usage_error(error: CycloptsError, arguments: Sequence[str]) -> InkwrightError:
    """What the parser refused, in our words."""
    from pydantic import ValidationError

    from inkwright.app.cli.flags import Flags, SampleFlags, in_flags
    from inkwright.app.server.limits import Limits
    from inkwright.config import setting_error

    cause = error.__cause__ or error.__context__
    if isinstance(cause, ValidationError):
        return in_flags(setting_error(cause, Flags.model_fields | SampleFlags.model_fields | Limits.model_fields))
    if isinstance(cause, SettingError):
        return in_flags(cause)
    message = str(error).replace(STDIN, "-").strip().splitlines()[0]
    head, _, suggestion = message.partition(" Did you mean ")
    if isinstance(error, cyclopts.CoercionError) and error.argument is not None and error.token is not None:
        kind = "a whole number" if error.argument.hint is int else "another kind of value"
        head = f"{error.argument.name} must be {kind} (got {quoted(error.token.value) or 'nothing'})"
    elif isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
        head = f"too many arguments: {quoted(' '.join(error.unused_tokens).replace(STDIN, '-'))}"
    head = quoted(head.rstrip("."), 300)
    verb = next((a for a in arguments if a in VERBS), "")
    hint = f"did you mean {suggestion.split('?')[0]}?" if suggestion else f"inkwright {verb} --help".replace("  ", " ")
    return UsageError(head[:1].lower() + head[1:], hint)


def _bug(error: Exception) -> InkwrightError:
    with tempfile.NamedTemporaryFile("w", prefix="inkwright-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"inkwright {__version__}, Python {sys.version}\n{sys.argv}\n{traceback.format_exc()}")
    what = quoted(f"{type(error).__name__}: {error}")
    return InkwrightError(f"a bug in Inkwright ({what})", f"please report it, with the file {log.name}")
