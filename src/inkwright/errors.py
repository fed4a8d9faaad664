"""Every mistake a person can make, drawn as one tree. Knows nothing of the rest of the program.

    InkwrightError
    ├── UsageError        2    a flag or a value that cannot be
    │   ├── SettingError       one field of a configuration record
    │   └── ContextOverflow    more tokens at once than the model can see
    ├── TextError         3    a text that cannot be read, split or encoded
    ├── ModelError        4    a run, a checkpoint or a model folder that cannot be used
    │   └── DamagedError       its bytes are not the ones that were written
    ├── MachineError      5    no space, no permission, not enough memory
    │   └── SaveError          something could not be written; what stood there before is intact
    ├── DivergedError     6    the loss or a gradient is not a finite number
    └── OccupiedError     7    another process holds the run, or the target exists

The number is the exit code of the command line; 1 is a bug of ours, or a figure or an exercise of `learn` that is not
right; 130 and 143 mean "stopped by a signal, saved".
"""


class InkwrightError(Exception):
    """Something a person can cause, said in one line: what is wrong, the value, what is allowed; the hint: what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class UsageError(InkwrightError):
    """A flag, a value or a combination that cannot be."""

    exit_code = 2


class SettingError(UsageError):
    """One setting has a value it cannot have; `setting` is the name of its field."""

    def __init__(self, setting: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{setting} {problem}", hint)
        self.setting = setting
        self.problem = problem


class ContextOverflow(UsageError):
    """More tokens at once than the model can see."""


class TextError(InkwrightError):
    """A text that cannot be read, split or encoded."""

    exit_code = 3


class ModelError(InkwrightError):
    """A run, a checkpoint or a model folder that cannot be used."""

    exit_code = 4


class DamagedError(ModelError):
    """Bytes on the disk that are not the bytes that were written there."""


class MachineError(InkwrightError):
    """The machine refuses: disk, memory, permission."""

    exit_code = 5


class SaveError(MachineError):
    """A write failed. What stood there before is intact."""


class DivergedError(InkwrightError):
    """The loss or the gradient is no finite number; nothing was overwritten."""

    exit_code = 6


class OccupiedError(InkwrightError):
    """Another process is writing there, or the target already exists."""

    exit_code = 7


def quoted(value: object, limit: int = 80) -> str:
    """The person's own value, fit for one line of a terminal: cut, with control characters escaped."""
    text = str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
