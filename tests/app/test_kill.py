"""Real processes: killed, interrupted, cut off from their terminal. Nothing is lost, and nobody sees a traceback."""

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import inkwright
from inkwright.run.folder import Run, checkpoint_folders

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]
SEEDS = [0, 1]  # of the moments at which a run is killed
KILLS = 3
PATIENCE = 30.0  # seconds for a process to do anything at all


@pytest.fixture
def plan(tiny) -> list[str]:
    """A training of about two seconds with a save in every moment of it."""
    return [*tiny, *"--steps 300 --checkpoint-every 5 --eval-every 50 --report-every 3 --dropout 0.1".split(), "--json"]


def until(found: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait for something to happen, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, "it never happened"
        if process.poll() is not None:
            return
        time.sleep(0.002)


def holds(run: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether that process has the lock of a run."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return json.loads((run / ".lock").read_bytes())["pid"] == process.pid
    return False


def essence(run: Path) -> dict[str, str]:
    """The hashes of what training made: weights, moments, and the record without its times."""
    newest = checkpoint_folders(run)[-1]
    sums = {name: (newest / name).read_bytes() for name in ("model.safetensors", "optimizer.safetensors")}
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in Run.open(run).reports()]
    sums["metrics"] = json.dumps(lines).encode()
    return {"step": newest.name, **{name: hashlib.sha256(raw).hexdigest() for name, raw in sums.items()}}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_killed_again_and_again_ends_as_the_unbroken_one(here, ink, plan, process, seed):
    assert ink("train", "book.txt", "--run", "unbroken", *plan).code == 0
    moments = random.Random(seed)
    run, killed, command = Path("broken"), 0, ["train", "book.txt", "--run", "broken", *plan]
    for _ in range(KILLS):
        child = process(*command)
        until(lambda: (run / "run.json").exists() and holds(run, child), child)  # noqa: B023 - called at once
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moments.uniform(0, 0.8))
        child.kill()
        killed += child.wait() == -signal.SIGKILL
        assert ink("info", run).code == 0  # whatever the moment, there is a whole model to read
        command = ["resume", run, "--json"]
    assert killed >= 2, "the machine is so fast that the run was over before it could be killed"
    said = ink("resume", run, "--json")
    assert said.code == 0 and json.loads(said.out.splitlines()[-1])["step"] == 300
    assert essence(run) == essence(Path("unbroken"))
    assert not [path for path in run.rglob(".*") if path.name != ".lock"], "something half-written was left"


def stepping(process, *args: object, **options: object) -> subprocess.Popen[bytes]:
    """A training that has begun to step."""
    child = process(*args, **options)
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b'{"event": "progress"')
    return child


