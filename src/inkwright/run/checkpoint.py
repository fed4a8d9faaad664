"""One saved step: the model folder, and beside it what going on needs. Knows no loop and no run folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from inkwright import storage
from inkwright.errors import DamagedError, DivergedError, ModelError
from inkwright.model import LogitModel
from inkwright.run import model_folder
from inkwright.run.model_folder import ModelFolder
from inkwright.text.tokenizer import Tokenizer
from inkwright.train.base import Optimizer


@dataclass(frozen=True)
class Checkpoint:
    """What was read from one."""

    model_folder: ModelFolder
    moments: dict[str, Tensor]
    """What the optimizers remember: "<parameter>|<kind>" -> tensor."""
    state: dict[str, Any]
    """The small record of decisions, as it was saved."""


def save(
    folder: Path,
    model: LogitModel,
    tokenizer: Tokenizer,
    optimizers: list[Optimizer],
    state: dict[str, Any],
    unseen: list[int],
    card: str,
    facts: dict[str, Any],
) -> None:
    """Publish a checkpoint, whole or not at all.

    Raises: SaveError; DivergedError   a weight or a moment is not finite; nothing was written
    """
    moments = optimizer_moments(model, optimizers)
    for name, tensor in [*model.named_parameters(), *moments.items()]:
        if not torch.isfinite(tensor).all():
            raise DivergedError(
                f"{name} holds a number that is not finite; step {state['step']} was not saved",
                "a lower --learning-rate, or --on-nan rewind",
            )
    files = model_folder.contents(model, tokenizer, unseen, card)
    files["optimizer.safetensors"] = safetensors.torch.save(moments)
    files["state.json"] = json.dumps(state, indent=1).encode() + b"\n"
    storage.require_space(folder.parent, sum(map(len, files.values())))
    storage.publish(folder, files, facts)


def room_for(folder: Path, parameters: int) -> str | None:
    """Whether a checkpoint of so many parameters, with two moments each, will fit: a line where it only just does.

    Raises: MachineError   it will not; names what is needed and what is free
    """
    return storage.require_space(folder, 3 * 4 * parameters)


def read(folder: Path) -> Checkpoint:
    """A checkpoint, every byte of it proved.

    Raises: DamagedError
    """
    whole = model_folder.read(folder)
    if whole.facts is None or "state.json" not in whole.facts["files"]:
        raise ModelError(
            f"{folder} is a model, not a checkpoint that training can go on from", "train --from it instead"
        )
    try:
        moments = safetensors.torch.load(storage.read_verified(folder, whole.facts, "optimizer.safetensors"))
        return Checkpoint(whole, moments, json.loads(storage.read_verified(folder, whole.facts, "state.json")))
    except (SafetensorError, ValueError, RecursionError):  # its manifest was made to fit by hand
        raise DamagedError(f"{folder.name} is damaged (its moments or its state are none)") from None


def optimizer_moments(model: LogitModel, optimizers: list[Optimizer]) -> dict[str, Tensor]:
    """All tensors the optimizers keep, under the names of the parameters they are for."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}|{kind}": tensor.detach().cpu().contiguous()
        for optimizer in optimizers
        for parameter, kept in optimizer.state.items()
        for kind, tensor in kept.items()
    }


def restore_moments(model: LogitModel, optimizers: list[Optimizer], moments: dict[str, Tensor]) -> None:
    """Give the optimizers back what they kept; a parameter without moments starts with none.

    Raises: ModelError   a moment belongs to no parameter
    """
    kept: dict[str, dict[str, Tensor]] = {}
    for key, tensor in moments.items():
        name, _, kind = key.rpartition("|")
        kept.setdefault(name, {})[kind] = tensor
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    for optimizer in optimizers:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = kept.pop(names[parameter], {})
                for kind, tensor in state.items():
                    optimizer.state[parameter][kind] = tensor.to(parameter.device, copy=True)
    if kept:
        raise ModelError(f"optimizer.safetensors has moments of {min(kept)}, which this model does not have")
