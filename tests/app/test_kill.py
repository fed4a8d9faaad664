"""Real processes: killed, interrupted, cut off from their terminal. Nothing is lost, and nobody sees a traceback."""

import contextlib
import hashlib
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import inkwright
from inkwright.run.folder import Run, checkpoint_folders, step_of
from tests.lossless.harness import PATIENCE, cpu_seconds

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
]
RUNS = 2
KILLS = 3


def until(found: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait for something to happen, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, "it never happened"
        if process.poll() is not None:
            return
        time.sleep(0.002)


def work_on(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until it has computed for so long, however long that takes."""
    before = cpu_seconds(process.pid)
    if before is None:  # this system does not tell
        return time.sleep(seconds * 3)
    until(lambda: (cpu_seconds(process.pid) or math.inf) - before >= seconds, process)


def essence(run: Path) -> dict[str, str]:
    """The hashes of what training made: weights, moments, and the record without its times."""
    newest = checkpoint_folders(run)[-1]
    sums = {name: (newest / name).read_bytes() for name in ("model.safetensors", "optimizer.safetensors")}
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in Run.open(run).reports()]
    sums["metrics"] = json.dumps(lines).encode()
    return {"step": newest.name, **{name: hashlib.sha256(raw).hexdigest() for name, raw in sums.items()}}


def test_runs_killed_again_and_again_end_as_the_unbroken_one(here, ink, tiny, process):
    plan = [
        *tiny,
        "--steps",
        1_000_000,
        "--eval-every",
        40,
        "--report-every",
        1,
        "--dropout",
        0.1,
    ]  # never done in time
    moments = random.Random(20)
    runs = [Path(f"broken{i}") for i in range(RUNS)]
    commands = {run: ["train", "book.txt", "--run", run, *plan, "--checkpoint-every", 5] for run in runs}
    repeated: list[int] = []  # for each kill, how many steps were on record that no checkpoint held
    for _ in range(KILLS):
        children = {run: process(*commands[run], "--json") for run in runs}  # side by side
        for run, child in children.items():
            first = child.stdout.readline()  # from here on it steps
            assert first.startswith(b'{"event": "progress"'), child.stderr.read()
            time.sleep(moments.uniform(0, 0.15))
            child.kill()
            assert child.wait() == -signal.SIGKILL
            repeated.append(Run.open(run).reports()[-1]["step"] - step_of(checkpoint_folders(run)[-1]))
            assert ink("info", run).code == 0  # whatever the moment, there is a whole model to read
            commands[run] = ["resume", run]
    assert max(repeated) > 0, "no kill came between two saves: for this test to say anything one must"
    end = max(step_of(checkpoint_folders(run)[-1]) for run in runs) + 7
    settings = {
        flag.removeprefix("--").replace("-", "_"): value for flag, value in zip(plan[::2], plan[1::2], strict=True)
    }
    whole = inkwright.fit("book.txt", "unbroken", **settings, checkpoint_every=100_000)
    for steps in (whole, *map(inkwright.resume, runs)):
        while next(steps).step < end:
            pass
        steps.close()
    for run in runs:
        assert essence(run) == essence(Path("unbroken"))
        assert not [path for path in run.rglob(".*") if path.name != ".lock"], "something half-written was left"


def test_a_run_that_was_given_more_minutes_and_killed_goes_on_from_its_record_alone(here, ink, tiny, process):
    assert ink("train", "book.txt", "--run", "r", *tiny, "--steps", 30, "--dropout", 0.1).code == 0
    shutil.copytree("r", "whole")
    asked = ["--minutes", 60, "--checkpoint-every", 7, "--report-every", 1, "--eval-every", 40]
    child = process("resume", "r", *asked, "--json")
    for _ in range(10):
        assert child.stdout.readline().startswith(b'{"event": "progress"'), child.stderr.read()
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert Run.open(Path("r")).config.train.plan[1].step == 30, "the plan is an event of its step"
    shutil.copy("r/run.json", "whole/run.json")
    end = Run.open(Path("r")).reports()[-1]["step"] + 7
    for run in ("r", "whole"):
        steps = inkwright.resume(run)
        while next(steps).step < end:
            pass
        steps.close()
    assert essence(Path("r")) == essence(Path("whole"))


def test_minutes_and_steps_contradict_each_other_in_resume_as_in_train(here, ink, finished):
    said = ink("resume", finished("char"), "--minutes", 1, "--steps", 99)
    assert said.code == 2 and "error: --minutes and --steps say the same thing twice" in said.err


def stepping(process, *args: object, **options: object) -> subprocess.Popen[bytes]:
    """A training that has begun to step."""
    child = process(*args, **options)
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b'{"event": "progress"')
    return child


ENDLESS = [
    "--steps",
    "1000000",
    "--checkpoint-every",
    "100000",
    "--eval-every",
    "100000",
    "--report-every",
    "3",
    "--json",
]


def test_a_signal_saves_the_step_and_the_run_goes_on_from_there(here, ink, tiny, process):
    signals = {"int": (signal.SIGINT, 130), "term": (signal.SIGTERM, 143)}
    children = {run: process("train", "book.txt", "--run", run, *tiny, *ENDLESS) for run in signals}  # side by side
    for run, (number, code) in signals.items():
        child = children[run]
        assert child.stdout.readline().startswith(b'{"event": "progress"')
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE)
        assert child.returncode == code and b"Traceback" not in err
        stopped = json.loads(out.splitlines()[-1])
        assert stopped["event"] == "stopped" and stopped["val_loss"] is None and stopped["run"] == run
        step = stopped["step"]
        assert f"saved step {step:,} to {run}. Continue with: inkwright resume {run}" in err.decode()
        assert checkpoint_folders(Path(run))[-1].name == f"step-{step:08d}" and step >= 3
        said = ink("resume", run, "--steps", step + 3, "--json")
        assert said.code == 0 and f"resuming at step {step:,}" in said.err
        assert json.loads(said.out.splitlines()[-1])["step"] == step + 3


def test_a_second_signal_leaves_in_the_middle_of_a_step_and_harms_nothing(here, ink, tiny, process):
    slow = ["--batch-size", 400_000, "--micro-batch-size", 1000]  # a step of many seconds
    asked = [*tiny[: tiny.index("--batch-size")], *tiny[tiny.index("--batch-size") + 2 :], *slow]
    child = process("train", "book.txt", "--run", "r", *asked, *ENDLESS)
    assert any(line.startswith(b"A fresh model scores") for line in child.stderr)  # the next is the first step
    work_on(child, 0.4)
    child.send_signal(signal.SIGINT)
    work_on(child, 0.4)
    assert child.poll() is None, "the first signal waits for the end of the step"
    while child.poll() is None:
        child.send_signal(signal.SIGINT)  # two that come before Python looks are one
        time.sleep(0.2)
    assert child.returncode == -signal.SIGINT
    assert ink("info", "r").code == 0


def test_a_stop_whose_save_fails_is_an_error_and_not_called_saved(here, ink, tiny, process):
    child = stepping(process, "train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    Path("r/checkpoints").rename("r/aside")
    Path("r/checkpoints").write_text("")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 5 and b"Traceback" not in err and b"saved step" not in err
    assert re.search(
        rb"error: save at step [\d,]+ failed \(.*\); step 0 is intact\nhint: mend that, then: inkwright resume r", err
    )
    Path("r/checkpoints").unlink()
    Path("r/aside").rename("r/checkpoints")
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
    assert Path("r/run.json").exists() or not [path for path in Path().glob("r/*") if path.name != ".lock"]


# ---------------------------------------------------------------- cut off


def test_a_reader_that_leaves_early_is_no_error_and_what_was_trained_is_kept(here, ink, finished, tiny, process):
    lines = process("train", "book.txt", "--run", "r", *tiny, *ENDLESS)
    people = process("train", "book.txt", "--run", "p", *tiny, "--steps", 5000, "--eval-every", 1)
    sample = process("sample", finished("char"), "--count", 2000, "--prompt", "Ba")
    for child in (lines, people, sample):
        assert child.stdout.readline()
        child.stdout.close()  # as `| head -1` does
        assert child.wait(timeout=PATIENCE) == 141
        assert not re.search(rb"Traceback|Exception|error", child.stderr.read())
    step = int(checkpoint_folders(Path("r"))[-1].name[5:])
    assert step > 0 and ink("resume", "r", "--steps", step).code == 0


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


def in_a_terminal(*args: object, env: dict[str, str] | None = None) -> Callable[[], tuple[int, bytes]]:
    """Start the command with a terminal of its own; called, the code and what it wrote, line ends as a terminal has them."""
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inkwright", *map(str, args)]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **(env or {})})
    os.close(theirs)

    def finish() -> tuple[int, bytes]:
        written = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is gone
            while part := os.read(ours, 65536):
                written += part
        os.close(ours)
        return child.wait(timeout=PATIENCE), written

    return finish


def test_a_terminal_is_not_steered_by_what_a_model_writes_unless_asked_to(here, ink, tiny):
    Path("evil.txt").write_text(("abc dab\n" * 25 + "\x1b]0;\x07") * 20, encoding="utf-8")
    assert ink("train", "evil.txt", "--run", "r", *tiny, "--steps", 2).code == 0
    sampling = {"max_new_tokens": 200, "temperature": 5.0, "seed": 3}
    text = inkwright.load("r").generate("a", **sampling)
    assert "\x1b" in text and "\x07" in text, "for this test to say anything"
    asked = ["sample", "r", "--prompt", "a", "--tokens", 200, "--temperature", 5, "--seed", 3]
    plain = {"NO_COLOR": "1", "TERM": "xterm"}
    safe, exact = in_a_terminal(*asked, env=plain), in_a_terminal(*asked, "--raw", env=plain)
    code, shown = safe()
    assert code == 0 and b"\x1b" not in shown and b"\x07" not in shown
    escaped = text.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert shown.decode().replace("\r\n", "\n") == f"a{escaped}\n"
    code, raw = exact()
    assert code == 0 and raw.decode().replace("\r\n", "\n") == f"a{text}\n"
    assert ink(*asked).out == f"a{text}\n"  # a pipe gets the exact text


def test_a_training_in_a_narrow_terminal_moves_a_bar_and_says_nothing_that_steers(here, tiny):
    Path("evil.txt").write_text(("abc dab\n" * 25 + "\x1b]0;\x07") * 20, encoding="utf-8")
    code, shown = in_a_terminal("train", "evil.txt", *tiny, "--steps", 20, env={"COLUMNS": "20", "TERM": "xterm"})()
    assert code == 0 and b"Traceback" not in shown
    assert b"done       step 20" in shown
    assert b"\x07" not in shown and not re.search(rb"\x1b\]", shown)


# ---------------------------------------------------------------- before anything has begun


@pytest.mark.parametrize("after", ["inkwright.app", "cyclopts.core", "inkwright.app.server", "torch._C"])
def test_ctrl_c_while_the_program_is_being_loaded_ends_it_without_a_word(here, process, after):
    child = process(
        "train", "book.txt", "--run", "r", env={"PYTHONPROFILEIMPORTTIME": "1"}
    )  # it tells what it has loaded
    assert any(line.split()[-1].decode() == after for line in child.stderr)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE)
    said = [line for line in err.splitlines() if not line.startswith(b"import time:")]
    assert child.returncode in (130, -signal.SIGINT) and not said, said


def test_nothing_is_loaded_before_ctrl_c_is_ours_but_what_listening_takes():
    code = "import sys, signal; before = set(sys.modules); import inkwright.__main__; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"inkwright", "inkwright.version", "inkwright.__main__"}
