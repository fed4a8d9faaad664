"""Inkwright: train a small GPT from scratch on your own text, see what happens inside it, let it write.

>>> import inkwright
>>> for progress in inkwright.fit("book.txt", "runs/book"):
...     print(progress.step, progress.loss)
>>> print(inkwright.load("runs/book").generate("Once upon a time"))
"""

from inkwright.version import __version__

TYPE_CHECKING = False  # importing typing for it takes longer than all else before Ctrl-C is ours: see __main__.py
if TYPE_CHECKING:
    from inkwright.api import fit, load, resume
    from inkwright.errors import InkwrightError
    from inkwright.language_model import LanguageModel, Scores
    from inkwright.session.progress import Progress

__all__ = ["InkwrightError", "LanguageModel", "Progress", "Scores", "__version__", "fit", "load", "resume"]

_HOMES = {
    "InkwrightError": "errors",
    "LanguageModel": "language_model",
    "Progress": "session.progress",
    "Scores": "language_model",
    "fit": "api",
    "load": "api",
    "resume": "api",
}


def __getattr__(name: str) -> object:
    """Import on first use: torch takes more than a second, and `inkwright --help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'inkwright' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"inkwright.{_HOMES[name]}"), name)
