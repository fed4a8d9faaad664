"""`make soak`: every row many times, every planted defect once. Prints a table and stops by itself.

    python -m tests.lossless.soak [--minutes 60] [--only T1,T3] [--workers 2]

Each row runs in a process of its own, so that one that fails, hangs or dies stops no other. The exit code is 1 if any
trial failed or any planted defect was not caught.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

FULL_MINUTES = 60.0
RESERVE_SECONDS = 60.0  # that a row may need to come to its end after its time is up
LEAST_SECONDS = 20.0  # of a row, of which torch takes some to load
SHARE_OF_ROWS = 0.85  # of the time; the planted defects take the rest


def main() -> int:
    """Run what the command line asks for."""
    asked = argparse.ArgumentParser(description="Every row many times, every planted defect once.")
    asked.add_argument("--minutes", type=float, default=FULL_MINUTES, help="about how long; scales the counts")
    asked.add_argument("--only", default="", help="rows, by name: T1,T3")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--row", help=argparse.SUPPRESS)
    asked.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--until", type=float, default=0.0, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.row:
        return one(given.row, given.place, given.minutes, given.until, given.seed)
    return everything(given.minutes, [name for name in given.only.split(",") if name], given.workers, given.seed)


def workplace() -> Path:
    """A folder for all of it: in memory where there is room, for a disk that waits proves nothing here."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2e9
    return Path(tempfile.mkdtemp(prefix="inkwright-soak-", dir=memory if roomy else None))


def one(name: str, place: Path, minutes: float, until: float, seed: int) -> int:
    """One row, or one planted defect, in this process; its result as a line of JSON."""
    from tests.lossless.harness import Tally, kill_all
    from tests.lossless.rows import BY_NAME
    from tests.lossless.variants import VARIANTS, caught

    deadline = time.monotonic() + until - time.time()
    place.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(kill_all)
        if name in BY_NAME:
            row = BY_NAME[name]
            share = minutes / FULL_MINUTES
            wanted = row.soak if row.soak < 25 else max(row.ci, 4, int(row.soak * share))
            tally = Tally(wanted, deadline, seed)
            try:
                row.run(place, tally)
            except Exception:
                tally.failures.append("the row itself: " + traceback.format_exc(limit=-3).replace("\n", " | "))
        else:
            tally = Tally(1, deadline, seed)
            tally.trials = 1
            found = caught(VARIANTS[name], place)
            tally.note(f"red: {found[:70]}" if found else "NOT CAUGHT")
            tally.failures += [] if found else [f"the planted defect {name} was not caught"]
    result = {
        "trials": tally.trials,
        "failures": tally.failures[:20],
        "failed": len(tally.failures),
        "notes": tally.notes,
    }
    print("RESULT " + json.dumps(result), flush=True)
    return 0


def everything(minutes: float, only: list[str], workers: int, seed: int) -> int:
    """All rows, some at once; the table."""
    from tests.lossless.rows import ROWS
    from tests.lossless.variants import VARIANTS

    began, place = time.time(), workplace()
    until = began + minutes * 60
    rows = sorted((row for row in ROWS if not only or row.name in only), key=lambda row: -row.minutes)
    share = minutes * workers * SHARE_OF_ROWS / max(1.0, sum(row.minutes for row in rows))  # no row starves another
    seconds = {row.name: max(LEAST_SECONDS, 60 * row.minutes * share) for row in rows}
    defects = [name for name in VARIANTS if name in only or "defects" in only or (not only and minutes >= 10)]
    names = [*seconds, *defects]
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, about {minutes:g} minutes"
    )
    print(f"{'row':<24}{'trials':>9}{'failed':>8}{'95 % bound':>12}{'seconds':>9}  notes", flush=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # by way of `finally`: nothing is left
    running: dict[str, tuple[subprocess.Popen[str], float]] = {}
    bad = 0
    try:
        while names or running:
            while names and len(running) < workers:
                name = names.pop(0)
                end_at = time.time() + seconds.get(name, minutes * 60)
                running[name] = start(name, place, minutes, end_at, seed), time.time()
            for name, (child, since) in list(running.items()):
                late = time.time() > until + 3 * RESERVE_SECONDS
                if child.poll() is not None or late:
                    bad += conclude(name, child, time.time() - since, late and child.poll() is None)
                    del running[name]
            time.sleep(0.05)
    finally:
        for child, _ in running.values():
            end(child)
        clear(place)
    verdict = (
        "every row held and every planted defect was caught" if not bad else f"{bad} rows or planted defects FAILED"
    )
    print(f"{verdict}; {(time.time() - began) / 60:.1f} minutes", flush=True)
    return 1 if bad else 0


def start(name: str, place: Path, minutes: float, until: float, seed: int) -> "subprocess.Popen[str]":
    """A row in a process group of its own."""
    own = Path(tempfile.mkdtemp(prefix="row-", dir=place))
    own.chmod(0o755)
    place.chmod(0o755)
    arguments = ["--row", name, "--place", own, "--minutes", minutes, "--until", until, "--seed", seed]
    command = [sys.executable, "-m", "tests.lossless.soak", *map(str, arguments)]
    log = (own.parent / f"{own.name}.log").open("w+", encoding="utf-8")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "300", "PYTHONWARNINGS": "ignore"}
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, env=env, start_new_session=True)
    child.log = log  # type: ignore[attr-defined]
    child.place = own  # type: ignore[attr-defined]
    return child


def conclude(name: str, child: "subprocess.Popen[str]", seconds: float, late: bool) -> int:
    """One line of the table; 1 if it is bad news."""
    end(child)
    child.log.seek(0)  # type: ignore[attr-defined]
    said = child.log.read()  # type: ignore[attr-defined]
    child.log.close()  # type: ignore[attr-defined]
    clear(child.place)  # type: ignore[attr-defined]
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    if not lines:
        what = "it did not end" if late else f"it died with {child.returncode}"
        print(f"{name:<24}{'-':>9}{1:>8}{'-':>12}{seconds:>9.0f}  {what}: {said[-400:]!r}", flush=True)
        return 1
    result = json.loads(lines[-1][7:])
    trials, failed = result["trials"], result["failed"]
    bound = f"{300 / trials:.2g} %" if trials > 3 and not failed else "-"
    notes = "; ".join(result["notes"]) or ("not tried" if not trials else "")
    print(f"{name:<24}{trials:>9,}{failed:>8,}{bound:>12}{seconds:>9.0f}  {notes}", flush=True)
    for failure in result["failures"]:
        print(f"    {failure}", flush=True)
    return 1 if failed else 0


def end(child: "subprocess.Popen[str]") -> None:
    """Nothing of a row is left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def clear(place: Path) -> None:
    """Take a folder away, disks that are still mounted in it too."""
    if Path("/proc/mounts").exists():
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for where in sorted((path for path in mounted if path.startswith(str(place))), reverse=True):
            subprocess.run(["umount", "-l", where], check=False, capture_output=True)
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
