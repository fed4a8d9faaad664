"""Rows about what a run does: killed, stopped, resumed, diverged, begun twice; and whether its weights are the same."""

import contextlib
import locale
import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

from inkwright import interrupt, storage
from inkwright.app import cli
from inkwright.errors import DivergedError, ModelError
from inkwright.run.folder import Run, checkpoint_folders, read_model, step_of
from inkwright.session.resuming import reopen
from inkwright.session.training import Training
from tests.lossless.harness import (
    MICRO,
    PATIENCE,
    TINY,
    Tally,
    begin,
    begin_or_go_on,
    book,
    cpu_seconds,
    ended,
    essence,
    finish,
    fork,
    go_on,
    kill,
    no_leftovers,
    read_log,
    run_through,
    snapshot,
    swapped,
)  # fmt: skip

MOST_KILLS = 10  # of one run
LATENCY_SECONDS = 2.0  # from a signal to the end, on a core of its own, besides the step that was begun


# ---------------------------------------------------------------- killed


def killed_anywhere(place: Path, tally: Tally) -> None:
    """T1. Killed at random moments and resumed until done: the weights, moments and record of an unbroken run."""
    text, log = book(place), place / "log"
    began = time.monotonic()
    assert finish(fork(lambda: run_through(begin(text, place / "whole")), log))[0] == 0, log.read_text()
    whole_seconds = time.monotonic() - began
    whole, runs = essence(place / "whole"), 0
    while tally.more():
        runs += 1
        run = place / f"run{runs}"
        kills = min(tally.random.randint(1, MOST_KILLS), tally.wanted - tally.trials)
        for number in range(kills):
            with tally.trial(f"run {runs}, kill {number + 1}"):
                pid = fork(lambda run=run: begin_or_go_on(text, run), log)
                time.sleep(tally.random.uniform(0, whole_seconds * 0.25))
                kill(pid)
                read_log(log)
        with _same(tally, f"run {runs} after {kills} kills"):
            assert finish(fork(lambda run=run: begin_or_go_on(text, run), log))[0] == 0, log.read_text()
            assert essence(run) == whole, f"{essence(run)} is not {whole}"
            no_leftovers(run)
        shutil.rmtree(run, ignore_errors=True)
    tally.note(f"{runs} runs")


@contextlib.contextmanager
def _same(tally: Tally, what: str):
    """What belongs to trials that were counted already."""
    with tally.trial(what):
        tally.trials -= 1
        yield


COMMAND = [sys.executable, "-m", "inkwright"]


def _flags(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), str(value))]


LONG = MICRO | dict(steps=400, checkpoint_every=20, eval_every=100)


def command_killed(place: Path, tally: Tally) -> None:
    """T1 with the real command: `train` once, then `resume RUN` and nothing else, each killed at a random moment."""
    text = book(place)
    began = time.monotonic()
    _to_the_end(place / "whole", text, LONG)
    seconds, runs = time.monotonic() - began, 0
    while tally.more():
        runs += 1
        run, kills = place / f"run{runs}", min(tally.random.randint(3, MOST_KILLS), tally.wanted - tally.trials)
        for number in range(kills):
            with tally.trial(f"run {runs}, kill {number + 1}"):
                _one_life(run, text, LONG, tally.random.uniform(0.3, 1.0) * seconds)
        with _same(tally, f"run {runs} after {kills} kills"):
            _to_the_end(run, text, LONG)
            assert essence(run) == essence(place / "whole")
        shutil.rmtree(run, ignore_errors=True)
    tally.note(f"{runs} runs")


