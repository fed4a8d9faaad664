"""Rows about what is on the disk: saves that are killed, fail or lose their power, and bytes that are not as written."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from inkwright import storage
from inkwright.errors import DamagedError, InkwrightError, MachineError, ModelError, SaveError
from inkwright.run import checkpoint
from inkwright.run.folder import Run, checkpoint_folders, read_model, step_of
from inkwright.session.resuming import reopen
from inkwright.session.training import Training
from inkwright.text import tokens
from tests.lossless.disks import (
    ERRORS,
    Failing,
    Folder,
    Full,
    Killing,
    Remembering,
    Step,
    Watched,
    after_power_loss,
    lay_out,
    of,
    play,
)  # fmt: skip
from tests.lossless.harness import (
    TINY,
    Tally,
    begin,
    book,
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


def small_run(place: Path, name: str = "run", steps: int = 10, **settings: object) -> Path:
    """A finished run of a very small model, with checkpoints at 5 and 10."""
    asked = TINY | dict(steps=steps, eval_every=5) | settings
    return run_through(begin(book(place), place / name, **asked))


def newest_step(run: Path) -> int:
    """The step that a resume would go on from; any error but damage comes out."""
    return Run.open(run).newest()[0].state["step"]


def save_next(training: Training) -> int:
    """Save the model as if a step had been made."""
    training.state.step += 1
    training.decisions.best = None
    training._save()
    return training.state.step


# ---------------------------------------------------------------- killed


def killed_while_saving(place: Path, tally: Tally) -> None:
    """T2. A child that does nothing but save is killed; what it announced is there, whole."""
    run = small_run(place)
    log = place / "log"

    def save_and_announce(announced: int) -> None:
        training = go_on(run, steps=10**9)
        while True:
            os.write(announced, save_next(training).to_bytes(4, "big"))

    at = 0
    while tally.more():
        every_call = tally.trials >= tally.wanted // 2
        at = at % 120 + 1 if every_call else 0
        with tally.trial(f"killed at call {at}" if at else "killed at a random moment"):
            ours, theirs = os.pipe()
            before = newest_step(run)

            def work(at: int = at, theirs: int = theirs) -> None:
                if at:
                    storage.disk = Killing(at + 60)  # the first calls belong to going on
                save_and_announce(theirs)

            pid = fork(work, log)
            os.close(theirs)
            try:
                if at:
                    finish(pid)
                else:
                    os.read(ours, 4)  # it saves now
                    time.sleep(tally.random.uniform(0, 0.06))
                    kill(pid)
                last = _last(ours)
            finally:
                os.close(ours)
            read_log(log)
            assert newest_step(run) >= max(before, last), f"step {last} was announced, {newest_step(run)} is there"
            go_on(run).run.close()
            no_leftovers(run)


def _last(pipe: int) -> int:
    data = b""
    while part := os.read(pipe, 4096):
        data += part
    return int.from_bytes(data[len(data) // 4 * 4 - 4 : len(data) // 4 * 4], "big") if len(data) >= 4 else 0


def killed_and_damaged(place: Path, tally: Tally) -> None:
    """T18. Many saves, kills, the newest damaged now and then: one is whole at every instant, and the disk stays small."""
    run = small_run(place)
    size = sum(len(raw) for raw in snapshot(checkpoint_folders(run)[-1]).values())
    log = place / "log"
    rng = tally.random

    def always_one(name: str, args: tuple[object, ...]) -> None:
        if name != "read":
            assert newest_intact(run) is not None, f"nothing whole is left before {name} {args}"

    def work() -> None:
        training = go_on(run, steps=10**9)
        training.state.step += 0
        storage.disk = Watched(always_one) if looking else storage.disk
        for _ in range(4 if looking else 10**6):
            save_next(training)

    while tally.more():
        looking = tally.trials % 10 == 0
        with tally.trial(f"save {tally.trials}"):
            pid = fork(work, log)
            if looking:
                assert finish(pid)[0] == 0, log.read_text()[-2000:]
            else:
                time.sleep(rng.uniform(0.05, 0.25))
                kill(pid)
            read_log(log)
            used = sum(len(raw) for name, raw in snapshot(run / "checkpoints").items())
            assert used <= 5 * size * 1.1, f"{used:,} bytes for checkpoints of {size:,}"
            if rng.random() < 0.3 and len(checkpoint_folders(run)) > 1:
                spoil(checkpoint_folders(run)[-1] / "model.safetensors", rng)
            before = newest_step(run)
            training = go_on(run, steps=10**9)
            assert training.state.step == before
            no_leftovers(run)
            save_next(training)
            training.run.close()
            assert not [path for path in (run / "checkpoints").iterdir() if path.name.startswith(".")]


def newest_intact(run: Path) -> int | None:
    """The newest step whose every byte is right, told without the disk that is being watched."""
    with swapped(storage, "disk", storage.Disk()):
        for folder in reversed(checkpoint_folders(run)):
            with contextlib.suppress(InkwrightError):
                storage.verify(folder)
                return step_of(folder)
    return None


def spoil(path: Path, rng: random.Random) -> None:
    """Flip one bit."""
    raw = bytearray(path.read_bytes())
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


# ---------------------------------------------------------------- power loss


def power_lost(place: Path, tally: Tally) -> None:
    """T3. For every prefix of what a save does, every state a power loss may leave: the old one or the new one loads."""
    for _ in range(3 if tally.wanted > 100_000 else 1):
        for name in ("begin", "save"):
            _power_lost_in(place, tally, name)
            if not tally.more():
                return


def _power_lost_in(place: Path, tally: Tally, what: str) -> None:
    top = place / "world"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    text = book(place)
    announced: list[tuple[int, int]] = []  # (calls made, step announced)
    with swapped(storage, "disk", remembering := Remembering()):
        if what == "begin":
            start = of(top)
            training = begin(text, top / "runs" / "book", **TINY)
            announced.append((len(remembering.log), 0))
            training.run.close()
        else:
            training = go_on(shutil.copytree(small_run(place, f"seed{tally.trials}"), top / "runs" / "book"), steps=99)
            remembering.log.clear()
            start = of(top)
            announced.append((0, training.state.step))
            for _ in range(2):
                step = save_next(training)
                announced.append((len(remembering.log), step))
            training.run.close()
    assert isinstance(start, Folder)
    with tally.trial(f"{what}: the order of writes"):
        _require_order_of(remembering.log)
    done = 0
    for calls in range(len(remembering.log) + 1):
        play(start, top, remembering.log[done:calls])
        done = calls
        least = max((step for made, step in announced if made <= calls), default=None)
        most = max(step for made, step in announced)
        for state in after_power_loss(start):
            if not tally.more():
                return
            last = remembering.log[calls - 1] if calls else ("nothing",)
            with tally.trial(f"{what}: power lost after call {calls} ({last[0]} {last[1:2]})"):
                lay_out(state, place / "after")
                _require_loads(place / "after" / "runs" / "book", least, most)


def _require_order_of(log: list[Step]) -> None:
    """Of each folder that is published, the manifest is the last file that is made."""
    for i, step in enumerate(log):
        made = [one[1].name for one in log[:i] if one[0] == "create" and one[1].parent == step[1]]
        if step[0] == "rename" and made:
            assert made[-1] == storage.MANIFEST, f"made in this order: {made}"


def _require_loads(run: Path, least: int | None, most: int) -> None:
    try:
        opened = Run.open(run)
        found = opened.newest()[0].state["step"]
        tokens.read(opened.tokens_folder)
        opened.reports()
    except ModelError as error:
        begun = "was stopped before the run was written down" in error.message
        nothing = "no such folder" in error.message or "is not a run or a model folder" in error.message
        assert least is None and (begun or nothing), error.message
        return
    assert (least or 0) <= found <= most, f"step {found} loads, not {least} to {most}"


# ---------------------------------------------------------------- damage


def flipped(place: Path, tally: Tally) -> None:
    """T4. Each byte of each file flipped: never silent, the file is named."""
    run = small_run(place)
    folder = checkpoint_folders(run)[-1]
    text = next((run / "tokens").iterdir())
    files = [path for where in (folder, text) for path in sorted(where.iterdir())] + [run / "run.json"]
    places = [(path, at) for path in files for at in range(path.stat().st_size)]
    for path, at in tally.some_of(places):
        whole = path.read_bytes()
        with tally.trial(f"{path.name}, byte {at:,}"):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << (at % 8))]) + whole[at + 1 :])
            try:
                read = {folder: checkpoint.read, text: tokens.read}.get(path.parent)
                read(path.parent) if read else Run.open(run)
                raise AssertionError("it was loaded")
            except DamagedError as error:
                assert path.name in error.message and error.exit_code == 4, error.message
            if path.parent == folder and at % 997 == 0:
                _falls_back(run, path.name)
        path.write_bytes(whole)


def _falls_back(run: Path, name: str) -> None:
    """The newest is damaged: told and passed over, or refused where that was asked for."""
    saved, damaged = Run.open(run).newest()
    assert saved.state["step"] == 5 and name in damaged[0].message
    training = go_on(run)
    assert training.state.step == 5 and name in training.warnings[0] and "from step 5" in training.warnings[0]
    training.run.close()
    with contextlib.suppress(DamagedError):
        read_model(run, strict=True)
        raise AssertionError("--strict went on")


def cut_and_swapped(place: Path, tally: Tally) -> None:
    """T5. Truncated, deleted, zeroed, swapped, replaced by links, folders and pipes; keys given twice."""
    run = small_run(place)
    folder, older = reversed(checkpoint_folders(run)[-2:])
    files = sorted(path.name for path in folder.iterdir())
    cuts = [(name, length) for name in files for length in range((folder / name).stat().st_size)]
    few = max(1, len(cuts) // max(1, tally.wanted - 200))
    others = [(name, fate) for name in files for fate in FATES] + [(storage.MANIFEST, "of another step")]
    blocks = [(name, -1 - at) for name in files for at in range(0, (folder / name).stat().st_size, 4096)]
    for name, fate in tally.some_of([*others, *blocks, *cuts[::few]]):
        with tally.trial(f"{name}: {fate}"):
            path, whole = folder / name, (folder / name).read_bytes()
            try:
                if not _damage(path, older, fate):
                    continue
                saved, damaged = Run.open(run).newest()
                assert saved.state["step"] == 5 and damaged, "it was loaded"
                assert name in damaged[0].message or storage.MANIFEST in damaged[0].message, damaged[0].message
            finally:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
                path.write_bytes(whole)
    assert newest_step(run) == 10


FATES = ["gone", "of another step", "a link", "a dead link", "a folder", "a pipe", "a key twice", "longer", "of zeros"]


def _damage(path: Path, older: Path, fate: object) -> bool:
    """Do it; false where it would change nothing."""
    whole = path.read_bytes()
    if isinstance(fate, int):
        new = whole[:fate] if fate >= 0 else whole[: -fate - 1] + bytes(4096) + whole[-fate - 1 + 4096 :]
        new = new[: len(whole)]
    else:
        new = {
            "of another step": (older / path.name).read_bytes(), "longer": whole + b"\0", "of zeros": bytes(len(whole)),
            "a key twice": whole.replace(b"{", b'{"step": 7, ', 1) if path.suffix == ".json" else whole,
        }.get(fate, b"")  # fmt: skip
    if new == whole:
        return False
    if fate == "a link":
        shutil.copy(path, path.parent.parent.parent / path.name)
    path.unlink()
    if fate == "a folder":
        path.mkdir()
    elif fate == "a pipe":
        os.mkfifo(path)
    elif fate in ("a link", "a dead link"):
        path.symlink_to(path.parent.parent.parent / path.name if fate == "a link" else "nowhere")
    elif fate != "gone":
        path.write_bytes(new)
    return True


def refused_versions(place: Path, tally: Tally) -> None:
    """T20. A checkpoint of a format that this version does not know is refused with its version and what to do."""
    run = small_run(place)
    for number in tally.some_of([storage.FORMAT + 1, storage.FORMAT + 8]):
        with tally.trial(f"format {number}"), swapped(storage, "FORMAT", number):
            for folder in checkpoint_folders(run):
                facts = json.loads((folder / storage.MANIFEST).read_text())
                facts = {key: value for key, value in facts.items() if key != "self"} | {"version": "9.1"}
                storage.write_record(folder / storage.MANIFEST, facts)
            with swapped(storage, "FORMAT", 1):
                try:
                    newest_step(run)
                    raise AssertionError("it was loaded")
                except ModelError as error:
                    told = f"was written by version 9.1 (format {number}); this version reads up to 1"
                    assert told in error.message and error.hint == "upgrade inkwright", error
    tally.note("no version is released yet: none of their checkpoints to keep")


# ---------------------------------------------------------------- saves that fail


def one_step(run: Path) -> list[str]:
    """Go on for one step and a save; everything that is told."""
    training, notes = reopen(run, {"steps": 99, "checkpoint_every": 1})
    steps = iter(training)
    try:
        return [*notes, *next(steps).warnings]
    finally:
        training.saved_step = training.state.step  # leaving is not a save more
        steps.close()


def failing_calls(place: Path, tally: Tally) -> None:
    """T7. The n-th call that reaches the disk fails: told, nothing older harmed."""
    run = small_run(place)
    kept = place / "kept"
    shutil.copytree(run, kept)
    counting = Watched(lambda name, args: counted.append(name))
    counted: list[str] = []
    with swapped(storage, "disk", counting):
        usual = one_step(run)
    cases = [(at, number) for number in ERRORS for at in range(1, len(counted) + 1)]
    tally.note(f"{len(counted)} calls x {len(ERRORS)} errors")
    few = [(at, ERRORS[at % len(ERRORS)]) for at in range(1, len(counted) + 1)]
    for at, number in tally.some_of(cases if tally.wanted > len(few) else few):
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        with tally.trial(f"call {at} ({counted[at - 1]}) fails with {errno.errorcode[number]}"):
            disk = Failing(at, number)
            with swapped(storage, "disk", disk):
                try:
                    told = [line for line in one_step(run) if line not in usual]
                except InkwrightError as error:
                    assert error.exit_code in (4, 5) and "\n" not in error.message.split("\n  ")[0], error
                    told = [error.message]
            silent = ("clear", "sync")  # sweeping away is as far as it goes
            assert told or not disk.happened or disk.happened in silent, f"{disk.happened} failed and nobody was told"
            assert newest_step(run) in (10, 11)
            one_step(run)


def full_disks(place: Path, tally: Tally) -> None:
    """T6. A disk that is full at byte k, however the system says so: the save before it is whole, and it is told."""
    run = small_run(place)
    size = sum(len(raw) for raw in snapshot(checkpoint_folders(run)[-1]).values())
    kinds = ["ENOSPC", "EDQUOT", "limit", "tmpfs"]
    while tally.more():
        kind = kinds[tally.trials % len(kinds)]
        if kind == "tmpfs" and not can_mount(place):
            tally.note("small disks (tmpfs) not tried: they take root and Linux")
            kinds.remove("tmpfs")
            continue
        room = tally.random.randrange(size)
        with tally.trial(f"{kind} at byte {room:,}"):
            if kind == "limit":
                _limited(place, run, room)
            elif kind == "tmpfs":
                _on_a_small_disk(place, run, size, room)
            else:
                with swapped(storage, "disk", Full(room, getattr(errno, kind))):
                    try:
                        told = " ".join(one_step(run))
                        assert "step 10 is intact; retry at 12" in told, told
                    except SaveError as error:  # not even the record could be written: it did not go on
                        told = error.message
                assert "no space left" in told and "needed" in told and "free" in told and str(run) in told, told
            assert newest_step(run) == 10


def _limited(place: Path, run: Path, room: int) -> None:
    """RLIMIT_FSIZE: the system itself refuses half-way through a file."""
    import resource

    largest = max(path.stat().st_size for path in checkpoint_folders(run)[-1].iterdir())

    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room % largest, room % largest))
        try:
            told = " ".join(one_step(run))
        except MachineError:
            return 5  # not even the record could be written
        return 5 if "failed" in told and "file too large" in told else 1

    (place / "log").unlink(missing_ok=True)
    code, _ = finish(fork(work, place / "log"))
    assert code == 5, f"{code}: {(place / 'log').read_text()}"


def can_mount(place: Path) -> bool:
    """Whether a small disk can be had here."""
    with contextlib.suppress(AssertionError), small_disk(place, 1 << 20):
        return True
    return False


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes."""
    where = place / "disk"
    where.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(where)]
    done = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    assert done, "a small disk cannot be mounted"
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True, capture_output=True)


