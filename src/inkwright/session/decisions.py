"""The small record that a run keeps in every checkpoint, besides weights and moments: state.json. Knows no loop."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inkwright.train.loop import StepReport, TrainState


@dataclass
class Decisions:
    """What a run has found and decided so far: its next steps, evaluations and saves hang on it."""

    report: StepReport | None
    """What the last step did; None before the first."""
    val: dict[str, float] | None
    """Exact validation loss after the last step, where it was evaluated: the fields of `Progress.val`."""
    sample: str | None
    """What the model wrote after the last step, where it was asked to."""
    best: dict[str, float] | None
    """The evaluation with the lowest loss, with its step and its training loss; None where there is none on this text."""
    without_best: int
    """Evaluations since then."""
    rewinds: int
    """How often the run diverged and went back."""
    earlier_seconds: float
    """Time spent in the sittings before this one."""

    @classmethod
    def read(cls, state: Mapping[str, Any], same_text: bool) -> "Decisions":
        """Those of a checkpoint; what was best on another text says nothing about this one."""
        return cls(
            report=StepReport(**state["report"]) if state.get("report") else None,
            val=state.get("val"),
            sample=state.get("sample"),
            best=state.get("best") if same_text else None,
            without_best=state.get("without_best", 0) if same_text else 0,
            rewinds=state.get("rewinds", 0),
            earlier_seconds=state.get("seconds", 0.0),
        )

    def record(self, state: TrainState, seconds: float) -> dict[str, Any]:
        """What `read` reads, and what of `state` is neither weight nor moment; `seconds`: of all sittings."""
        return {
            "step": state.step,
            "report": vars(self.report) if self.report else None,
            "val": self.val,
            "sample": self.sample,
            "best": self.best,
            "without_best": self.without_best,
            "skipped": state.guard.skipped,
            "recent": state.guard.recent,
            "learning_rate_scale": state.learning_rate_scale,
            "rewinds": self.rewinds,
            "seconds": round(seconds, 3),
        }

    def line(self, report: StepReport, seconds: float) -> dict[str, Any]:
        """The line of metrics.jsonl about the last step."""
        line = {name: getattr(report, name) for name in ("step", "loss", "grad_norm", "learning_rate")}
        sample = {} if self.sample is None else {"sample": self.sample}
        timing = {"seconds": round(seconds, 3), "tokens": report.step * report.tokens}
        return line | (self.val or {}) | sample | timing

    @property
    def loss(self) -> float:
        """Training loss of the last batch, nats per token."""
        return self.report.loss if self.report else math.nan

    def stepped(self, report: StepReport) -> None:
        """A step was made: what was found after the one before it is past."""
        self.report, self.val, self.sample = report, None, None

    def judged(self, step: int, val: dict[str, float]) -> None:
        """The model was evaluated: it is the best so far, or it is not."""
        self.val, loss = val, val["val_loss"]
        if math.isfinite(loss) and (self.best is None or loss < self.best["val_loss"]):
            self.best, self.without_best = {"step": step, "loss": self.loss, **val}, 0
        else:
            self.without_best += 1
