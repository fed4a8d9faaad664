"""The command line as a test calls it: in this process, or as a real one; and finished runs to read."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inkwright.app.cli import run

TINY = """
    --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --warmup-steps 2 --sample-every 0
    --threads 1 --dtype float32
""".split()
KINDS = {"char": [], "bare": ["--alphabet", "bare"], "byte": ["--tokenizer", "byte"], "bpe": ["--tokenizer", "bpe"]}


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Ink = Callable[..., Said]


def call(*args: object, stdin: bytes | None = None) -> Said:
    """Run the command line in this process; whatever it says must be decent."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    err.reconfigure(errors="backslashreplace")
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin or b""))
    sys.stdout, sys.stderr = out, err
    try:
        code = run([str(arg) for arg in args])
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    said = Said(code, *(stream.detach().getvalue().decode() for stream in (_flushed(out), _flushed(err))))  # type: ignore[attr-defined]
    require_decency(said)
    return said


def _flushed(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    return stream


def require_decency(said: Said) -> None:
    """No traceback, no bug of ours; an error is one to three lines (a list of damage may be longer) and comes last."""
    assert "Traceback" not in said.err, said.err
    assert said.code != 1 and "a bug in Inkwright" not in said.err, said.err
    if said.code in (0, 130, 141, 143):
        assert "error: " not in said.err, said.err
        return
    lines = said.err.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith("error: ")), None)
    assert first is not None, f"exit {said.code} without an error: {said}"
    told = [line for line in lines[first:] if not line.startswith(("  step-", "error: ", "hint: ", "note: "))]
    assert not told, f"after an error came {told}"
    assert len([line for line in lines[first:] if line.startswith("hint: ")]) <= lines.count("note: ") + len(lines)
    assert all(len(line) < 600 for line in lines[first:]), said.err


@pytest.fixture(autouse=True)
def only_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests do not count."""
    for name in list(os.environ):
        if name.startswith("INKWRIGHT_") and name not in ("INKWRIGHT_CORPORA", "INKWRIGHT_HOME"):
            monkeypatch.delenv(name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_text: str) -> Path:
    """An empty folder to work in, but for book.txt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(tiny_text[:4000], encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def ink() -> Ink:
    """`ink("sample", run, "--tokens", 5)`: (code, out, err), in this process."""
    return call


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Flags of a model so small that a step takes milliseconds."""
    return TINY


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Callable[[str], Path]:
    """`finished("bpe")`: a run of 30 steps that nobody may change; each kind is trained once."""
    place = tmp_path_factory.mktemp("finished")
    (place / "book.txt").write_text(tiny_text[:4000], encoding="utf-8")

    def make(kind: str) -> Path:
        folder = place / kind
        if not folder.exists():
            asked = [*TINY, *KINDS[kind], "--steps", 30, "--eval-every", 10, "--checkpoint-every", 10]
            if kind == "bpe":
                asked += ["--vocab-size", 300]
            said = call("train", place / "book.txt", "--run", folder, *asked)
            assert said.code == 0, said.err
        return folder

    return make


@pytest.fixture
def copied(finished: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """`copied("char")`: a copy of a finished run, to be spoiled."""

    def make(kind: str = "char", name: str = "run") -> Path:
        return Path(shutil.copytree(finished(kind), tmp_path / name))

    return make


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`process("train", ...)`: the real command, started; ended at the latest with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "inkwright", *(arg if isinstance(arg, bytes) else str(arg) for arg in args)]
        pipe = subprocess.PIPE
        options = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe} | options
        started.append(subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()
