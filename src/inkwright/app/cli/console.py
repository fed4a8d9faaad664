"""What is printed and where: text for people on stdout, or JSON lines there and the rest on stderr. Knows no verb."""

import contextlib
import io
import json
import math
import os
import shutil
import sys
import textwrap
from typing import Any, TextIO

from rich.console import Console

from inkwright.errors import InkwrightError

WIDTH = 80  # columns
STDIN = "<stdin>"
"""What a lone - becomes before parsing, where it would be taken for a flag."""


class _Console(Console):
    """Rich's, except that it leaves the exit code to us."""

    def on_broken_pipe(self) -> None:
        """Let the reader that left be noticed where every other error is."""
        raise BrokenPipeError


class Output:
    """Where a verb prints."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.stream: TextIO = sys.stderr if as_json else sys.stdout
        self.rich = _Console(file=self.stream, highlight=False, markup=False, soft_wrap=not self.stream.isatty())

    def say(self, text: str = "") -> None:
        """A line for people."""
        self.rich.print(safe(text))

    def row(self, label: str, text: str) -> None:
        """A line with a label in front: `model      modern GPT, ...`."""
        self.say(f"{label:<10} {text}")

    def paragraph(self, label: str, text: str) -> None:
        """Sentences with a label in front, broken into lines of at most 80 columns."""
        for i, line in enumerate(textwrap.wrap(safe(text), WIDTH - 11, break_on_hyphens=False)):
            self.row("" if i else label, line)

    def note(self, message: str, hint: str | None = None) -> None:
        """Something a person should know; it goes to stderr."""
        _tell("note", message, hint)

    def warn(self, message: str) -> None:
        """Something went wrong, and the work goes on; it goes to stderr."""
        _tell("warning", message, None)

    def record(self, **fields: Any) -> None:
        """One JSON line, where JSON was asked for. A number that is not finite is null."""
        if self.as_json:
            print(json.dumps({name: _finite(value) for name, value in fields.items()}), flush=True)


def complain(error: InkwrightError) -> None:
    """An error in one or two lines on stderr."""
    _tell("error", error.message, error.hint)


def _tell(kind: str, message: str, hint: str | None) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody is there to read it
        print(_folded(f"{kind}: {safe(message)}"), file=sys.stderr)
        if hint:
            print(_folded(f"hint: {safe(hint)}"), file=sys.stderr)
        sys.stderr.flush()


def _folded(text: str) -> str:
    """Broken between words where a terminal would break within one; one line for a program that reads it."""
    if not sys.stderr.isatty():
        return text
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


def prepare_streams() -> None:
    """Write UTF-8, except to a terminal that says it speaks something else; never fail over one character."""
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def safe(text: str) -> str:
    """The text with control characters spelled out, so that it cannot steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Seconds as a clock: 1:05, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