def _command(run: Path, text: Path, asked: dict[str, object]) -> "subprocess.Popen[bytes]":
    """What a person types next: resume, and only where nothing was written down yet, train."""
    words = ["resume", run] if (run / "run.json").exists() else ["train", text, "--run", run, *_flags(**asked)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*COMMAND, *map(str, words)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _to_the_end(run: Path, text: Path, asked: dict[str, object]) -> None:
    child = _command(run, text, asked)
    said = child.communicate(timeout=PATIENCE * 10)[0].decode()
    assert child.returncode == 0, said


def _one_life(run: Path, text: Path, asked: dict[str, object], seconds: float) -> None:
    """The command, killed after some seconds if it has not ended; what it left can be loaded."""
    child = _command(run, text, asked)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    child.kill()
    said = child.communicate()[0].decode()
    assert "Traceback" not in said and child.returncode in (0, -signal.SIGKILL), said
    if (run / "run.json").exists():
        assert Run.open(run).newest()[0].state["step"] >= 0


def steady_kills(place: Path, tally: Tally) -> None:
    """T21. A run killed ten seconds after it has begun, again and again; beside it one that is not, and does not grow."""
    text, log, run, whole = book(place), place / "log", place / "killed", place / "whole"
    asked = LONG | dict(steps=10**6, report_every=10)
    began = time.monotonic()
    _to_the_end(place / "short", text, asked | dict(steps=1))
    life_seconds = time.monotonic() - began + 10.0
    pid = fork(lambda: run_through(begin(text, whole, **asked)), log)
    samples: list[tuple[float, float, int]] = []
    try:
        while tally.more():
            with tally.trial(f"kill {tally.trials + 1}"):
                _one_life(run, text, asked, life_seconds)
            samples.append((time.monotonic(), _resident_mebibytes(pid), len(os.listdir(f"/proc/{pid}/fd"))))
        with _same(tally, "every figure of the killed run is the unbroken one's"):
            mine, other = ([{**line, "seconds": 0} for line in Run.open(r).reports()] for r in (run, whole))
            assert 0 < len(mine) <= len(other) and mine == other[: len(mine)]
            tally.note(f"equal as far as step {mine[-1]['step']:,}")
    finally:
        kill(pid)
    _judge_growth(tally, samples[len(samples) // 3 :])


def _resident_mebibytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _judge_growth(tally: Tally, samples: list[tuple[float, float, int]]) -> None:
    if len(samples) < 3:
        return tally.note("too short to say anything about memory")
    hours, sizes = [s[0] / 3600 for s in samples], [s[1] for s in samples]
    slope = statistics.linear_regression(hours, sizes).slope
    minutes = (samples[-1][0] - samples[0][0]) / 60
    tally.note(f"memory {slope:+.2f} MiB/h over {minutes:.0f} min, {samples[-1][2]} open files")
    with _same(tally, "memory and open files"):
        assert slope < 1 or (minutes < 8 and max(sizes) - min(sizes) < 2), f"memory grows by {slope:.1f} MiB/h"
        assert max(s[2] for s in samples) - min(s[2] for s in samples) <= 2, "open files grow"


# ---------------------------------------------------------------- stopped


def stopped_by_a_signal(place: Path, tally: Tally, megabytes: float = 0.0) -> None:
    """T9. SIGINT or SIGTERM at any time, in preparation, steps, evaluations, samples, saves: exit 130 or 143, saved."""
    share = megabytes or (1.0 if tally.wanted > 100 else 0.3)  # of the long text, and of the seconds that it takes
    text, large = book(place), book(place, "large.txt", round(1_000_000 * share))
    plan = TINY | dict(steps=10**6, eval_every=5, checkpoint_every=4, report_every=1, sample_every=5)
    phases: dict[str, tuple[list[object], float]] = {
        "any": ([text, *_flags(**plan)], 0.5),
        "long evaluation": ([text, "--val", large, *_flags(**plan)], 4.0 * share),
        "long preparation": ([large, *_flags(**plan | dict(tokenizer="char"))], 2.0 * share),
    }
    waits: list[float] = []
    while tally.more():
        phase = ("any", "any", "any", "long evaluation", "long preparation")[tally.trials % 5]
        number = (signal.SIGINT, signal.SIGTERM)[tally.trials // 2 % 2]
        twice = tally.trials % 7 == 6
        run, log = place / f"run{tally.trials}", place / "log"
        log.unlink(missing_ok=True)
        with tally.trial(f"{number.name} in {phase}{', twice' if twice else ''}"):
            words, longest = phases[phase]
            waits += _signalled(
                ["train", *words, "--run", run], run, log, number, tally.random.uniform(0, longest), twice
            )
        shutil.rmtree(run, ignore_errors=True)
    if waits:
        late = sorted(waits)[max(0, math.ceil(0.99 * len(waits)) - 1)]
        tally.note(f"p99 {late:.2f} s from the signal to the end")
        with _same(tally, "latency"):
            assert late <= LATENCY_SECONDS + 0.1, f"p99 is {late:.1f} s"


def _signalled(
    words: list[object], run: Path, log: Path, number: signal.Signals, after_seconds: float, twice: bool
) -> list[float]:
    ours, theirs = os.pipe()
    listen = interrupt.listening

    @contextlib.contextmanager
    def telling():
        with listen():
            os.write(theirs, b"x")
            yield

    def work() -> int:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with swapped(interrupt, "listening", telling):
            return cli.run([str(word) for word in words])

    pid = fork(work, log)
    os.close(theirs)  # or a child that dies would never be heard of
    os.read(ours, 1)
    os.close(ours)
    time.sleep(after_seconds)
    before = cpu_seconds(pid)
    began = time.monotonic()
    os.kill(pid, number)
    if twice:
        time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    code, used = finish(pid)
    waited = time.monotonic() - began if before is None else used - before
    said = read_log(log)
    assert code == 128 + number or (twice and code == -number), f"exit {code}: {said[-1000:]}"
    if (run / "run.json").exists():
        opened = Run.open(run)
        saved = opened.newest()[0].state["step"]
        done = max((line["step"] for line in opened.reports()), default=0)
        assert twice or saved >= done, f"step {done} was done, {saved} was saved"
        assert code < 0 or f"inkwright resume {run}" in said or saved == 0, said[-500:]
    elif not twice:
        assert not run.exists() or not any(run.iterdir()), "a run that never began left something"
    return [] if twice else [waited]


# ---------------------------------------------------------------- one writer


def one_writer(place: Path, tally: Tally) -> None:
    """T10. Two or eight trainings at once in one folder: one wins, the others leave with 7; a dead lock is no lock."""
    text, log = book(place), place / "log"
    while tally.more():
        count = 8 if tally.trials % 5 == 4 else 2
        new = tally.trials % 2 == 0
        run = place / f"run{tally.trials}"
        with tally.trial(f"{count} at once, {'new' if new else 'resumed'}"):
            if not new:
                run_through(begin(text, run, **TINY | dict(steps=2)))
            codes = _at_once(
                lambda run=run, new=new: begin(text, run, **TINY) if new else go_on(run, steps=9), count, log
            )
            assert sorted(codes) == [-9] + [7] * (count - 1), f"{codes}: {log.read_text()[-2000:]}"
            read_log(log)
            go_on(run, steps=9).run.close() if (run / "run.json").exists() else begin(text, run, **TINY).run.close()
        log.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)


def _at_once(open_run: Callable[[], Training], count: int, log: Path) -> list[int]:
    """Exit codes of so many that begin at one moment, -9 for each that has won: it holds on until all have answered."""
    gate, opener = os.pipe()
    told, winner = os.pipe()
    os.set_blocking(told, False)

    def work() -> int:
        os.read(gate, 1)
        steps = iter(open_run())  # held: a loop that is left gives its folder back
        next(steps)
        os.write(winner, b"w")
        time.sleep(PATIENCE)
        return 0

    left, codes, winners = [fork(work, log) for _ in range(count)], list[int](), 0
    os.write(opener, b"x" * count)
    deadline = time.monotonic() + PATIENCE
    try:
        while len(codes) + winners < count:
            assert time.monotonic() < deadline, f"{codes} and {winners} winners, and no word of the others"
            with contextlib.suppress(BlockingIOError):
                winners += len(os.read(told, count))
            for pid in list(left):
                if (code := ended(pid)) is not None:
                    left.remove(pid)
                    codes.append(code)
            time.sleep(0.002)
    finally:
        for pid in left:
            kill(pid)
        for pipe in (gate, opener, told, winner):
            os.close(pipe)
    return [*codes, *[-signal.SIGKILL] * winners]


# ---------------------------------------------------------------- what may not change


def changed_texts(place: Path, tally: Tally) -> None:
    """T11. Another text, tokenizer or shape is refused and named; accepted on purpose, it is written into the manifest."""
    text, other = book(place), book(place, "other.txt", 3000)
    raw, run = text.read_bytes(), place / "run"
    run_through(begin(text, run, **TINY | dict(steps=5)))
    both = place / "both"
    two = begin(text, both, **TINY | dict(steps=2))
    run_through(two)
    edits: dict[str, tuple[bytes, str]] = {
        "one byte": (raw[:500] + b"q" + raw[501:], "first at byte 500, same size"),
        "appended": (raw + b"!", f"first at byte {len(raw):,}, {len(raw):,} bytes then, {len(raw) + 1:,} now"),
        "cut off": (raw[:-1], "first at byte"),
        "CRLF": (raw.replace(b"\n", b"\r\n"), "first at byte"),
        "NFD": (unicodedata.normalize("NFD", raw.decode()).encode(), "first at byte"),
        "BOM": (b"\xef\xbb\xbf" + raw, "bytes then"),
    }
    settings = {"tokenizer": "byte", "block_size": 16, "n_layer": 3, "seed": 4, "alphabet": "bare"}
    cases = [*edits, *settings, "reordered", "run.json", "state.json", "accepted"]
    while tally.more():
        case = cases[tally.trials % len(cases)]
        with tally.trial(case):
            if case in edits:
                text.write_bytes(edits[case][0])
                try:
                    _refused(
                        lambda: reopen(run, {}), "book.txt is not the text this run was trained on", edits[case][1]
                    )
                finally:
                    text.write_bytes(raw)
            elif case in settings:
                _refused(lambda case=case: reopen(run, {case: settings[case]}), f"--{case.replace('_', '-')}: ", " -> ")
            elif case == "reordered":
                _refused(lambda: reopen(run, {}, [str(other), str(text)]), "files then", "")
            elif case == "accepted":
                _accepted(place, text, raw, run)
            else:
                path = run / case if case == "run.json" else checkpoint_folders(run)[-1] / case
                whole = path.read_bytes()
                path.write_bytes(whole.replace(b"1", b"2", 1))
                if case == "run.json":
                    _refused(lambda: reopen(run, {}), "run.json", "not as written")
                else:
                    _refused(lambda: reopen(run, {}, strict=True), "state.json", "hash differs")
                path.write_bytes(whole)
    training = go_on(run, steps=6, learning_rate=1e-3)  # what may change
    run_through(training)


def _refused(attempt: Callable[[], object], *told: str) -> None:
    try:
        attempt()
    except ModelError as error:
        assert error.exit_code == 4 and all(part in error.message for part in told), error
        return
    raise AssertionError("it was not refused")


def _accepted(place: Path, text: Path, raw: bytes, run: Path) -> None:
    copy = shutil.copytree(run, place / "copy")
    text.write_bytes(raw[:500] + b"q" + raw[501:])
    try:
        training, _ = reopen(copy, {"steps": 7}, accept_new_data=True)
        run_through(training)
        manifest = storage.verify(checkpoint_folders(copy)[-1])
        assert any("fingerprint" in change for change in manifest["changes"]), manifest["changes"]
    finally:
        text.write_bytes(raw)
        shutil.rmtree(copy)


# ---------------------------------------------------------------- the same bits


def exact_resume(place: Path, tally: Tally) -> None:
    """T12. Gone on with from step s = 1, 2, ...: bit-identical to the unbroken run."""
    text = book(place)
    for dropout in (0.1, 0.0) if tally.wanted > MICRO["steps"] else (0.1,):
        whole = place / f"whole{dropout}"
        with swapped(Run, "retain", lambda self, best: None):
            run_through(begin(text, whole, dropout=dropout, checkpoint_every=1))
        expected = essence(whole)
        for step in Tally(tally.wanted - tally.trials, tally.deadline).some_of(range(1, int(MICRO["steps"]))):
            with tally.trial(f"dropout {dropout}, step {step}"):
                run = place / "again"
                shutil.copytree(whole, run, ignore=shutil.ignore_patterns("step-*"))
                shutil.copytree(*(folder / "checkpoints" / f"step-{step:08d}" for folder in (whole, run)))
                torch.manual_seed(step)  # whatever the global generator holds
                run_through(go_on(run, checkpoint_every=MICRO["steps"]))
                assert essence(run) == expected, "another end"
            shutil.rmtree(run, ignore_errors=True)
        if not tally.more():
            return


def thread_counts(place: Path, tally: Tally) -> None:
    """T13. The same number of threads: the same bits. Another: a note, and nearly the same loss."""
    text, log = book(place), place / "log"
    steps = 200 if tally.wanted > 2 else 60
    ends: dict[int, dict[str, str]] = {}
    for threads in tally.some_of([1, 2, 4, 8][: tally.wanted]):
        with tally.trial(f"{threads} threads"):
            twice = [place / f"{threads}{twin}" for twin in "ab"]
            for run in twice:
                asked = dict(threads=threads, steps=steps, optimizer="adamw")
                pid = fork(lambda run=run, asked=asked: run_through(begin(text, run, **asked)), log)
                assert finish(pid, PATIENCE * 3)[0] == 0, log.read_text()
            assert essence(twice[0]) == essence(twice[1]), "the same number of threads, other bits"
            ends[threads] = essence(twice[0])
            losses = [Run.open(place / f"{n}a").reports()[-1]["val_loss"] for n in ends]
            assert abs(losses[0] - losses[-1]) <= 1e-5 * losses[0], losses
            if threads > 1:
                other = shutil.copytree(place / "1a", place / f"of1-{threads}")
                pid = fork(lambda run=other, n=threads: _told_of_other_threads(run, n), log)  # its threads end with it
                assert finish(pid, PATIENCE)[0] == 0, log.read_text()


def _told_of_other_threads(run: Path, threads: int) -> None:
    training, notes = reopen(run, {"threads": threads})
    training.run.close()
    assert any("not bit-identical" in note for note in notes), notes


def surroundings(place: Path, tally: Tally) -> None:
    """T19. Another clock, time zone, language, umask or a strange path: the same result."""
    text, log = book(place), place / "log"
    run_through(begin(text, place / "whole", steps=20))
    whole = essence(place / "whole")

    def clock(days: float) -> None:
        real = time.time
        time.time = lambda: real() + days * 86_400

    def zone(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    def language(name: str) -> None:
        os.environ["LC_ALL"] = name
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)

    cases: list[tuple[str, Callable[[], object], str]] = [
        ("a day back", lambda: clock(-1), "a"), ("two years ahead", lambda: clock(730), "b"),
        ("TZ", lambda: zone("Pacific/Kiritimati"), "c"), ("umask", lambda: os.umask(0o077), "d"),
        ("strange path", lambda: None, "ein Lauf 🙂 'q\" $x"), ("long path", lambda: None, "n" * 200),
        *((f"language {name}", lambda name=name: language(name), name) for name in ("C", "tr_TR.UTF-8", "ja_JP.UTF-8")),
    ]  # fmt: skip
    while tally.more():
        name, change, folder = cases[tally.trials % len(cases)]
        with tally.trial(name):
            run = place / folder / str(tally.trials)

            def work(change: Callable[[], object] = change, run: Path = run) -> None:
                change()
                run_through(begin(text, run, steps=20), until=tally.random.randrange(1, 20))
                run_through(go_on(run))

            assert finish(fork(work, log))[0] == 0, log.read_text()
            assert essence(run) == whole
        shutil.rmtree(place / folder, ignore_errors=True)


# ---------------------------------------------------------------- diverged


def poisoned(place: Path, tally: Tally) -> None:
    """T15. A loss, a gradient or a weight that is no number, at any step, under every policy: never in a checkpoint."""
    text = book(place)
    base = run_through(begin(text, place / "base", **TINY | dict(steps=3)))
    while tally.more():
        policy = ("stop", "skip", "rewind")[tally.trials % 3]
        kind = ("loss", "gradient", "weight")[tally.trials // 3 % 3]
        value = (math.nan, math.inf, -math.inf)[tally.trials // 9 % 3]
        step = tally.random.randrange(4, 29)
        with tally.trial(f"{kind} {value} at step {step}, {policy}"):
            run = shutil.copytree(base, place / "run")
            training = go_on(run, steps=30, on_nan=policy, checkpoint_every=3, eval_every=7)
            error, warnings = _train_poisoned(training, kind, value, step)
            for folder in checkpoint_folders(run):
                for name in ("model.safetensors", "optimizer.safetensors"):
                    tensors = safetensors.torch.load_file(folder / name)
                    assert all(torch.isfinite(t).all() for t in tensors.values()), f"{folder.name} is not finite"
            told = error.message if error else " ".join(warnings)
            if policy == "stop" or (policy == "skip" and kind == "weight"):
                assert error is not None and "step" in told and "last good: step" in told, told
                assert "learning rate" in told or "learning-rate" in str(error.hint), error
            else:
                assert error is None and training.state.step == 30, told
                assert policy == "skip" or ("last good" in told and training.state.learning_rate_scale == 0.5), told
        shutil.rmtree(place / "run", ignore_errors=True)


def _train_poisoned(training: Training, kind: str, value: float, step: int) -> tuple[DivergedError | None, list[str]]:
    model, done, warnings = training.state.model, False, list[str]()

    def forward(idx: torch.Tensor) -> torch.Tensor:
        nonlocal done
        logits = model(idx)
        if training.state.step != step or done:
            return logits
        done = True
        if kind == "loss":
            return logits * value
        logits.register_hook(lambda gradient: gradient * value)
        return logits

    if kind != "weight":
        training.state.forward = forward
    try:
        for progress in training:
            warnings += progress.warnings
            if kind == "weight" and progress.step == step and not done:
                done = True
                with torch.no_grad():
                    next(training.state.model.parameters()).view(-1)[0] = value
    except DivergedError as error:
        return error, warnings
    return None, warnings


def wild_learning_rates(place: Path, tally: Tally) -> None:
    """T16. A learning rate 100 or 1,000 times too high: the run ends well or goes on; the best checkpoint stays as it was."""
    text = book(place)
    base = run_through(begin(text, place / "base", steps=40))
    while tally.more():
        factor, policy = ((1000, 1000, 100)[tally.trials % 3], ("stop", "skip", "rewind")[tally.trials % 3])
        with tally.trial(f"x {factor}, {policy}"):
            run = shutil.copytree(base, place / "run")
            _, best, _ = read_model(run)
            before = snapshot(best)
            more = tally.random.randrange(20, 40)
            rate = 6e-3 * factor
            training = go_on(run, steps=40 + more, learning_rate=rate, min_learning_rate=rate, on_nan=policy)
            error = None
            try:
                run_through(training)
            except DivergedError as diverged:
                error = diverged
                assert diverged.exit_code == 6 and "last good: step" in diverged.message, diverged
            assert error is not None or factor < 1000 or policy == "rewind", (
                "a thousand times too high, and not noticed"
            )
            model, now, _ = read_model(run)
            losses = [line["val_loss"] for line in Run.open(run).reports() if "val_loss" in line]
            assert step_of(now) == step_of(best) or min(losses) < 6, f"step {step_of(now)} is called the best"
            assert now != best or snapshot(now) == before, "the best checkpoint was changed"
            assert all(torch.isfinite(t).all() for t in model.model.state_dict().values())
        shutil.rmtree(place / "run", ignore_errors=True)


# ---------------------------------------------------------------- memory


def out_of_memory(place: Path, tally: Tally) -> None:
    """T17. The system gives no more memory: the same steps in smaller parts, and that is told; or exit 5 with what is needed
    and what to lower. No partial save."""
    text, log = book(place), place / "log"
    tally.note(
        "a GPU's memory not tried: there is none" if not torch.cuda.is_available() else "a GPU is here, and not tried"
    )
    if not Path("/proc/self/statm").exists():
        return tally.note("not tried: this system does not limit memory so")

    def work(room: int, run: Path) -> None:
        training = begin(text, run, **TINY | dict(batch_size=20_000, n_embd=64, eval_every=100, steps=1))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
        for progress in training:
            print(*progress.warnings, sep="\n")

    while tally.more():
        room, run = tally.random.randrange(8, 200) << 20, place / f"run{tally.trials}"
        with tally.trial(f"{room >> 20} MiB more"):
            code, _ = finish(fork(lambda room=room, run=run: work(room, run), log))
            said = log.read_text()
            assert code in (0, 5), f"{code}: {said[-800:]}"
            told = ["out of memory with"] if code == 0 else ["GB needed", "--n-embd"]
            assert all(words in said for words in told), said
            assert Run.open(run).newest()[0].state["step"] == (1 if code == 0 else 0)
            no_leftovers(run)
        log.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)
