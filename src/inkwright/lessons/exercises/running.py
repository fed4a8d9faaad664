"""A learner's file: begun, run, judged. Whatever goes wrong in it becomes a sentence; knows no single exercise."""

import contextlib
import ctypes
import difflib
import inspect
import io
import os
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from inkwright import interrupt, storage
from inkwright.errors import InkwrightError, OccupiedError, TextError, UsageError, quoted
from inkwright.lessons.exercises.catalog import EXERCISES
from inkwright.lessons.exercises.exercise import Exercise, Wrong, kind

MARKER = "# inkwright exercise: "
PATIENCE_SECONDS = 60.0
NOT_FINISHED = "not finished after a minute: is there a loop that never ends?"
SHOWN_CHARACTERS = 400  # of what a learner's file prints


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right; if not, the first thing that is wrong with it."""

    passed: bool
    message: str
    hint: str | None


def find(id: str) -> Exercise:
    """The exercise of that name.

    Raises: UsageError
    """
    if id not in EXERCISES:
        near = difflib.get_close_matches(id.replace("_", "-"), EXERCISES, n=1)
        known = f"did you mean {near[0]}?" if near else f"there are: {', '.join(EXERCISES)}"
        raise UsageError(f"there is no exercise {quoted(id)}", known)
    return EXERCISES[id]


def hint(id: str) -> str:
    """A nudge in the right direction, without the answer.

    Raises: UsageError   there is no such exercise
    """
    return find(id).hint


def start(id: str, folder: Path) -> Path:
    """Write the file of an exercise into the learner's folder; what is there already is never touched.

    Raises: UsageError   there is no such exercise; OccupiedError   the file is there; MachineError   cannot be written
    """
    exercise = find(id)
    path = folder / f"{id.replace('-', '_')}.py"
    if os.path.lexists(path):
        raise OccupiedError(
            f"{quoted(path)} is already there and was left as it is",
            "check it as it stands; to begin anew, rename it or give another folder",
        )
    storage.make_folder(folder)
    storage.replace(path, f"{MARKER}{id}\n{exercise.starter.lstrip()}".encode())
    return path


def check(path: Path) -> Verdict:
    """Run a learner's file and judge it.

    Raises: UsageError   no such file, or it does not say which exercise it is; TextError   it cannot be read
    """
    source = _read(path)
    exercise = _exercise_of(source, path)
    run = _Run(exercise, source, str(path))
    with _own_streams() as printed, _own_torch():
        _patiently(run)
    if isinstance(run.outcome, InkwrightError):
        raise run.outcome
    passed = isinstance(run.outcome, str)
    return Verdict(passed, f"{run.outcome or NOT_FINISHED}{printed.told()}", None if passed else exercise.hint)


class _Impatience(BaseException):
    """Raised inside a learner's file that does not come to an end."""


def _patiently(run: Callable[[], None]) -> None:
    """Run it in a thread of its own, which is made to stop when patience ends or a person asks to."""
    thread = threading.Thread(target=run, name="exercise", daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while thread.is_alive() and time.monotonic() < until:
            interrupt.check()
            thread.join(0.1)
    finally:
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Impatience))
            thread.join(1.0)


def _read(path: Path) -> str:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise UsageError(f"{quoted(path)} {what}", "give the file that an exercise was started in")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TextError(f"{quoted(path)} is not UTF-8", "save it as UTF-8 in your editor") from None
    except OSError as error:
        raise TextError(f"cannot read {quoted(path)}: {(error.strerror or str(error)).lower()}") from None


def _exercise_of(source: str, path: Path) -> Exercise:
    first = source.partition("\n")[0].strip()
    id = first.removeprefix(MARKER.strip()).strip()
    if not first.startswith(MARKER.strip()) or id not in EXERCISES:
        near = difflib.get_close_matches(
            (id if first.startswith(MARKER.strip()) else path.stem).replace("_", "-"), EXERCISES, n=1
        )
        raise UsageError(
            f"the first line of {quoted(path)} does not say which exercise it is",
            f"put this line first: {MARKER}{near[0] if near else 'ID'}",
        )
    return EXERCISES[id]


