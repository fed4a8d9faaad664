"""Whole programs as a person starts them: what they print, how long they take, how much memory they need."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> tuple[str, str, int, int]:
    """Run a program to its end: what it printed, what it complained, its exit code, the most memory it had (bytes)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=os.environ | environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        return out.read(), err.read(), process.returncode, usage.ru_maxrss * 1024


def torch_memory() -> int:
    """What `import torch` alone takes, bytes."""
    return run([sys.executable, "-c", "import torch"], {})[3]
