"""The training loop: a generator of steps. It prints, saves and asks nothing; whoever reads it does, or stops reading."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inkwright.config import TrainConfig
from inkwright.model import LogitModel
from inkwright.model.counts import Counts
from inkwright.model.swift import Swift
from inkwright.randomness import derive
from inkwright.text.windows import Windows
from inkwright.train.base import Optimizer
from inkwright.train.guard import Guard
from inkwright.train.loss import next_token_loss
from inkwright.train.optimizer import clip_gradients, learning_rate, warm_rate
from inkwright.train.plan import begins_an_epoch, places_left_out
from inkwright.train.row_adagrad import RowAdagrad


@dataclass
class TrainState:
    """All that must survive a restart for the next step to be the same, bit for bit."""

    model: LogitModel
    optimizers: list[Optimizer]
    forward: Callable[[Tensor], Tensor]
    """The model, or its compiled twin: what a training step calls. Saving and writing use `model`."""
    step: int = 0
    """Optimizer updates done."""
    guard: Guard = field(default_factory=lambda: Guard("stop"))
    learning_rate_scale: float = 1.0
    """Lowered each time a diverged run goes back."""


@dataclass(frozen=True)
class StepReport:
    """What one update did."""

    step: int
    """Updates done, this one included."""
    loss: float
    """Training loss of its batch before the update, nats per token."""
    grad_norm: float
    """Norm of the gradient before clipping."""
    learning_rate: float
    tokens: int
    """Tokens trained on."""


def train(
    state: TrainState, windows: Windows, config: TrainConfig, dtype: torch.dtype = torch.float32
) -> Iterator[StepReport]:
    """Improve `state` in place, one update for each report, until `config.steps` are done.

    What a step does is a pure function of the state, the text and `config`: batches and dropout masks are drawn from the
    seed and the step, so stopping, saving and starting again anywhere changes nothing.

    Raises: DivergedError   a loss or gradient is not finite and the guard's policy is not to skip it; nothing was updated
    """
    while state.step < config.steps:
        step = state.step
        batch = _next_batch(state, windows, config)
        loss = gradients(state.model, batch, config, step, dtype, state.forward)
        grad_norm = clip_gradients(state.model, config.grad_clip)
        lr = learning_rate(step, config) * state.learning_rate_scale
        if state.guard.allows(step, loss, grad_norm, lr):
            for optimizer in state.optimizers:
                shrinks = isinstance(optimizer, RowAdagrad)  # of itself
                for group in optimizer.param_groups:
                    group["lr"] = warm_rate(step, config) * state.learning_rate_scale if shrinks else lr
                optimizer.step()
        state.step += 1
        yield StepReport(state.step, loss, grad_norm, lr, config.batch_size * windows.block_size)


def _next_batch(state: TrainState, windows: Windows, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """The batch of the next step: (idx, targets).

    Each epoch learns the grams anew. In a second one their rows would know what comes, the network would learn to believe
    them, and no other text would bear that out.
    """
    step = state.step
    if config.order == "random":
        return windows.random(step, config.batch_size, config.seed)
    if isinstance(state.model, Swift) and begins_an_epoch(step, config, windows.whole):
        state.model.gram_emb.forget()
        for optimizer in state.optimizers:
            if isinstance(optimizer, RowAdagrad):
                optimizer.forget(state.model.config.vocab_size)
    return windows.epoch(step, config.batch_size, config.seed, places_left_out(step, config, windows.whole))


def count(state: TrainState, ids: np.ndarray, model: Counts) -> Iterator[StepReport]:
    """The one step of a count model: it reads the whole text, (N,) ids. The loss is that of the text it has then counted."""
    if state.step == 0:
        model.count(ids)
        rows = torch.from_numpy(ids.astype(np.int64))[None]
        state.step = 1
        loss = model.losses(rows[:, :-1].to(model.device), rows[:, 1:].to(model.device))[-1].mean().item()
        yield StepReport(1, loss, 0.0, 0.0, len(ids))


def gradients(
    model: LogitModel,
    batch: tuple[Tensor, Tensor],
    config: TrainConfig,
    step: int,
    dtype: torch.dtype = torch.float32,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> float:
    """Fill the gradients of a batch, in micro-batches that fit into memory; its mean loss, nats per token."""
    device = model.device
    size = config.micro_batch_size or config.batch_size
    model.train()
    model.zero_grad(set_to_none=True)
    forward = model if forward is None else forward
    total = 0.0
    for micro, (idx, targets) in enumerate(zip(*(part.split(size) for part in batch), strict=True)):
        if model.config.dropout or model.config.input_dropout or model.config.gram_dropout:
            torch.manual_seed(derive(config.seed, "dropout", step, micro))
        with precision(device, dtype):
            logits = forward(idx.to(device))
        loss = next_token_loss(logits, targets.to(device)) * (len(idx) / config.batch_size)
        loss.backward()
        total += loss.item()
    return total


def precision(device: torch.device, dtype: torch.dtype) -> Any:
    """Half the bits in the matrix products where that was chosen; weights and the loss stay in float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
