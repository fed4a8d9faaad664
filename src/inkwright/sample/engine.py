"""Many texts at once from one model: they join and leave between tokens, and none can tell that it has neighbours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inkwright.config import SampleConfig
from inkwright.model import LogitModel
from inkwright.sample.draw import Pen, log_probabilities
from inkwright.sample.generate import evaluating, half, steps


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


@dataclass
class Request:
    """A text that is being written."""

    ids: Iterator[tuple[int, Tensor]]
    top: int
    left: int


class Engine:
    """One model, many texts. Not thread-safe: one thread owns it."""

    def __init__(self, model: LogitModel, slots: int = 8) -> None:
        self.model, self.slots = model, slots
        self._requests: dict[int, Request] = {}
        self._next_handle = 0

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._requests)

    @property
    def free(self) -> int:
        """Texts that may still join."""
        return self.slots - self.running

    def add(self, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = (), top: int = 0) -> int:
        """Begin a text at the next step; its handle. `top`: how many of the likeliest ids each event names.

        Raises: TextError, SettingError   an id that the model does not have, or no prompt; RuntimeError   no slot is free
        """
        if not self.free:
            raise RuntimeError(f"all {self.slots} slots are taken")
        Pen(self.model.config.vocab_size, prompt, config, never)  # what is wrong with a request is told now
        handle = self._next_handle
        self._next_handle += 1
        self._requests[handle] = Request(steps(self.model, prompt, config, never), top, config.max_new_tokens)
        return handle

    def cancel(self, handle: int) -> None:
        """Stop a text; one that has ended already, or never was, is no mistake."""
        self._requests.pop(handle, None)

    def step(self) -> list[Event]:
        """One more token for every text.

        Raises: ModelError   the model gives no finite probabilities
        """
        return [self._advance(handle, request) for handle, request in list(self._requests.items())]

    def _advance(self, handle: int, request: Request) -> Event:
        token_id, logits = next(request.ids)
        request.left -= 1
        if not request.left:
            del self._requests[handle]
        scores = log_probabilities(logits)
        return Event(handle, token_id, float(scores[token_id]), likeliest(scores, request.top), not request.left)


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