ENDLESS = "--steps 1000000 --checkpoint-every 100000 --eval-every 100000 --report-every 3 --json".split()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_step_and_the_run_goes_on_from_there(here, ink, tiny, process, number, code):
    child = stepping(process, "train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    child.send_signal(number)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == code and b"Traceback" not in err
    stopped = json.loads(out.splitlines()[-1])
    assert stopped["event"] == "stopped" and stopped["val_loss"] is None and stopped["run"] == "r"
    step = stopped["step"]
    assert f"saved step {step:,} to r. Continue with: inkwright resume r" in err.decode()
    assert checkpoint_folders(Path("r"))[-1].name == f"step-{step:08d}" and step >= 3
    said = ink("resume", "r", "--steps", step + 3, "--json")
    assert said.code == 0 and f"resuming at step {step:,}" in said.err
    assert json.loads(said.out.splitlines()[-1])["step"] == step + 3
    unbroken = [*tiny, *ENDLESS[2:], "--steps", step + 3, "--schedule", "constant"]
    assert ink("train", "book.txt", "--run", "again", *unbroken).code == 0


def test_a_second_signal_leaves_at_once_and_harms_nothing(here, ink, tiny, process):
    child = stepping(process, "train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    began = time.monotonic()
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        time.sleep(0.001)
    child.communicate(timeout=PATIENCE)
    assert child.returncode in (-signal.SIGINT, 130) and time.monotonic() - began < 2
    assert ink("resume", "r", "--steps", 2).code == 0


def test_a_process_killed_before_its_run_is_written_down_can_be_started_again(here, ink, tiny, process):
    child = process("train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    until(lambda: Path("r/.lock").exists(), child)
    child.kill()
    child.wait()
    (Path("r") / "run.json").unlink(missing_ok=True)  # were it that far already
    said = ink("resume", "r")
    assert said.code == 4 and "error: r was stopped before the run was written down" in said.err
    assert "hint: start it again with inkwright train" in said.err
    assert ink("train", "book.txt", "--run", "r", *tiny, "--steps", 3).code == 0
    assert not [path for path in Path("r").rglob(".*") if path.name.startswith(".tmp-")]


def test_ctrl_c_before_the_first_step_leaves_nothing_behind(here, tiny, process):
    child = process("train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    until(lambda: Path("r/.lock").exists(), child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130 and b"Traceback" not in err
    assert Path("r/run.json").exists() or not Path("r").exists()


# ---------------------------------------------------------------- cut off


def test_a_reader_that_leaves_early_stops_a_training_that_can_be_gone_on_with(here, ink, tiny, process):
    child = stepping(process, "train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    child.stdout.close()  # as `| head -1` does
    assert child.wait(timeout=PATIENCE) == 141
    err = child.stderr.read()
    assert b"Traceback" not in err and b"error" not in err and b"Exception" not in err
    step = int(checkpoint_folders(Path("r"))[-1].name[5:])
    assert step > 0, "what was trained until then is kept"
    assert ink("resume", "r", "--steps", step).code == 0


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_head_ends_a_pipe_without_a_word(here, finished, tiny, verb):
    python = f"{sys.executable} -m inkwright"
    asked = {
        "train": f"train book.txt --run r {' '.join(tiny)} --steps 40 --eval-every 1",
        "sample": f"sample {finished('char')} --count 50 --tokens 30",
    }
    said = subprocess.run(
        ["sh", "-c", f"{python} {asked[verb]} | head -1"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert len(said.stdout.splitlines()) == 1
    assert "Traceback" not in said.stderr and "Exception" not in said.stderr and "error" not in said.stderr


@pytest.mark.parametrize(
    "line, code, told",
    [
        ("doctor - <&-", 3, "error: - reads standard input, and nothing is piped into it"),
        ("sample gone --prompt - <&-", 3, "error: - reads standard input, and there is none"),
        ("doctor book.txt >&-", 0, "note: "),
        ("doctor gone.txt 2>&-", 3, ""),
        ("doctor gone.txt >&- 2>&- <&-", 3, ""),
        ("doctor book.txt > /dev/full", 5, "error: no space left on device"),
        ("--help >&-", 0, ""),
    ],
)
def test_closed_and_full_streams_are_no_accident(here, line, code, told):
    command = f"{sys.executable} -m inkwright {line}"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert said.returncode == code, said.stderr
    assert told in said.stderr and "Traceback" not in said.stderr and "Exception" not in said.stderr


# ---------------------------------------------------------------- surroundings


def test_no_home_no_locale_and_a_narrow_terminal_change_no_exit_code(here, process):
    bare = {"LC_ALL": "C", "COLUMNS": "20", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "LANG", "XDG_CACHE_HOME", "PYTHONUTF8")} | bare
    for args, code in ((["--help"], 0), (["doctor", "book.txt"], 0), (["doctor", "bok.txt"], 3), (["trian"], 2)):
        said = subprocess.run(
            [sys.executable, "-m", "inkwright", *args], env=env, capture_output=True, timeout=PATIENCE, check=False
        )
        assert said.returncode == code and b"Traceback" not in said.stderr, said.stderr
        said.stdout.decode("utf-8")  # a pipe gets UTF-8 whatever the locale says
    assert "é".encode() not in said.stdout


def in_a_terminal(*args: object, env: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Run the command with a terminal of its own; what it wrote there, line ends as a terminal makes them."""
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inkwright", *map(str, args)]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **(env or {})})
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # Linux says so when the other side is gone
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    return child.wait(timeout=PATIENCE), written


def test_a_terminal_is_not_steered_by_what_a_model_writes_unless_asked_to(here, ink, tiny):
    Path("evil.txt").write_text(("abc dab\n" * 25 + "\x1b]0;\x07") * 20, encoding="utf-8")
    assert ink("train", "evil.txt", "--run", "r", *tiny, "--steps", 2).code == 0
    sampling = {"max_new_tokens": 200, "temperature": 5.0, "seed": 3}
    text = inkwright.load("r").generate("a", **sampling)
    assert "\x1b" in text and "\x07" in text, "for this test to say anything"
    asked = ["sample", "r", "--prompt", "a", "--tokens", 200, "--temperature", 5, "--seed", 3]
    plain = {"NO_COLOR": "1", "TERM": "xterm"}
    code, shown = in_a_terminal(*asked, env=plain)
    assert code == 0 and b"\x1b" not in shown and b"\x07" not in shown
    escaped = text.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert shown.decode().replace("\r\n", "\n") == f"a{escaped}\n"
    code, raw = in_a_terminal(*asked, "--raw", env=plain)
    assert code == 0 and raw.decode().replace("\r\n", "\n") == f"a{text}\n"
    assert ink(*asked).out == f"a{text}\n"  # a pipe gets the exact text


def test_a_training_in_a_narrow_terminal_moves_a_bar_and_says_nothing_that_steers(here, tiny):
    Path("evil.txt").write_text(("abc dab\n" * 25 + "\x1b]0;\x07") * 20, encoding="utf-8")
    code, shown = in_a_terminal("train", "evil.txt", *tiny, "--steps", 20, env={"COLUMNS": "20", "TERM": "xterm"})
    assert code == 0 and b"Traceback" not in shown
    assert b"done       step 20" in shown
    assert b"\x07" not in shown and not re.search(rb"\x1b\]", shown)