def _on_a_small_disk(place: Path, run: Path, size: int, room: int) -> None:
    used = sum(len(raw) for raw in snapshot(run).values())
    with small_disk(place, used + size * 2 + (1 << 17)) as disk:
        copy = shutil.copytree(run, disk / "run")
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with (disk / "filler").open("r+b") as file:
            file.truncate(max(0, (disk / "filler").stat().st_size - room))
        try:
            told = " ".join(one_step(copy))
        except (SaveError, MachineError) as error:
            told = error.message
        assert not told or ("free" in told and "/disk" in told), told
        assert newest_step(copy) == (10 if "failed" in told or "cannot" in told or "needs" in told else 11), told


def taken_away(place: Path, tally: Tally) -> None:
    """T8. The folder of a run is made read-only, moved away or replaced while it trains: exit 5, nothing lost."""
    if os.name == "nt" or not hasattr(os, "setuid"):
        return tally.note("not tried: this system has no user ids")
    place.chmod(0o755)
    ways = ["checkpoints read-only", "run read-only", "moved away", "checkpoints a file", "remounted read-only"]
    if os.geteuid() != 0 or not can_mount(place):
        ways.pop()
        tally.note("a disk that turns read-only not tried: it takes root and Linux")
    while tally.more():
        way = ways[tally.trials % len(ways)]
        with tally.trial(way), contextlib.ExitStack() as stack:
            where = stack.enter_context(small_disk(place, 8 << 20)) if way == "remounted read-only" else place
            run = small_run(where, "run")
            log = place / "log"
            log.unlink(missing_ok=True)
            at = tally.random.randrange(1, 8)
            pid = fork(lambda run=run, way=way, at=at: _train_while(run, way, at), log)
            code, _ = finish(pid)
            said = read_log(log)
            _give_back(run, way)
            assert code == 5, f"{code}: {said}"
            assert "is intact" in said and "inkwright resume" in said, said
            assert newest_step(run) >= 10
            go_on(run).run.close()
            shutil.rmtree(run)


