"""Whether this device, in this precision and compiled or not, computes what a CPU computes in float32. Knows no files.

Kernels of a new device, a half-supported precision or a compiler may be wrong without a word. So before the first step a
batch goes forward and back, and a few tokens are written, both ways; what differs too much is not used.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from inkwright.config import MachineConfig, change
from inkwright.model import LogitModel
from inkwright.model.swift import GramEmbedding
from inkwright.train.device import is_out_of_memory
from inkwright.train.loop import precision
from inkwright.train.loss import next_token_loss

ROWS = 2  # windows that the CPU computes too
WRITTEN = 8  # tokens
NUDGE = 0.05  # added to every weight: a fresh model has zeros that would hide a wrong part
TOLERANCES = {"float32": 2e-3, "bfloat16": 5e-2}  # of the length of what is compared
TENSOR_TIMES = 4  # so much more for the gradient of one tensor alone

Forward = Callable[[Tensor], Tensor]
Batch = tuple[Tensor, Tensor]
"""(idx, targets), (B, T) each."""


def settle(model: LogitModel, machine: MachineConfig, batch: Batch) -> tuple[MachineConfig, Forward, list[str]]:
    """What computes rightly here: the settings asked for or simpler ones, what a step calls, and why any was given up.

    `batch` is what a step takes at once. The model is moved to its device; its weights stay as they are.
    """
    told: list[str] = []
    while True:
        model.to(machine.device)
        forward = compiled(model) if machine.compile == "on" else model
        simpler = _simpler(machine)
        if simpler is None or model.config.model == "counts":
            return machine, forward, told
        fault = find_fault(model, forward, machine, batch)
        if fault is None:
            return machine, forward, told
        told.append(f"{_named(machine)} computes wrongly here ({fault}): going on with {_named(simpler)}")
        machine = simpler


def compiled(model: LogitModel) -> Forward:
    """The same model by torch's compiler, but for a table of grams: a gradient of few rows is not something that it knows."""
    for part in model.modules():
        if isinstance(part, GramEmbedding):
            part.forward = torch.compiler.disable(part.forward)  # pyright: ignore[reportAttributeAccessIssue]
    return torch.compile(model)


def find_fault(model: LogitModel, forward: Forward, machine: MachineConfig, batch: Batch) -> str | None:
    """What differs from a CPU in float32, in a few words; None where nothing does."""
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    was_training, rng = model.training, torch.Generator().manual_seed(0)
    drops = any(share for name, share in model.config if name.endswith("dropout"))
    try:
        with torch.no_grad():
            for weight in model.parameters():
                weight += torch.randn(weight.shape, generator=rng).to(weight.device) * NUDGE
        model.train(not drops)  # as in training, where nothing is drawn
        plain = copy.deepcopy(model).to("cpu")
        return _compare(model, forward, plain, machine, *batch)
    except (MemoryError, RuntimeError, AssertionError, OSError, ImportError) as error:
        if is_out_of_memory(error):  # too large is not wrong: a step will find out, and take less at once
            return None
        return f"it fails: {str(error).strip().splitlines()[0][:80] if str(error).strip() else type(error).__name__}"
    finally:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(kept[name])
        model.zero_grad(set_to_none=True)
        model.train(was_training)


def _compare(
    model: LogitModel, forward: Forward, plain: LogitModel, machine: MachineConfig, idx: Tensor, targets: Tensor
) -> str | None:
    tolerance = TOLERANCES[machine.dtype]
    with precision(torch.device(machine.device), getattr(torch, machine.dtype)):
        found = forward(idx.to(machine.device))[:ROWS]
    right = plain(idx[:ROWS])
    if (off := _distance(found, right)) > tolerance:
        return f"logits are off by {off:.1%}" if math.isfinite(off) else "logits are no numbers"
    next_token_loss(found, targets[:ROWS].to(machine.device)).backward()
    next_token_loss(right, targets[:ROWS]).backward()
    for name, weight in plain.named_parameters():
        mine = model.get_parameter(name).grad
        if weight.grad is not None and (mine is None or _distance(mine, weight.grad) > TENSOR_TIMES * tolerance):
            return f"the gradient of {name} is wrong"
    return _misspelled(model, plain, idx[:1, : idx.shape[1] // 2 + 1], tolerance)


def _distance(found: Tensor, right: Tensor) -> float:
    """How far off, as a share of the length of what is right; infinite where it is no number."""
    found, right = (part.detach().to_dense() if part.is_sparse else part.detach() for part in (found, right))
    off = ((found.float().cpu() - right).norm() / right.norm().clamp_min(1e-12)).item()
    return off if math.isfinite(off) else math.inf


@torch.no_grad()
def _misspelled(model: LogitModel, plain: LogitModel, prompt: Tensor, tolerance: float) -> str | None:
    """Whether the device writes, always taking the likeliest token, what the CPU finds as likely."""
    for one in (model, plain):
        one.eval()
    idx = prompt
    for _ in range(min(WRITTEN, model.config.block_size - prompt.shape[1])):
        logits = model(idx.to(model.device))[:, -1].cpu()
        idx = torch.cat([idx, logits.argmax(-1, keepdim=True)], dim=1)
    right = plain(idx)[0, prompt.shape[1] - 1 : -1]
    chosen = right.gather(1, idx[0, prompt.shape[1] :, None])[:, 0]
    lost = right.amax(1) - chosen
    return "it writes other tokens" if len(lost) and (lost > tolerance * right.std(1)).any() else None


def _simpler(machine: MachineConfig) -> MachineConfig | None:
    """The next thing to trust; None where this is what everything is held against."""
    if machine.compile == "on":
        return change(machine, compile="off")
    if machine.dtype != "float32":
        return change(machine, dtype="float32")
    return None if machine.device == "cpu" else change(machine, device="cpu")


def _named(machine: MachineConfig) -> str:
    return f"{machine.device} in {machine.dtype}{', compiled' if machine.compile == 'on' else ''}"
