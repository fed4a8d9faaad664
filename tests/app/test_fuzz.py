"""Whatever stands on the command line: an exit code of the table, and never a traceback."""

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inkwright import interrupt
from inkwright.app.cli import VERBS, app
from inkwright.app.cli.flags import Flags
from inkwright.config import ModelConfig, TrainConfig

pytestmark = pytest.mark.long

SMALL = {
    "STEPS": 1, "N_LAYER": 1, "N_HEAD": 2, "N_EMBD": 16, "BLOCK_SIZE": 8, "BATCH_SIZE": 2, "THREADS": 1, "DTYPE": "float32",
    "SAMPLE_EVERY": 0, "VOCAB_SIZE": 260,
}  # fmt: skip
"""What counts where no flag says otherwise: a hostile command must not train for long."""

NUMBERS = [
    "0",
    "-1",
    "1",
    "7",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1e-999",
    "ten",
    "1" + "0" * 400,
    "9" * 5000,
    "0.5",
    "1e3",
]
WORDS = [
    "",
    "-",
    "--",
    "---",
    "-x",
    "é",
    "中",
    "\udcff",
    "\ud800",
    "a" * 300,
    "a\nb\x1b[31m",
    "*",
    "[",
    "~",
    "%s",
    "{}",
    "None",
]
PATHS = [
    "run",
    "book.txt",
    "empty",
    "fifo",
    "/dev/null",
    "/dev/zero",
    "gone",
    "book.txt/x",
    "new",
    "model.pt",
    "FILE:gone",
]


def flags_of(verb: str) -> list[str]:
    """Every flag that a verb has, without its dashes."""
    arguments = app[verb].assemble_argument_collection()
    return [name[2:] for argument in arguments for name in argument.names if name.startswith("--")]


OF_VERB = {verb: flags_of(verb) for verb in VERBS} | {"zzz": ["help", "version"]}
OF_VERB["learn"].remove("replay")  # two minutes, and no training that could be asked to stop
POSITIONAL = {verb: [name for one in app[verb].assemble_argument_collection() for name in one.names] for verb in VERBS}
LESSONS = ["list", "show bigram", "show zzz", "run zzz", "start one-head", "start", "check book.txt", "check gone.py"]
LONG = {"minutes", "tokens", "count", "steps"}  # what would take its time if it were granted


GOOD = {
    "shape": "classic", "model": "bigram", "tokenizer": "bpe", "alphabet": "bare", "split": "blocks", "normalize": "NFC",
    "encoding": "latin-1", "device": "cpu", "dtype": "float32", "compile": "off", "on-nan": "skip", "order": "epoch",
    "optimizer": "adamw", "schedule": "cosine", "val": "book.txt", "text": "book.txt", "config": "run", "from": "run",
    "run": "new", "preset": "nanogpt-cpu", "learning-rate": "1e30", "dropout": "0.5", "val-fraction": "0.9", "n-embd": "8",
    "vocab-size": "300", "prompt": "-", "temperature": "0", "top-p": "0.1", "min-p": "1", "minutes": "0.0001",
    "track": "fair", "port": "0", "host": "localhost", "api-key-file": "book.txt",
}  # fmt: skip
"""A value that gets past the first gate; 1 for any other flag."""
SWITCHES = {
    "json",
    "strict",
    "raw",
    "per-token",
    "accept-new-data",
    "bias",
    "until-end",
    "allow-unseen",
    "help",
    "version",
    "quiet",
    "prune",
    "yes",
    "scaled",
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    verb = draw(st.sampled_from(sorted(OF_VERB)))
    good = "run" if "TEXTS" not in POSITIONAL.get(verb, ()) else "book.txt"
    words: list[str] = [good if draw(st.booleans()) else draw(st.sampled_from([*PATHS, *WORDS]))]
    if verb == "compare":
        words = ["run", "run" if draw(st.booleans()) else words[0]]
    if verb == "learn" and draw(st.booleans()):
        words = draw(st.sampled_from(LESSONS)).split()
    for flag in draw(st.lists(st.sampled_from(OF_VERB[verb]), max_size=3, unique=True)):
        spelled = "--" + draw(st.sampled_from([flag, flag.replace("-", "_")]))
        values = [*NUMBERS[:2], *NUMBERS[4:10], *WORDS] if flag in LONG else [*NUMBERS, *WORDS, *PATHS]
        hostile = st.one_of(st.sampled_from(values), st.text(st.characters(exclude_characters="\0"), max_size=4))
        value = GOOD.get(flag, "1") if draw(st.integers(0, 2)) else draw(hostile)
        if flag in LONG and value.strip().lstrip("+").isdigit():
            value = "1"
        if flag in SWITCHES and draw(st.booleans()):
            words.append(spelled)
        else:
            words += draw(st.sampled_from([[spelled, value], [f"{spelled}={value}"]]))
    if draw(st.integers(0, 5)) == 0:  # in any order, the verb perhaps in the middle
        return draw(st.permutations([verb, *words]))
    return [verb, *words]


@contextlib.contextmanager
def cut_short(seconds: float = 0.5) -> Iterator[None]:
    """What listens for Ctrl-C, such as a server, hears it after a moment; nothing it has logged to is left behind."""

    def press(number: int, frame: object) -> None:
        if signal.getsignal(signal.SIGINT) is interrupt._note and not interrupt.requested():
            interrupt._note(signal.SIGINT, None)

    before, handlers = signal.signal(signal.SIGALRM, press), logging.root.handlers[:]
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        logging.root.handlers[:] = handlers
        interrupt._received.clear()  # or whatever comes next in this process would think that it is asked to stop


@pytest.fixture
def trap(here: Path, finished, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder full of things to stumble over."""
    shutil.copytree(finished("char"), "run")
    Path("empty").mkdir()
    Path("model.pt").write_bytes(b"\x80\x04.")
    os.mkfifo("fifo")
    for name, value in SMALL.items():
        monkeypatch.setenv(f"INKWRIGHT_{name}", str(value))
    return here


@given(words=command_lines(), stdin=st.sampled_from([b"", b"\xff", b"Ba" * 99]))
@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(words=["train", "book.txt", "--compile", "off", "--run", "new"], stdin=b"")
@example(words=["serve", "run", "--port", "0"], stdin=b"")
@example(words=["serve", "\ud800"], stdin=b"")
@example(words=["ladder", "book.txt"], stdin=b"")
@example(words=["baseline", "book.txt"], stdin=b"")
@example(words=["scale", "book.txt"], stdin=b"")
@example(words=["compare", "run", "run"], stdin=b"")
@example(words=["runs", "--prune", "--yes", "."], stdin=b"")
@example(words=["sample", "run", "--stop", "", "--tokens", "5"], stdin=b"")
@example(words=["train", "book.txt", "--config", "run", "--run", "new"], stdin=b"")
def test_no_command_line_ends_in_a_traceback(trap, ink, words, stdin):
    with cut_short():
        said = ink(*words, stdin=stdin)
    assert said.code in {0, 2, 3, 4, 5, 6, 7, 130}, said
    assert (Path("run") / "run.json").exists()
    for left in (name for name in os.listdir() if name not in ("run", "empty", "fifo", "model.pt", "book.txt")):
        path = Path(left)
        if said.code in (2, 3, 4, 5):
            assert not (path / "tokens").exists(), f"left behind by {words}"
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in Path("empty").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_the_settings_that_keep_the_fuzzing_short_are_settings():
    assert {name.lower() for name in SMALL} <= Flags.model_fields.keys()
    assert "steps" in TrainConfig.model_fields and "n_layer" in ModelConfig.model_fields