def _train_while(run: Path, way: str, at: int) -> None:
    training = go_on(run, steps=200, checkpoint_every=2, eval_every=500)
    checkpoints = run / "checkpoints"
    if os.geteuid() == 0 and "read-only" in way and way != "remounted read-only":
        for path in [run, *run.rglob("*")]:
            os.chown(path, 65534, 65534)
        os.setuid(65534)  # no mode bit stops root
    for progress in training:
        if progress.step == 10 + at:
            if way == "moved away":
                run.rename(run.with_name("aside"))
            elif way == "checkpoints a file":
                checkpoints.rename(run / "aside")
                checkpoints.write_text("")
            elif way == "remounted read-only":
                for how in (["--bind", str(run)], ["-o", "remount,bind,ro"]):
                    subprocess.run(["mount", *how, str(run)], check=True, capture_output=True)
            else:
                (checkpoints if way == "checkpoints read-only" else run).chmod(0o555)
                checkpoints.chmod(0o555)


def _give_back(run: Path, way: str) -> None:
    if way == "moved away":
        assert not run.exists(), "a run that was moved away is written anew, without its text and its record"
        run.with_name("aside").rename(run)
    elif way == "checkpoints a file":
        (run / "checkpoints").unlink()
        (run / "aside").rename(run / "checkpoints")
    elif way == "remounted read-only":
        subprocess.run(["umount", "-l", str(run)], check=True, capture_output=True)
    else:
        run.chmod(0o755)
        (run / "checkpoints").chmod(0o755)


