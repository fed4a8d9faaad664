"""What the rows share: a tally of trials, forked children that can be killed, and micro runs. Knows no row."""

import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("GOMP_SPINCOUNT", "300")  # before torch: what the command line does too

import torch

from inkwright import config as configs
from inkwright import interrupt
from inkwright.errors import InkwrightError, ModelError
from inkwright.run.folder import Run, checkpoint_folders
from inkwright.session.prepare import prepare
from inkwright.session.resuming import reopen
from inkwright.session.training import Training

PATIENCE = 120.0  # seconds for a child to do anything at all
MICRO = dict(
    n_layer=2, n_head=2, n_embd=32, block_size=16, batch_size=4, dropout=0.1, steps=60, eval_every=12, report_every=3,
    checkpoint_every=5, sample_every=0, warmup_steps=5, dtype="float32", device="cpu", compile="off", threads=1,
)  # fmt: skip
"""About 30,000 parameters, both optimizers, dropout."""
TINY = MICRO | dict(n_layer=1, n_embd=8, batch_size=2, block_size=8)

torch.set_num_threads(1)  # before any fork: a pool of threads does not live on in the child

T = TypeVar("T")


class Tally:
    """What became of the trials of a row."""

    def __init__(self, wanted: int, deadline: float = float("inf"), seed: int | None = 0) -> None:
        self.wanted, self.deadline, self.random = wanted, deadline, random.Random(seed)
        self.trials = 0
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.began = time.monotonic()

    def more(self) -> bool:
        """Whether there is another trial to make."""
        return self.trials < self.wanted and time.monotonic() < self.deadline

    def some_of(self, cases: Sequence[T]) -> Iterator[T]:
        """All the cases where that many trials are wanted, else some of them, evenly spaced."""
        count = min(self.wanted - self.trials, len(cases))
        for i in range(count):
            if time.monotonic() < self.deadline:
                yield cases[i * len(cases) // count]

    @contextlib.contextmanager
    def trial(self, what: object) -> Iterator[None]:
        """One trial. Whatever goes wrong in it is written down; the next one follows."""
        self.trials += 1
        try:
            yield
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(
                f"{what}: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
            )

    def note(self, text: str) -> None:
        """Something to be seen beside the count, such as a part that cannot be tried on this machine."""
        if text not in self.notes:
            self.notes.append(text)


# ---------------------------------------------------------------- children

_children: set[int] = set()


def fork(work: Callable[[], object], log: Path) -> int:
    """A child that does some work and leaves with its exit code; what it says is in `log`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside other threads: they hold nothing here
        pid = os.fork()
    if pid:
        _children.add(pid)
        return pid
    code = 1
    try:
        sys.stdout = sys.stderr = open(log, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        interrupt._received.clear()
        result = work()
        code = result if isinstance(result, int) else 0
    except InkwrightError as error:
        print(f"error: {error}")
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def finish(pid: int, patience: float = PATIENCE) -> tuple[int, float]:
    """How a child ended (its exit code, or minus a signal), and the CPU seconds it took."""
    deadline = time.monotonic() + patience
    while (end := _ended(pid)) is None:
        if time.monotonic() > deadline:
            kill(pid)
            raise AssertionError(f"a child hung for {patience:.0f} seconds")
        time.sleep(0.001)
    return end


def ended(pid: int) -> int | None:
    """How a child ended; None while it has not."""
    return end[0] if (end := _ended(pid)) else None


def _ended(pid: int) -> tuple[int, float] | None:
    gone, status, usage = os.wait4(pid, os.WNOHANG)
    if not gone:
        return None
    _children.discard(pid)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def kill(pid: int) -> bool:
    """Kill a child without a word; whether it was still alive."""
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    _children.discard(pid)
    return os.WIFSIGNALED(status)


def kill_all() -> None:
    """No process of ours is left behind."""
    for pid in list(_children):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            kill(pid)


def cpu_seconds(pid: int) -> float | None:
    """What a living child has used so far; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def read_log(log: Path) -> str:
    """What a child said; a traceback is never allowed."""
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    assert "Traceback" not in said, said[-3000:]
    return said


@contextlib.contextmanager
def swapped(owner: Any, name: str, value: object) -> Iterator[None]:
    """Something else under a name, for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


# ---------------------------------------------------------------- runs


def book(place: Path, name: str = "book.txt", characters: int = 4000) -> Path:
    """A text made here, always the same."""
    rng = random.Random(20)
    syllables = [first + last for first in "bcdfglmnprstv" for last in ("a", "e", "é", "in", "or", "us")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(300)]
    text = ""
    while len(text) < min(characters, 100_000):
        text += " ".join(rng.choices(words, k=9)).capitalize() + rng.choice([".\n", ". ", "! "])
    path = place / name
    path.write_text((text * (characters // len(text) + 1))[:characters], encoding="utf-8")
    return path


def begin(text: Path, folder: Path, **settings: object) -> Training:
    """A run that is ready for its first step."""
    asked = MICRO | settings
    return Training(prepare([str(text)], folder, configs.resolve(asked), set(asked)).run)


def go_on(folder: Path, **settings: object) -> Training:
    """The same run again, as `inkwright resume` has it."""
    return reopen(folder, settings)[0]


def run_through(training: Training, until: int | None = None) -> Path:
    """Train to the end, or leave after a step; the folder."""
    for progress in (steps := iter(training)):
        if progress.step == until:
            break
    steps.close()
    return training.run.folder


def begin_or_go_on(text: Path, folder: Path, **settings: object) -> Path:
    """What a person does after a kill: resume; where the run was not written down yet, start it again."""
    try:
        training = go_on(folder)
    except ModelError as error:
        told = "was stopped before the run was written down" in error.message and "start it again" in str(error.hint)
        assert told or "no such folder" in error.message or not any(folder.iterdir()), error.message
        training = begin(text, folder, **settings)
    return run_through(training)


def essence(run: Path) -> dict[str, str]:
    """The hashes of what a training made: weights, moments, and its record without times."""
    newest = checkpoint_folders(run)[-1]
    parts = {name: (newest / name).read_bytes() for name in ("model.safetensors", "optimizer.safetensors")}
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in Run.open(run).reports()]
    parts["metrics.jsonl"] = json.dumps(lines).encode()
    return {"step": newest.name, **{name: hashlib.sha256(raw).hexdigest() for name, raw in parts.items()}}


def no_leftovers(run: Path) -> None:
    """Nothing half-written is left in a run."""
    left = [path.name for path in run.rglob(".*") if path.name.startswith((".tmp-", ".del-"))]
    assert not left, left


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
