"""From logits to one token: pure functions. Knows no model and no text."""

import torch
from torch import Tensor

from inkwright.config import SampleConfig
from inkwright.errors import ModelError


def probabilities(logits: Tensor, config: SampleConfig) -> Tensor:
    """The distribution that a token is drawn from: temperature first, then top-k, top-p and min-p, each on what is left.

    Every filter keeps at least the likeliest token. Of equally likely ones, those with the smaller id are kept.

    Shape: (V,) -> (V,)
    Raises: ModelError   a logit is nan or inf, or all are -inf
    """
    logits = logits.double()
    if not logits.max().isfinite():  # nan and inf come out on top
        raise ModelError(
            "the model gave no finite probabilities", "its weights are damaged or it diverged; train it again"
        )
    if config.temperature == 0:
        return torch.zeros_like(logits).index_fill(0, logits.argmax(), 1.0)
    sorted_probs, order = ((logits - logits.max()) / config.temperature).softmax(-1).sort(descending=True, stable=True)
    keep = torch.ones_like(sorted_probs, dtype=torch.bool)
    if config.top_k:
        keep[config.top_k :] = False
    if config.top_p < 1:
        kept = sorted_probs * keep
        before = (kept.cumsum(-1) - kept) / kept.sum()  # the token that crosses top_p stays
        keep &= before < config.top_p
    if config.min_p:
        keep &= sorted_probs >= config.min_p * sorted_probs[0]
    kept = sorted_probs * keep
    return torch.zeros_like(kept).index_copy(0, order, kept / kept.sum())


def draw(probs: Tensor, rng: torch.Generator) -> int:
    """One token id. The same generator state and probabilities give the same id on every machine.

    Shape: (V,) -> ()
    """
    point = torch.rand((), generator=rng, dtype=torch.float64)
    cumulative = probs.cumsum(-1)
    drawn = int(torch.searchsorted(cumulative, point * cumulative[-1], right=True))
    return min(drawn, int(probs.nonzero()[-1]))
