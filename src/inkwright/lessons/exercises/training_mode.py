"""training-mode: dropout while learning, never while judging."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Wrong, kind, random, same, tensor, unchanged

STARTER = '''
"""Dropout while learning, never while judging.

dropout sets each number to 0 with probability p, on its own and differently in
every call, and divides those that stay by 1 - p, so that the mean stays the
same. When training is False it changes nothing.

mean_loss judges a model: the mean of model(batch) over the batches, as a
Python float, with dropout off and without gradients. Afterwards the model is
in the mode it was in before.
"""

import torch
from torch import Tensor, nn


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Any shape -> the same shape"""
    raise NotImplementedError


def mean_loss(model: nn.Module, batches: list[Tensor]) -> float:
    """model(batch) is the loss of one batch, a tensor of shape ()."""
    raise NotImplementedError
'''

HINT = "model.training says which mode a model is in; model.eval() and model.train(was_training) set it."


def check(dropout: Callable[..., Any], mean_loss: Callable[..., Any]) -> str:
    """What dropout keeps, drops and scales; then a model in both modes, before and after it is judged."""
    torch.manual_seed(1337)
    for seed, p in enumerate((0.2, 0.5)):
        _dropout(dropout, 1 + random(seed, 50, 60).abs(), p)
    for was_training in (True, False):
        _judging(mean_loss, was_training)
    return "Right: dropout is off while the model is judged, and afterwards all is as it was."


def _dropout(dropout: Callable[..., Any], x: Tensor, p: float) -> None:
    same(
        "dropout(x, p, training=False)", dropout(x.clone(), p, False), x, {"divided by 1 - p all the same": x / (1 - p)}
    )
    given = x.clone()
    got = tensor("dropout(x, p, training=True)", dropout(given, p, True), x.shape)
    unchanged("x", given, x)
    dropped = got == 0
    if bool(dropped.any()) and bool((dropped.all(1) | ~dropped.any(1)).all()):
        raise Wrong("dropout drops whole rows: each number has its own chance")
    share = dropped.double().mean().item()
    if abs(share - p) > 0.05:
        reason = (
            "; p is the share that goes, not the share that stays" if abs(share - 1 + p) < 0.05 and p != 0.5 else ""
        )
        raise Wrong(f"dropout with p = {p} sets {share:.0%} of the numbers to 0, expected about {p:.0%}{reason}")
    slips = {"what stays must be divided by 1 - p": x * ~dropped, "divided by p, not by 1 - p": x / p * ~dropped}
    same(f"dropout with p = {p}", got, x / (1 - p) * ~dropped, slips)
    if bool((tensor("dropout", dropout(x.clone(), p, True), x.shape) == got).all()):
        raise Wrong("dropout drops the same numbers in every call: draw them anew each time")


class _Model(nn.Module):
    """Notes the modes it was called in."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.drop = nn.Dropout(0.5)
        self.modes: list[bool] = []
        self.gradients: list[bool] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.modes.append(self.drop.training)
        self.gradients.append(torch.is_grad_enabled())
        return (self.drop(batch) * self.weight).mean()


def _judging(mean_loss: Callable[..., Any], was_training: bool) -> None:
    model = _Model().train(was_training)
    batches = [random(seed, 4, 8).abs() + seed for seed in range(3)]
    got = mean_loss(model, batches)
    if not isinstance(got, float):
        raise Wrong(f"mean_loss is {kind(got)}; a Python float is expected: .item() makes one of a tensor")
    if any(model.modes):
        raise Wrong(f"dropout is on while batch {model.modes.index(True)} is judged: model.eval() turns it off")
    if any(model.gradients):
        raise Wrong(f"gradients are kept for batch {model.gradients.index(True)}: use torch.no_grad()")
    right = [2 * batch.mean().item() for batch in batches]
    slips = {
        "this is the sum over the batches": sum(right),
        "this is the first batch only": right[0],
        "this is the last batch only": right[-1],
    }
    same("mean_loss(model, batches)", got, sum(right) / 3, slips)
    mode = {True: "training", False: "evaluation"}
    if (model.training, model.drop.training) != (was_training, was_training):
        raise Wrong(
            f"the model was in {mode[was_training]} mode before and is in {mode[not was_training]} mode afterwards"
        )


EXERCISE = Exercise("training-mode", "dropout off while judging", "dropout", STARTER, HINT, check)
