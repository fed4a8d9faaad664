"""Short trainings as whole processes: what was forecast before the first step, and what they took.

    python -m benchmarks.forecast [--text shakespeare] [--minutes 0.5] [--only NAME]

Time is from the start of the process to its end; memory is its most, less what `import torch` alone takes. Ends with exit
code 1 where either is off by more than a fifth, or a loss lies outside its band (marked !).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine

ALLOWED = 0.2
CASES: dict[str, str] = {
    "planned": "--minutes {minutes}",
    "laptop": "--steps 150",
    "small": "--steps 300 --n-layer 2 --block-size 64 --batch-size 32",
    "wide": "--steps 40 --n-layer 5 --n-head 6 --n-embd 192 --batch-size 16 --dropout 0.1",
    "large": "--steps 8 --n-layer 6 --n-head 6 --n-embd 384 --block-size 256 --batch-size 8",
    "bpe": "--steps 60 --tokenizer bpe --vocab-size 2048",
    "swift": "--preset sprint --steps 200",
}
COLUMNS = (
    "case        time forecast   measured    ratio   memory forecast   measured    ratio       loss expected   reached"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="shakespeare")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--only", default="", help="one of " + ", ".join(CASES))
    arguments = parser.parse_args()
    print(machine.describe())
    torch_bytes = process([sys.executable, "-c", "import torch"])[1]
    print(f"import torch alone takes {torch_bytes / 1e6:,.0f} MB")
    print(COLUMNS)
    off = [
        name
        for name, flags in CASES.items()
        if arguments.only in ("", name)
        and not holds(name, flags.format(minutes=arguments.minutes), arguments, torch_bytes)
    ]
    sys.exit(1 if off else 0)


def holds(name: str, flags: str, arguments: argparse.Namespace, torch_bytes: int) -> bool:
    """One training, in a row; whether time, memory and loss were as forecast."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        command = [sys.executable, "-m", "inkwright", "train", arguments.text, "--run", str(run), *flags.split()]
        seconds, most_bytes = process([*command, "--sample-every", "0"])
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        reports = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    expected: dict[str, Any] = record["forecast"]
    loss = min(line["val_loss"] for line in map(json.loads, reports) if line.get("val_loss"))
    times, memories = seconds / expected["seconds"], (most_bytes - torch_bytes) / expected["memory_bytes"]
    band = f"{expected['loss_low']:.2f} to {expected['loss_high']:.2f}"
    within = expected["loss_low"] <= loss <= expected["loss_high"]
    print(
        f"{name:10} {expected['seconds']:>12.1f} s {seconds:>8.1f} s {times:>8.2f}"
        f" {expected['memory_bytes'] / 1e6:>14,.0f} MB {(most_bytes - torch_bytes) / 1e6:>7,.0f} MB {memories:>8.2f}"
        f" {band:>19} {loss:>9.3f}{'' if within else '!'}",
        flush=True,
    )
    return within and all(abs(ratio - 1) <= ALLOWED for ratio in (times, memories))


def process(command: list[str]) -> tuple[float, int]:
    """Run a command to its end: the seconds it took, and the most bytes it had in memory."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, " ".join(command)
    return time.monotonic() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
