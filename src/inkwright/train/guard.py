"""The gate before every optimizer step: a loss or a gradient that is no finite number goes no further."""

import math
from dataclasses import dataclass

from inkwright.errors import DivergedError

MOST_SKIPPED = 10  # in a row


@dataclass
class Guard:
    """Decides what becomes of a step, by the policy of the run."""

    policy: str
    """stop, skip or rewind: what `on_nan` says. Going back is done by whoever keeps checkpoints."""
    skipped: int = 0
    """Steps skipped in a row; part of the state of a run."""

    def allows(self, step: int, loss: float, grad_norm: float, learning_rate: float) -> bool:
        """Whether the optimizer may step.

        Raises: DivergedError   it may not, and the policy is not to skip, or too many were skipped
        """
        if math.isfinite(loss) and math.isfinite(grad_norm):
            self.skipped = 0
            return True
        self.skipped += 1
        if self.policy == "skip" and self.skipped <= MOST_SKIPPED:
            return False
        what = "loss" if not math.isfinite(loss) else "gradient"
        value = loss if not math.isfinite(loss) else grad_norm
        raise DivergedError(
            f"{what} became {value} at step {step} (learning rate {learning_rate:.3g})",
            f"--learning-rate {learning_rate / 10:.2g}, or --on-nan rewind",
        )
