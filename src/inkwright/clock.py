"""Time that was worked, not time that went by: since the process began, and without the hours a laptop slept.

On Linux and macOS `time.monotonic` stands still while the machine sleeps. Where it does not (Windows), and where a process
was held with SIGSTOP, a step that takes far longer than any other is taken for a sleep.
"""

import os
import statistics
import time
from collections import deque

SLEEP_SECONDS = 30.0  # a step shorter than this was never a sleep
SLEEP_TIMES = 20  # nor one that took less than so many usual ones
USUAL_STEPS = 50  # the last ones say what is usual
LEAST_STEPS = 5

_began: list[float] = []


def count_from_process_start() -> None:
    """This process is one command: its time began before the first line of ours was read."""
    _began[:] = [time.monotonic() - _process_seconds()]


def began() -> float:
    """When the work began, on `time.monotonic`: with the process where that is one command, else now."""
    return _began[0] if _began else time.monotonic()


def _process_seconds() -> float:
    """How long this process has been there; 0 where the system does not say."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as file:  # Linux
            ticks = int(file.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


class Stopwatch:
    """Seconds of work, sleeps left out."""

    def __init__(self, earlier_seconds: float = 0.0) -> None:
        self._began = time.monotonic() - earlier_seconds
        self._asleep = 0.0
        self._usual: deque[float] = deque(maxlen=USUAL_STEPS)

    @property
    def seconds(self) -> float:
        """Worked so far."""
        return time.monotonic() - self._began - self._asleep

    def step(self, seconds: float) -> float:
        """Note what a step took; what of it was work. The rest was a sleep and does not count."""
        if len(self._usual) >= LEAST_STEPS:
            usual = statistics.median(self._usual)
            if seconds > SLEEP_SECONDS and seconds > SLEEP_TIMES * usual:
                self._asleep += seconds - usual
                return usual
        self._usual.append(seconds)
        return seconds
