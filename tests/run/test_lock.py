"""One writer for each run folder, and a dead one is no writer."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inkwright.errors import MachineError, OccupiedError
from inkwright.run import lock

HOLDER = """
import pathlib, sys, time
from inkwright.run import lock
held = lock.acquire(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def another_process(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_a_held_folder_is_refused_and_a_free_one_is_not(tmp_path: Path) -> None:
    held = lock.acquire(tmp_path)
    with pytest.raises(OccupiedError, match=f"is being trained by process {os.getpid()} on host"):
        lock.acquire(tmp_path)
    held.close()
    lock.acquire(tmp_path).close()


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_real_other_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    child = another_process(tmp_path)
    try:
        with pytest.raises(OccupiedError, match=f"is being trained by process {child.pid} on host .* since 20") as told:
            lock.acquire(tmp_path)
        assert told.value.exit_code == 7 and told.value.hint == "wait for it, or give another --run folder"
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    held = lock.acquire(tmp_path)  # its file is still there, and says nothing any more
    with pytest.raises(OccupiedError, match=f"process {os.getpid()} "):
        lock.acquire(tmp_path)
    held.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid": 1}', b"null"])
def test_a_lock_file_that_says_nothing_is_still_a_lock(tmp_path: Path, content: bytes) -> None:
    held = lock.acquire(tmp_path)
    (tmp_path / ".lock").write_bytes(content)
    with pytest.raises(OccupiedError, match="is being trained by another process"):
        lock.acquire(tmp_path)
    held.close()
    lock.acquire(tmp_path).close()


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs eight processes at once")
def test_of_eight_that_come_at_once_exactly_one_wins(tmp_path: Path) -> None:
    gate, opener = os.pipe()
    told, answers = os.pipe()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os.read(gate, 1)
            try:
                held = lock.acquire(tmp_path)
                os.write(answers, b"w")
                time.sleep(600)  # it holds on until all have answered
                os._exit(held.closed)
            except OccupiedError:
                os.write(answers, b"l")
            finally:
                os._exit(1)
        children.append(child)
    os.write(opener, b"x" * 8)
    os.close(answers)
    said = b""
    while len(said) < 8 and (answer := os.read(told, 8)):  # nothing comes when all have ended
        said += answer
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for pipe in (gate, opener, told):
        os.close(pipe)
    assert sorted(said) == sorted(b"wlllllll")
    lock.acquire(tmp_path).close()


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot write to .*/gone: no such file or directory"):
        lock.acquire(tmp_path / "gone")


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be taken away on this system")
def test_a_lock_whose_file_was_taken_away_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lock._lock

    def late(file) -> None:  # between opening and locking, the holder gives up its run and another process comes
        monkeypatch.setattr(lock, "_lock", real)
        (tmp_path / ".lock").unlink()
        winners.append(lock.acquire(tmp_path))
        real(file)

    winners: list = []
    monkeypatch.setattr(lock, "_lock", late)
    with pytest.raises(OccupiedError):
        lock.acquire(tmp_path)
    winners[0].close()
