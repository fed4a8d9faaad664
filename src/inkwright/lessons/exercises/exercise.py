"""What an exercise is, and how a check says which element is wrong. Knows no files and no single exercise."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inkwright.config import TextConfig
from inkwright.errors import TextError, quoted
from inkwright.text import corpus


class Wrong(Exception):
    """An answer is wrong; says the first wrong element and, where it is known, what makes it so."""


@dataclass(frozen=True)
class Exercise:
    """A file to fill in and the check that judges it."""

    id: str
    title: str
    chapter: str
    starter: str
    """The file a learner begins with: the task in plain words, and the functions without their bodies."""
    hint: str
    check: Callable[..., str]
    """Takes the learner's functions by name. Gives a sentence on what is right about them, or raises `Wrong`."""

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions and classes the learner writes: the parameters of `check`."""
        return tuple(inspect.signature(self.check).parameters)


Slips = Mapping[str, Any]
"""What is wrong, in words -> the very result that this mistake gives, or a list of such results."""

NO_SLIPS: Slips = {}


def tensor(what: str, got: Any, shape: Sequence[int], slips: Slips = NO_SLIPS) -> Tensor:
    """The learner's result as a finite tensor of the expected shape.

    Raises: Wrong
    """
    if not shape and isinstance(got, int | float):
        got = torch.tensor(float(got))
    if not isinstance(got, Tensor):
        raise Wrong(f"{what} is {kind(got)}; a tensor of shape {tuple(shape)} is expected")
    values = got.detach().double()
    if got.shape != tuple(shape):
        reason = because(values, slips, 1e-5)
        raise Wrong(f"{what} has shape {tuple(got.shape)}, expected {tuple(shape)}{reason}")
    if not bool(values.isfinite().all()):
        place = _first(~values.isfinite())
        raise Wrong(
            f"{_element(what, place)} is {values[place].item()}, not a number that can be used{because(values, slips, 1e-5)}"
        )
    return values


def same(
    what: str, got: Any, expected: Any, slips: Slips = NO_SLIPS, atol: float = 1e-5, says: str = "{element} is {got}"
) -> None:
    """Hold a result against the right one, element by element. `says` words the first wrong one.

    Raises: Wrong   of the wrong kind or shape, or the first element that differs
    """
    expected = torch.as_tensor(expected).detach().double()
    values = tensor(what, got, expected.shape, slips)
    if bool((differs := (values - expected).abs() > atol + 1e-5 * expected.abs()).any()):
        place = _first(differs)
        shown, right = _apart(values[place].item(), expected[place].item())
        finding = says.format(*place, element=_element(what, place), got=shown)
        raise Wrong(f"{finding}, expected {right}{because(values, slips, atol)}")


def unchanged(what: str, given: Tensor, before: Tensor) -> None:
    """What was handed to the learner's function is as it was.

    Raises: Wrong
    """
    if not torch.equal(given, before):
        place = _first(given != before)
        raise Wrong(f"{_element(what, place)}, which was handed in, is another afterwards: work on a copy")


def because(values: Tensor, slips: Slips, atol: float = 1e-5) -> str:
    """The known mistake that gives just these values, as the end of a sentence; nothing if none does."""
    for words, results in slips.items():
        for slip in results if isinstance(results, list) else [results]:
            slip = torch.as_tensor(slip).detach().double()
            if slip.shape == values.shape and torch.allclose(slip, values, atol=atol, rtol=1e-5, equal_nan=True):
                return f": {words}"
    return ""


def same_weights(what: str, got: Any, expected: Any, slips: Slips = NO_SLIPS, atol: float = 1e-5) -> None:
    """`same` for attention weights (B, T, T): says which row gives how much to which position."""
    says = "{element}: row {1} gives {got} to position {2}"
    same(what, got, expected, slips, atol, says)


def same_list(what: str, got: Any, expected: Sequence[Any], slips: Slips = NO_SLIPS) -> None:
    """Hold a list or a text against the right one.

    Raises: Wrong   of the wrong kind, the first element that differs, or the wrong length
    """
    if isinstance(expected, str):
        if not isinstance(got, str):
            raise Wrong(f"{what} is {kind(got)}; a text is expected")
    elif isinstance(got, Tensor):
        got = got.tolist()
    elif not isinstance(got, list | tuple):
        raise Wrong(f"{what} is {kind(got)}; a list is expected")
    reason = next((f": {words}" for words, slip in slips.items() if list(slip) == list(got)), "")
    for place, (found, right) in enumerate(zip(got, expected, strict=False)):
        if found != right:
            raise Wrong(f"{_element(what, (place,))} is {quoted(repr(found))}, expected {quoted(repr(right))}{reason}")
    if len(got) != len(expected):
        raise Wrong(f"{what} has {len(got):,} elements, expected {len(expected):,}{reason}")


def several(what: str, got: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """The parts of a result that has several.

    Raises: Wrong
    """
    if not isinstance(got, tuple | list) or len(got) != len(names):
        size = f" of {len(got)}" if isinstance(got, tuple | list) else ""
        raise Wrong(f"{what} gives {kind(got)}{size}; {len(names)} things are expected: return {', '.join(names)}")
    return tuple(got)


def kind(value: Any) -> str:
    """What something is, for a sentence."""
    if value is None:
        return "None (is a `return` missing?)"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def random(seed: int, *shape: int) -> Tensor:
    """Normal random numbers, always the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def triangle(rows: int, columns: int | None = None) -> Tensor:
    """True where a position may look: at itself and before."""
    columns = columns or rows
    return torch.ones(rows, columns, dtype=torch.bool).tril(columns - rows)


def causal(scores: Tensor) -> Tensor:
    """Attention weights of scores, the future masked."""
    return scores.masked_fill(~triangle(*scores.shape[-2:]), float("-inf")).softmax(-1)


@functools.cache
def shakespeare() -> str:
    """Tiny Shakespeare, the text that the known figures are of.

    Raises: TextError   it cannot be had; what to do is in the hint
    """
    found = corpus.read(["shakespeare"], TextConfig())
    text = found.documents[0].text
    if hashlib.sha256(text.encode()).hexdigest() != corpus.DOWNLOADS["shakespeare"].sha256:
        raise TextError(
            f"{found.sources[0].name} is not tiny Shakespeare, the text that the figures of this exercise are of",
            "something here is called shakespeare: run the command from another folder",
        )
    return text


def _first(places: Tensor) -> tuple[int, ...]:
    return tuple(places.nonzero()[0].tolist())


def _element(what: str, place: tuple[int, ...]) -> str:
    """`weights[0, 3, 5]`, as one would ask for it in Python."""
    if not place:
        return what
    brackets = f"[{', '.join(map(str, place))}]"
    return f"{what}{brackets}" if " " not in what else f"element {brackets} of {what}"


def _apart(got: float, right: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart, four at least."""
    for digits in (4, 6, 9):
        shown = f"{got:,.{digits}g}", f"{right:,.{digits}g}"
        if shown[0] != shown[1]:
            return shown
    return repr(got), repr(right)
