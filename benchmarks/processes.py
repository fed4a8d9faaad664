"""Whole programs as a person starts them: what they print, how long they take, how much memory they need."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> tuple[str, str, int, int]:
    """Run a program to its end: what it printed, what it complained, its exit code, the most memory it had (bytes)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=os.environ | environment)
        most = 0
        while process.poll() is None:
            most = max(most, _memory(process.pid))
            time.sleep(0.02)
        for file in (out, err):
            file.seek(0)
        return out.read(), err.read(), process.returncode, most


def _memory(pid: int) -> int:
    """The most that a living process had so far. The system's own account at its end begins with what we had at its start."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


def torch_memory() -> int:
    """What `import torch` alone takes, bytes."""
    return run([sys.executable, "-c", "import torch"], {})[3]
