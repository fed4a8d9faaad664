"""What this machine can do at most, measured in the same run as what it is compared with."""

import platform
import statistics
import time
from collections.abc import Callable

import torch

SHAPES = ((768, 128, 512), (4096, 128, 512), (1024, 1024, 1024))
"""Rows x inner x columns: the MLP of a 128-wide model at 768 and 4,096 tokens, and one of no model."""


def gemm_rate(dtype: torch.dtype = torch.float32, seconds: float = 1.0) -> float:
    """The best rate of a matrix product over SHAPES, GFLOP/s."""
    best = 0.0
    for m, k, n in SHAPES:
        a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
        took = min(timings(lambda a=a, b=b: a @ b, seconds / len(SHAPES)))
        best = max(best, 2 * m * k * n / took / 1e9)
    return best


def timings(work: Callable[[], object], seconds: float) -> list[float]:
    """How long each repetition took, seconds, for about `seconds` altogether."""
    for _ in range(3):
        work()
    took, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return took


def describe() -> str:
    """The machine in one line."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def spread(values: list[float], digits: int = 2) -> str:
    """`median (lowest to highest)`."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
