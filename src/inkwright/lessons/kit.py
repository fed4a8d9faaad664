"""What every chapter needs: the text, the notebooks' own way of drawing batches, and a comparison with what they printed.

The notebooks had one generator for everything, `torch.manual_seed(1337)`. A training of Inkwright seeds each step on its
own (text/windows.py), so this way of drawing is only for lessons.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from inkwright.config import ModelConfig
from inkwright.config import build as build_record
from inkwright.model import LogitModel, build
from inkwright.text.corpus import DOWNLOADS
from inkwright.text.download import obtain
from inkwright.text.windows import Windows
from inkwright.train.loss import evaluate, next_token_loss


@cache
def shakespeare() -> str:
    """Tiny Shakespeare: from $INKWRIGHT_CORPORA, from the cache, or downloaded once; the bytes are checked.

    Raises: TextError   it is not here and cannot be downloaded
    """
    return obtain("shakespeare", DOWNLOADS["shakespeare"]).decode()


@cache
def alphabet() -> str:
    """The 65 characters of tiny Shakespeare in order; the rank of a character is its id."""
    return "".join(sorted(set(shakespeare())))


def encode(text: str) -> list[int]:
    """The id of each character."""
    return [alphabet().index(character) for character in text]


def decode(ids: list[int]) -> str:
    """The character of each id."""
    return "".join(alphabet()[i] for i in ids)


@cache
def _all_ids() -> Tensor:
    rank = {character: i for i, character in enumerate(alphabet())}
    return torch.tensor([rank[character] for character in shakespeare()])


def train_ids() -> Tensor:
    """The first 90 % of the text."""
    return _all_ids()[: int(0.9 * len(_all_ids()))]


def val_ids() -> Tensor:
    """The last 10 % of the text, held out."""
    return _all_ids()[int(0.9 * len(_all_ids())) :]


def get_batch(ids: Tensor, batch_size: int, block_size: int = 8) -> tuple[Tensor, Tensor]:
    """Windows at random places and, one place later, their targets; drawn from torch's global generator."""
    starts = torch.randint(len(ids) - block_size, (batch_size,))
    rows = ids[starts[:, None] + torch.arange(block_size + 1)]
    return rows[:, :-1], rows[:, 1:]


def rung(name: str, **changes: Any) -> LogitModel:
    """A fresh model of the ladder in the lecture's small size: 32 channels, a context of 8, up to 4 heads and 3 blocks."""
    sizes = {"vocab_size": 65, "n_embd": 32, "block_size": 8, "n_head": 4, "n_layer": 3}
    return build(build_record(ModelConfig, {"model": name} | sizes | changes), seed=1337)


def train(model: LogitModel, steps: int, learning_rate: float = 1e-3) -> float:
    """Train as the lecture does, 32 windows of 8 a step, the same ones each time; the loss on all of the held-out text."""
    torch.manual_seed(1337)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    for _ in range(steps):
        idx, targets = get_batch(train_ids(), 32)
        loss = next_token_loss(model(idx), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return evaluate(model, Windows(val_ids().numpy(), 8), batch_size=512).loss


# ---------------------------------------------------------------- what the notebook printed


@dataclass(frozen=True)
class Row:
    """One figure: as the notebook printed it, and as it came out here."""

    quantity: str
    notebook: Any
    here: Any
    equal: bool
    platform_dependent: bool
    digits: int = field(default=4, repr=False)
    """How many were printed behind the point."""

    def record(self, chapter: str) -> dict[str, Any]:
        """The row as a JSON line has it."""
        facts = asdict(self)
        del facts["digits"]
        return {"chapter": chapter, **facts}

    @property
    def columns(self) -> tuple[str, str]:
        """What the notebook printed and what came out here, each on one line."""
        return shown(self.notebook, self.digits), shown(self.here, self.digits)

    @property
    def verdict(self) -> str:
        """How the two compare, in a word."""
        if self.equal:
            return "equal"
        return "differs here" if self.platform_dependent else "NOT EQUAL"


WIDTH = 76  # a terminal has 80, and a bar in front
_noted: ContextVar[list[Row] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[list[Row]]:
    """Collects the rows of every `compare` inside."""
    rows: list[Row] = []
    token = _noted.set(rows)
    try:
        yield rows
    finally:
        _noted.reset(token)


def compare(quantity: str, *, notebook: Any, here: Any, digits: int = 4, platform_dependent: bool = False) -> None:
    """Print what the notebook printed beside what came out here.

    Numbers are equal when all printed digits are, tensors when every element is; a pair of bounds, `notebook=(2.3, 2.6)`,
    holds whatever lies between. A figure that hangs on how this build of torch draws is shown, but counts for nothing.
    """
    here = plain(here, digits)
    if isinstance(notebook, tuple):
        low, high = notebook
        equal, notebook = low <= here <= high, f"{low} to {high}"
    else:
        notebook = plain(notebook, digits)
        equal = notebook == here
    row = Row(quantity, notebook, here, equal, platform_dependent, digits)
    noted = _noted.get()
    if noted is not None:
        noted.append(row)
    print(described(row))


def claim(quantity: str, holds: bool) -> None:
    """Print whether something is so that must be."""
    compare(quantity, notebook=True, here=bool(holds))


def plain(value: Any, digits: int) -> Any:
    """A number, text or nested list, rounded as it was printed."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    return round(value, digits) + 0.0 if isinstance(value, float) else value  # + 0.0: there is no -0.0


def described(row: Row) -> str:
    """A comparison in one line, or in three where the values are long."""
    if row.notebook is True:
        return f"{row.quantity:<28} {'yes, it holds' if row.equal else 'NOT SO'}"
    notebook, here = row.columns
    line = f"{row.quantity:<28} notebook {notebook:<10} here {here:<10} {row.verdict}"
    if len(line) <= WIDTH:
        return line
    lines = [f"{row.quantity}: {row.verdict}"]
    for label, value in (("notebook", row.notebook), ("here", row.here)):
        pieces = _lines(value, row.digits, WIDTH - 10)
        lines += [f" {label if i == 0 else '':<8} {piece}" for i, piece in enumerate(pieces)]
    if row.platform_dependent and not row.equal:
        lines.append(f" torch {torch.__version__} draws in another order on this machine; not an error.")
    return "\n".join(lines)


def shown(value: Any, digits: int = 4) -> str:
    """A value on one line, as a person would write it."""
    if isinstance(value, list):
        return f"[{', '.join(shown(item, digits) for item in value)}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value).replace("\n", "\\n")


def _lines(value: Any, digits: int, width: int) -> list[str]:
    """A value that is too long for one line: a table row by row, all else cut behind a comma where there is one."""
    if not (isinstance(value, list) and isinstance(value[0], list)):
        return _pieces(shown(value, digits), width)
    rows = [shown(row, digits) for row in value]
    table = [f"{'[' if i == 0 else ' '}{row}{',' if i < len(rows) - 1 else ']'}" for i, row in enumerate(rows)]
    return [piece for row in table for piece in _pieces(row, width)]


def _pieces(text: str, width: int) -> list[str]:
    pieces = []
    while len(text) > width:
        cut = text.rfind(", ", 0, width) + 1 or width
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip() if text[cut - 1] == "," else text[cut:]
    return [*pieces, text]