# ---------------------------------------------------------------- running a stranger's file


class _Run:
    """The learner's file, executed and checked. `outcome`: what is right, an exception of ours, or an exception's words."""

    def __init__(self, exercise: Exercise, source: str, path: str) -> None:
        self.exercise, self.source, self.path = exercise, source, path
        self.outcome: str | Wrong | InkwrightError | None = None

    def __call__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.outcome = self.exercise.check(**self._functions())
        except (Wrong, InkwrightError) as found:
            self.outcome = found
        except BaseException as error:  # SystemExit too: nothing that a file does may end the program that judges it
            self.outcome = Wrong(self._words(error))

    def _functions(self) -> dict[str, Callable[..., Any]]:
        """What the check asks for, taken from the file once it has run."""
        module = types.ModuleType("exercise")
        exec(compile(self.source, self.path, "exec", dont_inherit=True), module.__dict__)
        asked = types.ModuleType("starter")
        exec(self.exercise.starter, asked.__dict__)
        return {name: self._function(module, asked, name) for name in self.exercise.functions}

    @staticmethod
    def _function(module: types.ModuleType, asked: types.ModuleType, name: str) -> Callable[..., Any]:
        parameters = inspect.signature(getattr(asked, name)).parameters
        if not hasattr(module, name):
            raise Wrong(f"there is no {name}({', '.join(parameters)}) in the file: was it renamed?")
        function = getattr(module, name)
        if not callable(function):
            raise Wrong(f"{name} is {kind(function)}; a function is expected")
        with contextlib.suppress(ValueError):  # some callables have no signature
            try:
                inspect.signature(function).bind(*parameters)
            except TypeError as error:
                raise Wrong(f"{name} must take ({', '.join(parameters)}): {error}") from None
        return function

    def _words(self, error: BaseException) -> str:
        """An exception as a sentence with the line of the learner's file that it came from."""
        if isinstance(error, SyntaxError) and error.filename in (self.path, None):
            place = f"line {error.lineno}" if error.lineno else "the file"
            return f"{place} is not Python yet: {error.msg}{self._quote(error.lineno)}"
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.path]
        said = quoted(str(error).strip().partition("\n")[0], 200)
        name = f"{kind(error)}{f': {said}' if said else ''}"
        if not frames:
            return f"the check could not use what it was given ({name})"
        line, function = frames[-1].lineno, frames[-1].name
        if isinstance(error, NotImplementedError):
            return f"{function} is not filled in yet: line {line} still raises NotImplementedError"
        if isinstance(error, _Impatience):
            return f"{NOT_FINISHED} It was at line {line}{self._quote(line)}"
        if isinstance(error, SystemExit):
            return f"line {line} ends the program{self._quote(line)}; take that out"
        if isinstance(error, RecursionError):
            return f"{function} calls itself without end (line {line})"
        return f"line {line} stops with {name}{self._quote(line)}"

    def _quote(self, line: int | None) -> str:
        lines = self.source.splitlines()
        text = lines[line - 1].strip() if line and line <= len(lines) else ""
        return f" (`{quoted(text, 60)}`)" if text else ""


class _Printed(io.StringIO):
    """What a file prints, as far as anyone would read it."""

    cut = False

    def write(self, text: str) -> int:
        room = SHOWN_CHARACTERS - self.tell()
        self.cut |= len(text) > room
        super().write(text[: max(room, 0)])
        return len(text)

    def told(self) -> str:
        text = self.getvalue().rstrip()
        return f"\nYour file printed:\n{text}{' ...' if self.cut else ''}" if text else ""


@contextlib.contextmanager
def _own_streams() -> Iterator[_Printed]:
    """Nothing that the file prints reaches the terminal by itself, and it can ask nobody for input."""
    printed, stdin = _Printed(), sys.stdin
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        sys.stdin = io.StringIO()
        try:
            yield printed
        finally:
            sys.stdin = stdin


@contextlib.contextmanager
def _own_torch() -> Iterator[None]:
    """Seeds and the default type are as they were, whatever the file sets."""
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
