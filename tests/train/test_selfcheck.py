"""A device, a precision or a compiler that computes wrongly is not used, and a person is told why."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from inkwright.config import MachineConfig, ModelConfig
from inkwright.model import LogitModel, build
from inkwright.train.selfcheck import find_fault, settle

Config = Callable[..., ModelConfig]
COMPILED = MachineConfig(device="cpu", dtype="float32", compile="on", threads=1)
HALF = MachineConfig(device="cpu", dtype="bfloat16", compile="off", threads=1)
PLAIN = MachineConfig(device="cpu", dtype="float32", compile="off", threads=1)
RNG = torch.Generator().manual_seed(3)
BATCH = torch.randint(29, (4, 16), generator=RNG), torch.randint(29, (4, 16), generator=RNG)


@pytest.fixture
def model(shape: str, tiny_config: Config) -> LogitModel:
    return build(tiny_config(shape))


def weights(model: LogitModel) -> list[Tensor]:
    return [weight.clone() for weight in model.state_dict().values()]


@pytest.mark.parametrize("machine", [HALF, PLAIN])
def test_what_computes_rightly_is_found_so_and_the_model_stays_as_it_was(model, machine) -> None:
    before = weights(model)
    assert find_fault(model, model, machine, BATCH) is None
    assert all(torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert all(weight.grad is None for weight in model.parameters()) and model.training
    assert settle(model, machine, BATCH) == (machine, model, [])


def wrong(model: LogitModel, how: str) -> Callable[[Tensor], Tensor]:
    """A compiled twin that is not the model."""

    def forward(idx: Tensor) -> Tensor:
        if how == "raises":
            raise RuntimeError("no C++ compiler\nfound here")
        logits = model(idx)
        if how == "scaled":
            return logits * 1.05
        if how == "nan":
            return logits * float("nan")
        if how == "shifted":
            return logits.roll(1, dims=1)
        other = logits.detach() * 1.0
        return other + (logits - logits.detach()) * 1.5  # "gradient": the right logits, the wrong way back

    return forward


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("scaled", "logits are off by 5.0%"), ("nan", "logits are no numbers"), ("shifted", "logits are off by"),
        ("gradient", "the gradient of tok_emb.weight is wrong"), ("raises", "it fails: no C++ compiler"),
    ],
)  # fmt: skip
def test_a_wrong_compiled_twin_is_found_and_what_is_uncompiled_is_used(model, how, told, monkeypatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model: wrong(model, how))
    machine, forward, faults = settle(model, COMPILED, BATCH)
    assert machine == PLAIN and forward is model
    assert len(faults) == 1 and f"cpu in float32, compiled computes wrongly here ({told}" in faults[0]
    assert faults[0].endswith("going on with cpu in float32")


def test_a_wrong_kernel_of_half_precision_is_found_and_float32_is_used(model, monkeypatch) -> None:
    right = torch.nn.functional.linear

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = right(x, weight, bias)
        return y * 1.2 if torch.is_autocast_enabled("cpu") else y

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    machine, _, faults = settle(model, HALF, BATCH)
    assert machine == PLAIN and "cpu in bfloat16 computes wrongly here" in faults[0]


def test_a_model_that_writes_other_tokens_on_its_device_is_found(model, monkeypatch) -> None:
    """The batch is right, and what is written token by token is not."""
    forward = type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, idx, cache=None: forward(self, idx, cache) * (1 if self.training else -1)
    )
    monkeypatch.setattr(
        "copy.deepcopy",
        lambda m, memo=None: _right(m, forward),
    )
    assert find_fault(model, model, HALF, BATCH) == "it writes other tokens"


def _right(model: LogitModel, forward: Callable[..., Tensor]) -> LogitModel:
    """A twin of the model with the same weights and the right forward."""
    kind = type("Right", (type(model),), {"forward": forward})
    twin = kind(model.config)
    twin.load_state_dict(model.state_dict())
    return twin


def test_a_batch_that_is_too_large_to_be_checked_is_not_called_wrong(model, monkeypatch) -> None:
    def starved(idx: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch, "compile", lambda model: starved)
    assert settle(model, COMPILED, BATCH) == (COMPILED, starved, [])
