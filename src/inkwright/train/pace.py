"""How fast a model trains on this machine, measured in a moment. Knows no files."""

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from inkwright import interrupt
from inkwright.config import MachineConfig, TrainConfig, change
from inkwright.model import LogitModel
from inkwright.text.windows import Windows
from inkwright.train.loop import gradients
from inkwright.train.optimizer import build_optimizers

MOST_TOKENS = 4096  # at once on a CPU: a larger batch takes proportionally longer
TIMES = 3
ENOUGH_SECONDS = 1.0  # of one kind of work: then no more of it is timed


@dataclass(frozen=True)
class Pace:
    """What things take here."""

    step_seconds: float
    """Of one optimizer update."""
    token_seconds: float
    """Of judging one token."""


def measure(model: LogitModel, ids: np.ndarray, train: TrainConfig, machine: MachineConfig) -> Pace:
    """The pace of a model on a text, (N,) ids. What is to be compiled runs uncompiled here.

    It is measured on a copy: the model itself stays as it is.

    Raises: Interrupted   a stop was asked for on the way
    """
    if model.config.model == "counts":
        return Pace(0.0, 0.0)
    trial = copy.deepcopy(model).to(machine.device)
    T, most = trial.config.block_size, train.micro_batch_size or train.batch_size
    rows = min(most, max(1, MOST_TOKENS // T)) if machine.device == "cpu" else most
    batch = Windows(ids, T).random(0, rows, train.seed)
    part = change(train, batch_size=rows, micro_batch_size=None)
    optimizers = build_optimizers(trial, change(part, learning_rate=1e-9))
    for_part = _seconds(machine, lambda: gradients(trial, batch, part, 0, getattr(torch, machine.dtype)))
    for_update = _seconds(machine, lambda: [optimizer.step() for optimizer in optimizers])
    trial.eval()
    with torch.no_grad():
        for_judging = _seconds(machine, lambda: trial(batch[0].to(trial.device)))
    return Pace(for_part * train.batch_size / rows + for_update, for_judging / (rows * T))


def _seconds(machine: MachineConfig, work: Callable[[], object]) -> float:
    """The middle of a few timings after a first one, which is slow; that one where it is slow enough."""
    took: list[float] = []
    began = time.perf_counter()
    while len(took) <= TIMES and time.perf_counter() - began < ENOUGH_SECONDS:
        interrupt.check()
        started = time.perf_counter()
        work()
        if torch.accelerator.is_available() and machine.device != "cpu":
            torch.accelerator.synchronize()
        took.append(time.perf_counter() - started)
    return statistics.median(took[1:] or took)