def order_of_writes(place: Path, tally: Tally) -> None:
    """T3 with the real system calls, as strace sees them: write, sync the file, sync the folder, rename, sync its parent."""
    if shutil.which("strace") is None:
        return tally.note("not tried: strace is not installed")
    run = small_run(place)
    while tally.more():
        with tally.trial("strace"):
            log, trace = place / "log", place / "trace"
            log.unlink(missing_ok=True)
            ours, theirs = os.pipe()

            def work(ours: int = ours) -> None:
                training = go_on(run, steps=99)
                os.read(ours, 1)  # until it is watched
                save_next(training)

            pid = fork(work, log)
            asked = ["strace", "-f", "-y", "-p", str(pid), "-o", str(trace), "-e"]
            watcher = subprocess.Popen([*asked, "trace=fsync,rename,renameat,renameat2,write"], stderr=subprocess.PIPE)
            assert watcher.stderr is not None
            if b"attached" not in (first := watcher.stderr.readline()):
                kill(pid)
                watcher.wait()
                tally.trials -= 1
                return tally.note(f"not tried: strace may not look here ({first.decode().strip()[-60:]})")
            os.write(theirs, b"x")
            code, _ = finish(pid)
            watcher.communicate()
            os.close(ours)
            os.close(theirs)
            assert code == 0, log.read_text()
            _require_order(trace.read_text().splitlines())


def _require_order(calls: list[str]) -> None:
    draft = "/.tmp-step-"
    renamed = next(i for i, call in enumerate(calls) if call.split()[1].startswith("rename") and draft in call)
    before, after = calls[:renamed], calls[renamed + 1 :]
    synced = [call for call in before if "fsync(" in call and draft in call]
    written = {call.split("<")[1].split(">")[0] for call in before if " write(" in call and draft in call}
    assert len(written) >= 9, f"only {written} were written"
    for path in written:
        assert any(f"<{path}>" in call for call in synced), f"{path} was not synced before the rename"
    assert synced[-2].split(">")[0].endswith(storage.MANIFEST), "the manifest was not the last file"
    assert not synced[-1].split("<")[1].split(">")[0].count("/step-") and draft in synced[-1], (
        "the folder was not synced"
    )
    assert any("fsync(" in call and "/checkpoints>" in call for call in after), "the parent was not synced"
