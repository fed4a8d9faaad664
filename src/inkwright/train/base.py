"""What all optimizers have in common. Knows no model and no loop."""

from collections import defaultdict
from typing import Any

from torch import Tensor


class Optimizer:
    """Groups of parameters, each with its settings, and what is remembered of each parameter.

    torch's own base class loads torch's compiler, which takes a second and 70 MB in every training (docs/diary.md).
    """

    param_groups: list[dict[str, Any]]
    state: defaultdict[Tensor, dict[str, Tensor]]

    def __init__(self, *groups: dict[str, Any], **settings: Any) -> None:
        """Each group: {"params": [...]} and its own settings, in the place of those that all have."""
        self.param_groups = [settings | group for group in groups]
        self.state = defaultdict(dict)

    def step(self) -> None:
        """One update of all parameters that have a gradient."""
        raise NotImplementedError
