"""The wish to stop, asked for by a signal and looked at by every long loop. Knows no loop.

The first SIGINT or SIGTERM is noted, and the work ends at the next place where it can be saved. The second one ends the
process at once. Where nothing listens, and so nothing is to be saved, Ctrl-C leaves at once.
"""

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_received: list[int] = []
_left: list[int] = []


class Interrupted(Exception):
    """Long work that was left half done because the person asked to stop."""


def requested() -> int:
    """The number of the signal that asked to stop; 0 while none has."""
    return _received[0] if _received else 0


def check() -> None:
    """Leave the work here if a stop was asked for.

    Raises: Interrupted
    """
    if _received:
        raise Interrupted


@contextmanager
def listening() -> Iterator[None]:
    """Note the first SIGINT or SIGTERM instead of dying of it; only in the main thread of a program of our own."""
    _received.clear()
    previous = {number: signal.signal(number, _note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leave(number: int, frame: types.FrameType | None) -> NoReturn:
    """What Ctrl-C does where nothing listens."""
    _left.append(number)
    raise KeyboardInterrupt


def left() -> bool:
    """Whether Ctrl-C came where nothing listens: some libraries make another exception of it."""
    return bool(_left)


def _note(number: int, frame: types.FrameType | None) -> None:
    if _received:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    _received.append(number)
