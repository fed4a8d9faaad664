"""How many steps fit into the minutes a person has, from the speed measured here. Knows no files."""

import copy
import statistics
import time

import torch

from inkwright.config import MachineConfig, TrainConfig, change
from inkwright.model import LogitModel
from inkwright.text.windows import Windows
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate
from inkwright.train.optimizer import build_optimizers

WARM_STEPS = 2  # the first ones are slow
TIMED_STEPS = 12
EVALUATIONS = 6  # in a planned run, so that a short one shows a curve too


def fit_minutes(
    config: TrainConfig,
    model: LogitModel,
    train_windows: Windows,
    val_windows: Windows,
    machine: MachineConfig,
    budget_seconds: float,
) -> TrainConfig:
    """The configuration with as many steps, and as many evaluations, as `budget_seconds` allow.

    A few steps are made on a copy of the model; the model itself stays as it is.
    """
    started = time.perf_counter()
    trial = copy.deepcopy(model).to(machine.device)
    state = TrainState(trial, build_optimizers(trial, config), trial)
    stamps = [time.perf_counter()]
    for report in train(state, train_windows, change(config, steps=10**9), getattr(torch, machine.dtype)):
        stamps.append(time.perf_counter())
        if report.step == WARM_STEPS + TIMED_STEPS:
            break
    step_seconds = statistics.median(b - a for a, b in zip(stamps[WARM_STEPS:], stamps[WARM_STEPS + 1 :], strict=False))
    evaluation_began = time.perf_counter()
    evaluate(trial, val_windows)
    evaluation_seconds = time.perf_counter() - evaluation_began
    left = budget_seconds - (time.perf_counter() - started) - EVALUATIONS * evaluation_seconds
    steps = max(EVALUATIONS, int(left / step_seconds))
    every = max(1, -(-steps // EVALUATIONS))
    return change(
        config,
        steps=steps,
        warmup_steps=min(config.warmup_steps, steps // 5),
        eval_every=every,
        checkpoint_every=every,
        sample_every=min(config.sample_every, every),
    )
