"""From logits to one token. Knows no model and no text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inkwright.config import SampleConfig
from inkwright.errors import ModelError, SettingError, TextError
from inkwright.randomness import derive


class Pen:
    """What one text brings to each of its draws: its wishes, its random numbers, and what it holds so far.

    Raises: TextError   an empty prompt, or an id out of the vocabulary; SettingError   a bias for one
    """

    def __init__(self, vocab_size: int, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = ()) -> None:
        if not len(prompt):
            raise TextError("the prompt has no tokens", "at least one is needed to start from")
        for name, ids in (("prompt", prompt), ("logit_bias", config.logit_bias)):
            stranger = next((i for i in ids if not 0 <= i < vocab_size), None)
            if stranger is not None and name == "prompt":
                raise TextError(f"the prompt has the id {stranger}; this model has 0 to {vocab_size - 1}")
            if stranger is not None:
                raise SettingError(name, f"ids must be 0 to {vocab_size - 1} (got {stranger})")
        self.config = config
        self.rng = torch.Generator().manual_seed(derive(config.seed, "sample"))
        self.bias = torch.zeros(vocab_size)
        for token_id, bias in config.logit_bias.items():
            self.bias[token_id] = bias
        self.bias[list(never)] = float("-inf")
        self.present = torch.zeros(vocab_size, dtype=torch.bool)
        self.present[list(prompt)] = True
        self.written = torch.zeros(vocab_size)

    def draw(self, logits: Tensor) -> int:
        """The next token id, given what the model says: penalties first, then the biases, then the filters.

        Shape: (V,) -> ()
        Raises: ModelError   a logit is nan or inf, or all are -inf
        """
        token_id = draw(probabilities(self.penalized(logits) + self.bias, self.config), self.rng)
        self.present[token_id] = True
        self.written[token_id] += 1
        return token_id

    def penalized(self, logits: Tensor) -> Tensor:
        """Less of what was said already.

        Shape: (V,) -> (V,)
        Source: Keskar et al. 2019 (CTRL), section 4.1, for the repetition penalty
        """
        config = self.config
        if config.repetition_penalty != 1:
            scaled = torch.where(logits > 0, logits / config.repetition_penalty, logits * config.repetition_penalty)
            logits = torch.where(self.present, scaled, logits)
        if config.presence_penalty or config.frequency_penalty:
            logits = logits - config.presence_penalty * (self.written > 0) - config.frequency_penalty * self.written
        return logits


def probabilities(logits: Tensor, config: SampleConfig) -> Tensor:
    """The distribution that a token is drawn from: temperature first, then top-k, top-p and min-p, each on what is left.

    Every filter keeps at least the likeliest token. Of equally likely ones, those with the smaller id are kept.

    Shape: (V,) -> (V,)
    Raises: ModelError   a logit is nan or inf, or all are -inf
    """
    logits = _finite(logits.double())
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


def log_probabilities(logits: Tensor) -> Tensor:
    """What the model itself says, before any wish is heard.

    Shape: (B, V) -> (B, V)
    Raises: ModelError   a logit is nan or inf, or all are -inf
    """
    return _finite(logits.double()).log_softmax(-1)


def _finite(logits: Tensor) -> Tensor:
    if not logits.max(-1).values.isfinite().all():  # nan and inf come out on top
        raise ModelError(
            "the model gave no finite probabilities", "its weights are damaged or it diverged; train it again"
        )
    return logits


def draw(probs: Tensor, rng: torch.Generator) -> int:
    """One token id. The same generator state and probabilities give the same id on every machine.

    Shape: (V,) -> ()
    """
    point = torch.rand((), generator=rng, dtype=torch.float64)
    cumulative = probs.cumsum(-1)
    drawn = int(torch.searchsorted(cumulative, point * cumulative[-1], right=True))
    return min(drawn, int(probs.nonzero()[-1]))
