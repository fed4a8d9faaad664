"""From gradients to better weights, and how fast at each step. Knows no text and no loop."""

import math

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from inkwright.config import TrainConfig
from inkwright.train.plan import share_done


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimizers of a run; each parameter belongs to exactly one.

    adamw   AdamW for all; weight decay for matrices only
    muon    Muon for the matrices inside the blocks, AdamW for the tables, the head and the vectors. Muon's steps are
            scaled to the size of AdamW's, so that both share one learning rate and one weight decay

    Source: Loshchilov and Hutter 2019 (AdamW); Jordan et al. 2024 (Muon), scaled as in Liu et al. 2025, section 2.2
    """
    named = dict(model.named_parameters())
    inner = {n for n, p in named.items() if config.optimizer == "muon" and p.ndim == 2 and n.startswith("blocks.")}
    groups = [
        {
            "params": [p for n, p in named.items() if n not in inner and p.ndim >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for n, p in named.items() if n not in inner and p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:  # a model that counts
        return []
    optimizers: list[Optimizer] = [
        AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)
    ]
    if inner:
        optimizers.append(
            Muon(
                [named[name] for name in sorted(inner)],
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                momentum=0.95,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step (counted from 0): warm up in a straight line, then fall as the schedule says.

    It falls with the progress towards the end of the plan, also where that was moved on the way. A step past the planned
    ones keeps the last value.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return config.learning_rate
    done = share_done(step, config)
    left = (1 + math.cos(math.pi * done)) / 2 if config.schedule == "cosine" else 1 - done
    return config.min_learning_rate + left * (config.learning_rate - config.min_learning_rate)


def clip_gradients(model: nn.Module, most: float) -> float:
    """The norm of the whole gradient, which is scaled down to `most` where it is larger (0: never)."""
    return torch.nn.utils.clip_grad_norm_(model.parameters(), most or math.inf).item()
