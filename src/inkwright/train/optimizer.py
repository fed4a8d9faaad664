"""From gradients to better weights, and how fast at each step. Knows no text and no loop."""

import math

import torch
from torch import nn

from inkwright.config import TrainConfig
from inkwright.train.adamw import AdamW
from inkwright.train.base import Optimizer
from inkwright.train.muon import Muon
from inkwright.train.plan import share_done
from inkwright.train.row_adagrad import RowAdagrad, coalesced

ROW_RATE = 30.0
"""Learning rate of a table of grams, in those of the rest: Adagrad's steps shrink as 1 / sqrt(times the row was needed)."""


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimizers of a run; each parameter belongs to exactly one.

    adamw   AdamW for all; weight decay for matrices only
    muon    Muon for the matrices inside the blocks, AdamW for the tables, the head and the vectors. Muon's steps are
            scaled to the size of AdamW's, so that both share one learning rate and one weight decay

    A table of grams, of which a step touches few rows, has RowAdagrad in any case.
    """
    named = dict(model.named_parameters())
    tables = [p for n, p in named.items() if n.startswith("gram_emb.")]
    inner = [p for n, p in named.items() if config.optimizer == "muon" and p.ndim >= 2 and n.startswith("blocks.")]
    rest = [p for p in named.values() if not any(p is other for other in (*tables, *inner))]
    lr, decay = config.learning_rate, config.weight_decay
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: list[Optimizer] = []
    if rest:  # a model that counts has nothing to learn
        groups = [group for group in groups if group["params"]]
        optimizers.append(AdamW(*groups, lr=lr, betas=(config.beta1, config.beta2)))
    if inner:
        optimizers.append(Muon(inner, lr, decay))
    if tables:
        optimizers.append(RowAdagrad(tables, lr, rate=ROW_RATE))
    return optimizers


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step (counted from 0): warm up in a straight line, then fall as the schedule says.

    It falls with the progress towards the end of the plan, also where that was moved on the way. A step past the planned
    ones keeps the last value.
    """
    if step < config.warmup_steps or config.schedule == "constant":
        return warm_rate(step, config)
    done = share_done(step, config)
    left = (1 + math.cos(math.pi * done)) / 2 if config.schedule == "cosine" else 1 - done
    return config.min_learning_rate + left * (config.learning_rate - config.min_learning_rate)


def warm_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step (counted from 0) if it never fell: warm up in a straight line, and stay there."""
    return config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))


def clip_gradients(model: nn.Module, most: float) -> float:
    """The norm of the whole gradient, which is scaled down to `most` where it is larger (0: never)."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    gradients = [coalesced(gradient).values() if gradient.is_sparse else gradient for gradient in gradients]
    norm = torch.nn.utils.get_total_norm(gradients)
    if most and norm > most:
        for gradient in gradients:
            gradient.mul_(most / (norm + 1e-6))
    return norm.item()
