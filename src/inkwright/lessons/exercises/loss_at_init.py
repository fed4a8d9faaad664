"""loss-at-init: what a model that knows nothing scores."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Wrong, random, same

STARTER = '''
"""How surprised is a model that knows nothing?

The loss of one guess is -ln of the probability that was given to the token
that came. Of a batch it is the mean, in nats.

Logits that are all equal give every one of 65 characters the same chance:
the loss is ln 65 = 4.1744. A fresh nn.Embedding(65, 65) with seed 1337 scores
4.8786 on the lecture's batch: it already prefers some characters, wrongly.

Write it without F.cross_entropy: you will see what is inside.
"""

import torch
from torch import Tensor


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, T, V) logits, (B, T) targets -> one number, nats per token."""
    raise NotImplementedError
'''

HINT = "Turn logits into log-probabilities (log_softmax over V), gather the target's, take minus the mean."

INPUTS = [
    [24, 43, 58, 5, 57, 1, 46, 43],
    [44, 53, 56, 1, 58, 46, 39, 58],
    [52, 58, 1, 58, 46, 39, 58, 1],
    [25, 17, 27, 10, 0, 21, 1, 54],
]
"""The first batch of the lecture."""

LAST_TARGETS = [39, 1, 46, 39]


def check(loss: Callable[..., Any]) -> str:
    """Equal logits, the lecture's first loss, random batches, and logits too large for exp."""
    inputs = torch.tensor(INPUTS)
    targets = torch.cat([inputs[:, 1:], torch.tensor(LAST_TARGETS)[:, None]], dim=1)
    _compare("loss of logits that are all 0", loss, torch.zeros(4, 8, 65), targets)
    table = nn.Embedding(65, 65, _weight=_lecture_table())
    _compare("loss of the lecture's fresh table", loss, table(inputs).detach(), targets)
    for seed, (B, T, V) in enumerate([(2, 3, 5), (5, 4, 97), (1, 7, 2)]):
        targets = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(seed))
        _compare(f"loss of random logits {(B, T, V)}", loss, 2 * random(seed, B, T, V), targets)
    huge = torch.tensor([[[1000.0, 0.0, -1000.0]]])
    got = loss(huge.clone(), torch.tensor([[0]]))
    if not math.isfinite(float(got)):
        raise Wrong(f"loss of logits of 1,000 is {float(got)}: exp(1000) is too large; use log_softmax")
    same("loss of a sure and right guess", got, 0.0)
    got = loss(huge.clone(), torch.tensor([[1]]))
    cut = "; something was added to the probabilities, or they were cut off" if float(got) < 999 else ""
    same("loss of a sure and wrong guess", got, 1000.0, says=f"{{element}} is {{got}}{cut}")
    return f"Right: {math.log(65):.4f} for equal logits, 4.8786 for the lecture's fresh table."


def _lecture_table() -> Tensor:
    return torch.randn(65, 65, generator=torch.Generator().manual_seed(1337))


def _compare(what: str, loss: Callable[..., Any], logits: Tensor, targets: Tensor) -> None:
    right, log_probs = F.cross_entropy(logits.mT, targets), logits.log_softmax(-1)
    slips = {
        "this is the sum, the mean is asked for": right * targets.numel(),
        "this is in bits (log base 2), nats are asked for": right / math.log(2),
        "the logits went through softmax twice": F.cross_entropy(logits.softmax(-1).mT, targets),
        "the minus is missing": -right,
        "this is a loss for each token, the mean is asked for": F.cross_entropy(logits.mT, targets, reduction="none"),
        "this is the mean over all tokens of the alphabet, not the target's": -log_probs.mean(),
        "softmax runs over time, not over the alphabet": F.nll_loss(logits.log_softmax(1).mT, targets),
    }
    same(what, loss(logits.clone(), targets.clone()), right, slips)


EXERCISE = Exercise("loss-at-init", "what knowing nothing costs", "bigram", STARTER, HINT, check)
