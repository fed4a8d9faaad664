"""The token loop: prompt ids in, one more id at a time out, without end. Knows no text and no tokenizer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from inkwright.config import SampleConfig
from inkwright.model import LogitModel
from inkwright.model.cache import Cache
from inkwright.sample.draw import Pen


def generate(
    model: LogitModel, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = (), cached: bool = True
) -> Iterator[int]:
    """The ids that follow `prompt` (at least one id), `config.max_new_tokens` of them; those in `never` are not drawn.

    When the context is full, its last half is kept and read again, with and without a cache: so both write the same
    text, at a cost for each token that does not grow with the length.

    Raises: ModelError   the model gives no finite probabilities; TextError, SettingError   an id it does not have
    """
    for token_id, _ in steps(model, prompt, config, never, cached):
        yield token_id


def steps(
    model: LogitModel, prompt: Sequence[int], config: SampleConfig, never: Sequence[int] = (), cached: bool = True
) -> Iterator[tuple[int, Tensor]]:
    """The same ids, each with the logits (V,) it was drawn from, as the model gave them."""
    block_size = model.config.block_size
    pen = Pen(model.config.vocab_size, prompt, config, never)
    context = list(prompt[-block_size:])
    cache = model.new_cache() if cached else None
    for _ in range(config.max_new_tokens):
        logits = next_logits(model, context, cache).cpu()
        token_id = pen.draw(logits)
        yield token_id, logits
        context.append(token_id)
        if len(context) > block_size:
            context = context[-half(block_size) :]
            if cache is not None:
                cache.clear()


def half(block_size: int) -> int:
    """How many tokens are kept of a context that is full."""
    return max(1, block_size // 2)


def next_logits(model: LogitModel, context: Sequence[int], cache: Cache | None) -> Tensor:
    """The logits of the token that follows `context`, of which the cache already holds the beginning.

    Shape: -> (V,)
    """
    device = model.device
    unread = context[cache.length if cache is not None else 0 :]
    with evaluating(model), torch.inference_mode():
        logits = model(torch.tensor([unread], device=device), cache)
    return logits[0, -1].float().clone()  # outside: a tensor that may be changed


@contextmanager
def evaluating(model: LogitModel) -> Iterator[None]:
    """Dropout off, and back on afterwards if it was on."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()
