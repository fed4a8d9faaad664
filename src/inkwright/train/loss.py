"""How surprised a model is. Knows no files, no optimizer."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inkwright import interrupt
from inkwright.model import LogitModel
from inkwright.text.windows import Windows


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy, nats per token. A model that knows nothing scores ln V.

    Shape: (B, T, V), (B, T) -> ()
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


@dataclass(frozen=True)
class Evaluation:
    """An exact loss over a whole text."""

    loss: float
    """Nats per token, every token scored once."""
    stderr: float
    """Standard error of `loss`, taking the windows as independent draws of text (the measurement itself is exact)."""
    tokens: int
    """How many tokens were scored."""

    def bits_per(self, units: int) -> float:
        """Bits for each of `units` characters or bytes that the scored tokens spell."""
        return self.loss * self.tokens / math.log(2) / units


def token_losses(model: LogitModel, windows: Windows, batch_size: int = 64) -> list[Tensor]:
    """The surprise of every token but the first, nats, in the order of the text: a list of (B, T) batches.

    The context starts anew with each window, as in the metric block@T.
    """
    device = model.device
    was_training, losses = model.training, []
    model.eval()
    try:
        with torch.no_grad():
            for idx, targets in windows.all(batch_size):
                interrupt.check()
                logits = model(idx.to(device)).float().flatten(0, 1)
                surprise = F.cross_entropy(logits, targets.to(device).flatten(), reduction="none")
                losses.append(surprise.view(idx.shape).cpu())
    finally:
        model.train(was_training)
    return losses


def evaluate(model: LogitModel, windows: Windows, batch_size: int = 64) -> Evaluation:
    """The exact loss of a model on all of `windows`, in float32, each token scored once.

    Raises: Interrupted   a stop was asked for on the way
    """
    batches = [batch.double() for batch in token_losses(model, windows, batch_size)]
    tokens = sum(batch.numel() for batch in batches)
    loss = sum(batch.sum().item() for batch in batches) / tokens
    if len(batches) == 1 and len(batches[0]) == 1:
        batches = [batches[0].T]  # one window alone has no spread: take its tokens for draws
    # how far each window is from what its length lets expect: windows of unequal length count by their tokens
    residuals = torch.cat([(batch - loss).sum(1) for batch in batches])
    n = len(residuals)
    stderr = math.sqrt((residuals**2).sum().item() * n / (n - 1)) / tokens if n > 1 else math.nan
    return Evaluation(loss, stderr, tokens)
