"""What a training tells after each step. Knows no loop."""

from dataclasses import dataclass
from pathlib import Path

from inkwright.language_model import LanguageModel


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a step."""

    step: int
    """Updates done."""
    steps: int
    """Updates planned."""
    loss: float
    """Training loss of the last batch, nats per token."""
    val: dict[str, float] | None
    """Exact validation loss where this step was evaluated: val_loss, val_loss_stderr, bits_per_char, bits_per_byte."""
    sample: str | None
    """What the model wrote after this step, where it was asked to; the same seed each time."""
    learning_rate: float
    tokens_per_second: float
    """Training speed since this process began with the run; evaluations and saves do not count."""
    seconds: float
    """Time spent on this run so far, over all its sittings."""
    checkpoint: Path | None
    """The checkpoint that was saved at this step."""
    warnings: tuple[str, ...]
    """What went wrong on the way and was worked around: a save that failed, a run that went back."""
    lm: LanguageModel
    """The model as it is now. It changes with the next step."""
