"""AdamW: each number of a parameter takes steps of about one size, in the direction it was pushed to of late."""

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from inkwright.train.base import Optimizer

EPS = 1e-8


class AdamW(Optimizer):
    """Adam with decoupled weight decay; the arithmetic is torch's, in one kernel.

    Settings of a group: lr, weight_decay, betas.

    Source: Loshchilov and Hutter 2019
    """

    @torch.no_grad()
    def step(self) -> None:
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state_of(parameter) for parameter in parameters]
            adamw(
                parameters,
                [parameter.grad for parameter in parameters],
                exp_avgs=[state["exp_avg"] for state in states],
                exp_avg_sqs=[state["exp_avg_sq"] for state in states],
                max_exp_avg_sqs=[],
                state_steps=[state["step"] for state in states],
                fused=True,
                amsgrad=False,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPS,
                maximize=False,
            )

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        """Its averages, and how many steps it has made, which the kernel wants beside them."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state
