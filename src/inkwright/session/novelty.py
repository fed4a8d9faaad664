"""How much a model copies: what it writes beside its training text, with unseen text as the yardstick. Prints nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inkwright import interrupt
from inkwright.config import SampleConfig, change
from inkwright.language_model import LanguageModel
from inkwright.run.folder import Run
from inkwright.text import novelty, tokens
from inkwright.text.novelty import Copied
from inkwright.text.tokenizer import Tokenizer

EXCERPTS, EXCERPT_CHARACTERS = 20, 1000  # of the held-out text: the yardstick is as long as samples are
AS_UNSEEN = 0.05  # a share above the yardstick by no more than this is hardly more: samples are short


@dataclass(frozen=True)
class Novelty:
    """Some texts beside the training text of a run."""

    texts: tuple[Copied, ...]
    least: int
    """From how many characters on a passage counts as copied."""
    unseen_share: float
    """The share of the held-out text that lies in such passages: real text, of which none was seen."""
    unseen_characters: int
    """How much of the held-out text was looked at."""
    source: str
    """The training text."""

    @property
    def share(self) -> float:
        """The share of all the texts that is copied."""
        return novelty.share(self.texts, self.least)

    @property
    def sentence(self) -> str:
        """What the two shares mean."""
        more = self.share - self.unseen_share
        said = "no more" if more <= 0 else "hardly more" if more <= AS_UNSEEN else "more"
        return (
            f"It copies {said} than real text does: {self.share:.1%} of it stands in the training text in passages of "
            f"{self.least} characters or more; of the held-out text {self.unseen_share:.1%} does."
        )

    def only(self, texts: Sequence[Copied]) -> "Novelty":
        """The same for some of the texts."""
        return replace(self, texts=tuple(texts))

    def line(self, place: int) -> int:
        """The line of the training text in which a character stands, counted from 1."""
        return self.source.count("\n", 0, place) + 1

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "least_characters": self.least,
            "unseen_share": self.unseen_share,
            "unseen_characters": self.unseen_characters,
            "share": self.share,
            "texts": [self._facts(text) for text in self.texts],
        }

    def _facts(self, text: Copied) -> dict[str, Any]:
        at, length, place = text.longest
        longest = {"characters": length, "text": text.text[at : at + length], "at": at, "place": place}
        return {
            "text": text.text,
            "share": text.share(self.least),
            "copied": text.spans(self.least),
            "longest": longest | {"line": self.line(place)},
        }


def measure(run: Run, tokenizer: Tokenizer, texts: Sequence[str]) -> Novelty:
    """What of some texts stands in the training text of a run; the text files themselves are not needed.

    Raises: DamagedError   the run's copy of its text is damaged; Interrupted
    """
    kept = tokens.read(run.tokens_folder)
    source, held_out = (_decoded(ids, tokenizer) for ids in (kept.train, kept.val))
    unseen = excerpts(held_out)
    found = novelty.find(source, [*texts, *unseen])
    mine, yardstick = found[: len(texts)], found[len(texts) :]
    least = novelty.least_length(yardstick)
    return Novelty(tuple(mine), least, novelty.share(yardstick, least), sum(map(len, unseen)), source)


def excerpts(text: str) -> list[str]:
    """Parts of a text from all over it; all of it where it is short."""
    count = min(EXCERPTS, -(-len(text) // EXCERPT_CHARACTERS))
    starts = np.linspace(0, max(0, len(text) - EXCERPT_CHARACTERS), count).astype(int) if count > 1 else [0]
    return [text[start : start + EXCERPT_CHARACTERS] for start in starts]


def written(lm: LanguageModel, prompt: str, config: SampleConfig, count: int) -> list[str]:
    """Some texts by a model, each with the next seed.

    Raises: Interrupted   a stop was asked for on the way; TextError   the prompt cannot be encoded
    """
    texts: list[str] = []
    for number in range(count):
        pieces: list[str] = []
        for written in lm.write(prompt, change(config, seed=(config.seed + number) % 2**63)):
            interrupt.check()
            pieces.append(written.text)
        texts.append("".join(pieces))
    return texts


def _decoded(ids: np.ndarray, tokenizer: Tokenizer) -> str:
    parts: list[bytes] = []
    for start in range(0, len(ids), novelty.CHUNK):
        interrupt.check()
        parts.append(tokenizer.spell(ids[start : start + novelty.CHUNK]))
    return b"".join(parts).decode(errors="replace")
