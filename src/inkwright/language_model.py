"""A model together with the only tokenizer it understands: text in, text or scores out. Knows no files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from inkwright.config import SampleConfig, build
from inkwright.errors import TextError
from inkwright.model import LogitModel
from inkwright.sample.engine import write
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loss import token_losses


@dataclass(frozen=True)
class Written:
    """A piece of text as it is written."""

    text: str
    """Characters that are complete now; may be empty."""
    tokens: int
    """Tokens drawn so far."""


@dataclass(frozen=True)
class Scores:
    """How expected each token of a text was."""

    tokens: list[str]
    """What each token spells; half a character is shown as U+FFFD."""
    logprobs: list[float | None]
    """Natural logarithm of the probability the model gave it; None for the first, which nothing precedes."""

    @property
    def loss(self) -> float:
        """Mean surprise, nats per token."""
        known = [value for value in self.logprobs if value is not None]
        return -sum(known) / len(known)


@dataclass(frozen=True)
class LanguageModel:
    """A model and its tokenizer; they never part.

    >>> lm = inkwright.load("runs/book")
    >>> print(lm.generate("ROMEO:", max_new_tokens=200, temperature=0.8))
    """

    model: LogitModel
    tokenizer: Tokenizer
    unseen: tuple[int, ...] = ()
    """Ids that never occurred in training; they are not drawn unless `allow_unseen` is set."""

    def generate(self, prompt: str = "", **sampling: Any) -> str:
        """The text that follows a prompt; `sampling` are the fields of SampleConfig.

        Raises: SettingError   an unknown field, or a value out of bounds; TextError   the prompt cannot be encoded
        """
        return "".join(self.stream(prompt, **sampling))

    def stream(self, prompt: str = "", **sampling: Any) -> Iterator[str]:
        """The same text in pieces, as it is written; a character is never split.

        Raises: SettingError, TextError   as for `generate`
        """
        for written in self.write(prompt, build(SampleConfig, sampling)):
            if written.text:
                yield written.text

    def write(self, prompt: str, config: SampleConfig) -> Iterator[Written]:
        """The same text, token by token."""
        never = () if config.allow_unseen else self.unseen
        decoder = self.tokenizer.streamer()
        held, count = "", 0
        for count, token_id in enumerate(write(self.model, self.prompt_ids(prompt), config, never), start=1):
            if config.until_end and token_id == self.tokenizer.end_id:
                break
            text, held, stopped = split_at_stop(held + decoder.push(token_id), config.stop)
            yield Written(text, count)
            if stopped:
                return
        text, rest, stopped = split_at_stop(held + decoder.finish(), config.stop)
        yield Written(text if stopped else text + rest, count)

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids the model starts from. An empty prompt starts as a document does.

        Raises: TextError   the prompt has a lone surrogate, or a character that a bare alphabet does not have
        """
        if prompt:
            return self.tokenizer.encode(prompt).tolist()
        end_id = self.tokenizer.end_id
        if end_id is not None and end_id not in self.unseen:
            return [end_id]
        try:
            return self.tokenizer.encode("\n").tolist()
        except TextError:  # an alphabet without line breaks
            return [0]

    def score(self, text: str) -> Scores:
        """The log-probability of every token of a text; the context starts anew every `block_size` tokens.

        Raises: TextError   fewer than two tokens, or a character that a bare alphabet does not have
        """
        return self.score_ids(self.tokenizer.encode(text))

    def score_ids(self, ids: np.ndarray) -> Scores:
        """The same for ids, (N,).

        Raises: TextError   fewer than two
        """
        if len(ids) < 2:
            raise TextError(f"{len(ids)} token{'s' * (len(ids) != 1)} is too short to score; at least 2 are needed")
        losses = token_losses(self.model, Windows(ids, self.model.config.block_size))
        values = [-value for batch in losses for value in batch.flatten().tolist()]
        return Scores([self.tokenizer.decode([token_id]) for token_id in ids], [None, *values])


def split_at_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str, bool]:
    """What may be shown of `text`, what must wait because it could begin a stop text, and whether one was found.

    The first to be complete counts, and of two that end together the longer: wherever the text is cut into pieces.
    """
    found = [(at + len(stop), at) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if found:
        return text[: min(found)[1]], "", True
    wait = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - wait], text[len(text) - wait :], False
