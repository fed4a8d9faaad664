"""Many texts at once from one model: they join and leave between tokens, and none can tell that it has neighbours."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from inkwright.config import SampleConfig
from inkwright.model import LogitModel
from inkwright.model.gpt import GPT
from inkwright.model.swift import Swift
from inkwright.sample.draw import Pen, log_probabilities
from inkwright.sample.generate import evaluating, generate, half, steps

Precision = Literal["float32", "bfloat16", "int8"]
"""How weights are kept while writing; everything else is float32."""


@dataclass(frozen=True)
class Event:
    """One more token of one text."""

    handle: int
    """Whose: what `add` gave back."""
    token_id: int
    logprob: float
    """Natural logarithm of the probability that the model itself gave it, before temperature, filters and penalties."""
    top: list[tuple[int, float]]
    """The likeliest ids and their log-probabilities, likeliest first; as many as were asked for."""
    finished: bool
    """The last one: `max_new_tokens` are drawn, and the slot is free again."""


class Slots(Protocol):
    """What writes the texts of an engine, one in a slot."""

    def begin(self, slot: int, prompt: Sequence[int], config: SampleConfig, never: Sequence[int]) -> None:
        """Put a text into a slot."""
        ...

    def step(self, slots: Sequence[int]) -> None:
        """One more token for each of these."""
        ...

    def drawn(self, slot: int) -> tuple[int, float]:
        """The token that came last, and its log-probability."""
        ...

    def logits(self, slot: int) -> Tensor:
        """What it was drawn from, (V,)."""
        ...


class PlainSlots:
    """Texts that are written by the plain loop: any model, anywhere. What the fast ones are held against."""

    def __init__(self, model: LogitModel) -> None:
        self.model = model
        self._steps: dict[int, Iterator[tuple[int, Tensor]]] = {}
        self._last: dict[int, tuple[int, Tensor]] = {}

    def begin(self, slot: int, prompt: Sequence[int], config: SampleConfig, never: Sequence[int]) -> None:
        """Put a text into a slot.

        Raises: TextError, SettingError   an id that the model does not have, or no prompt
        """
        Pen(self.model.config.vocab_size, prompt, config, never)  # what is wrong is told now, not at the first token
        self._steps[slot] = steps(self.model, prompt, config, never)

    def step(self, slots: Sequence[int]) -> None:
        """One more token for each of these.

        Raises: ModelError   the model gives no finite probabilities
        """
        for slot in slots:
            self._last[slot] = next(self._steps[slot])

    def drawn(self, slot: int) -> tuple[int, float]:
        """The token that came last, and its log-probability."""
        token_id, logits = self._last[slot]
        return token_id, float(log_probabilities(logits)[token_id])

    def logits(self, slot: int) -> Tensor:
        """What it was drawn from, (V,)."""
        return self._last[slot][1]


@dataclass
class Request:
    """A text that is being written."""

    slot: int
    top: int
    left: int


class Engine:
    """One model, many texts. Not thread-safe: one thread owns it. The model's weights are those it had at the beginning.

    fast        by compiled kernels; without a word wherever they can, see `can_be_fast`
    precision   what the kernels keep the weights as; less than float32 is another text, nearly as likely
    """

    def __init__(
        self, model: LogitModel, slots: int = 8, fast: bool | None = None, precision: Precision = "float32"
    ) -> None:
        self.model, self.slots = model, slots
        self.fast = can_be_fast(model) if fast is None else fast
        self._slots = _fast_slots(model, slots, precision) if self.fast else PlainSlots(model)
        self._free = list(range(slots))
        self._requests: dict[int, Request] = {}
        self._next_handle = 0

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._requests)

    @property
    def free(self) -> int:
        """Texts that may still join."""
        return len(self._free)

    def add(self, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = (), top: int = 0) -> int:
        """Begin a text at the next step; its handle. `top`: how many of the likeliest ids each event names.

        Raises: TextError, SettingError   an id that the model does not have, or no prompt; RuntimeError   no slot is free
        """
        if not self._free:
            raise RuntimeError(f"all {self.slots} slots are taken")
        self._slots.begin(self._free[-1], prompt, config, never)
        handle = self._next_handle
        self._next_handle += 1
        self._requests[handle] = Request(self._free.pop(), top, config.max_new_tokens)
        return handle

    def cancel(self, handle: int) -> None:
        """Stop a text; one that has ended already, or never was, is no mistake."""
        if handle in self._requests:
            self._free.append(self._requests.pop(handle).slot)

    def step(self) -> list[Event]:
        """One more token for every text.

        Raises: ModelError   the model gives no finite probabilities
        """
        requests = list(self._requests.items())
        self._slots.step([request.slot for _, request in requests])
        return [self._event(handle, request) for handle, request in requests]

    def _event(self, handle: int, request: Request) -> Event:
        request.left -= 1
        if not request.left:
            self.cancel(handle)
        token_id, logprob = self._slots.drawn(request.slot)
        top = likeliest(log_probabilities(self._slots.logits(request.slot)), request.top) if request.top else []
        return Event(handle, token_id, logprob, top, not request.left)


def can_be_fast(model: LogitModel) -> bool:
    """Whether the kernels can write with a model: a GPT or a swift one in float32 on a CPU, and numba is here."""
    weight = next(model.parameters(), None)
    here = weight is not None and weight.device.type == "cpu" and weight.dtype == torch.float32
    return here and type(model) in (GPT, Swift) and importlib.util.find_spec("numba") is not None


COMPILING = 20.0  # seconds, once on a machine


def is_worth_it(model: LogitModel, tokens: int) -> bool:
    """Whether to write so many tokens by the kernels: they are loaded, or the text is long enough to wait for them."""
    config = model.config
    weights = config.n_embd * (12 * config.n_layer * config.n_embd + config.vocab_size)  # that every token meets
    plain = tokens * (0.9e-3 * config.n_layer + 1e-9 * weights)  # seconds, docs/diary.md
    return can_be_fast(model) and ("inkwright.sample.fast" in sys.modules or plain > COMPILING)


def _fast_slots(model: LogitModel, slots: int, precision: Precision) -> Slots:
    from inkwright.sample.fast import FastSlots  # numba takes half a second to import

    assert isinstance(model, GPT | Swift), "only a GPT is written by the kernels"
    return FastSlots(model, slots, precision)


def write(model: LogitModel, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = ()) -> Iterator[int]:
    """The ids that `generate` gives, by whichever way is faster.

    Raises: ModelError   the model gives no finite probabilities; TextError, SettingError   an id it does not have
    """
    if not is_worth_it(model, config.max_new_tokens):
        yield from generate(model, prompt, config, never)
        return
    slots = _fast_slots(model, 1, "float32")
    slots.begin(0, prompt, config, never)
    for _ in range(config.max_new_tokens):
        slots.step([0])
        yield slots.drawn(0)[0]


def likeliest(scores: Tensor, top: int) -> list[tuple[int, float]]:
    """The `top` ids with the largest scores, largest first; of equal ones the smaller id first."""
    values, ids = scores.sort(descending=True, stable=True)
    return list(zip(ids[:top].tolist(), values[:top].tolist(), strict=True))


@dataclass(frozen=True)
class Surprise:
    """How expected one token of a text was."""

    token_id: int
    logprob: float | None
    """Natural logarithm of the probability the model gave it; None for the first, which nothing precedes."""
    top: list[tuple[int, float]]
    """What was likeliest in its place."""


def surprises(model: LogitModel, ids: Sequence[int], top: int = 0) -> list[Surprise]:
    """Each token of a text, read as a text is written: of a context that is full the last half is kept.

    Raises: TextError   no ids, or one that the model does not have; ModelError   no finite probabilities
    """
    Pen(model.config.vocab_size, ids, SampleConfig())
    block_size = model.config.block_size
    found = [Surprise(ids[0], None, [])]
    start = 0
    while len(found) < len(ids):
        window = ids[start : start + block_size]
        with evaluating(model), torch.inference_mode():
            scores = log_probabilities(model(torch.tensor([window], device=model.device))[0].cpu())
        for row, token_id in enumerate(ids[len(found) : start + block_size + 1], start=len(found) - 1 - start):
            found.append(Surprise(token_id, float(scores[row, token_id]), likeliest(scores[row], top)))
        start = len(found) - half(block_size)
    return found
