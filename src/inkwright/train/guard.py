"""The gate before every optimizer step: a loss or a gradient that is no finite number, or a loss that leapt, stops here."""

import math
import statistics
from dataclasses import dataclass, field

from inkwright.errors import DivergedError

MOST_SKIPPED = 10  # in a row
RECENT_STEPS = 50
LEAP = 2.0  # times ln V above the middle of the recent losses: never seen in a run that went on to learn


@dataclass
class Guard:
    """Decides what becomes of a step, by the policy of the run."""

    policy: str
    """stop, skip or rewind: what `on_nan` says. Going back is done by whoever keeps checkpoints."""
    ignorance: float = math.inf
    """What a model that knows nothing scores, nats per token: ln V."""
    skipped: int = 0
    """Steps skipped in a row; part of the state of a run."""
    recent: list[float] = field(default_factory=list)
    """The losses of the last steps that were allowed, oldest first; part of the state of a run."""

    def allows(self, step: int, loss: float, grad_norm: float, learning_rate: float) -> bool:
        """Whether the optimizer may step.

        Raises: DivergedError   it may not, and the policy is not to skip, or too many were skipped
        """
        wrong = self._wrong(loss, grad_norm)
        if wrong is None:
            self.skipped = 0
            self.recent = [*self.recent, loss][-RECENT_STEPS:]
            return True
        self.skipped += 1
        if self.policy == "skip" and self.skipped <= MOST_SKIPPED:
            return False
        raise DivergedError(
            f"{wrong} at step {step} (learning rate {learning_rate:.3g})",
            f"--learning-rate {learning_rate / 10:.2g}, or --on-nan rewind",
        )

    def _wrong(self, loss: float, grad_norm: float) -> str | None:
        if not math.isfinite(loss):
            return f"loss became {loss}"
        if not math.isfinite(grad_norm):
            return f"gradient became {grad_norm}"
        if self.recent and loss > (usual := statistics.median(self.recent)) + LEAP * self.ignorance:
            return f"loss leapt from {usual:.1f} to {loss:.1f}"
        return None
