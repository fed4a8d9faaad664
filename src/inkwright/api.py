"""The front door for Python: fit, resume, load. No logic of its own."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from inkwright import config as configs
from inkwright.language_model import LanguageModel
from inkwright.run.folder import read_model
from inkwright.session.prepare import prepare
from inkwright.session.progress import Progress
from inkwright.session.resuming import reopen
from inkwright.session.training import Training

AnyPath = str | PathLike[str]


def fit(
    text: AnyPath | Sequence[AnyPath],
    folder: AnyPath | None = None,
    *,
    preset: str | None = None,
    base: AnyPath | None = None,
    **settings: Any,
) -> Iterator[Progress]:
    """Train a model from scratch on a text; a progress for each step. Leave the loop to stop: the run is saved.

    >>> for progress in inkwright.fit("book.txt", "runs/book", steps=500):
    ...     if progress.val:
    ...         print(progress.step, progress.val["val_loss"], progress.lm.generate("Once"))

    `text` is a file, a folder, a glob or a named text ("pydocs", "shakespeare"), or several; `folder` is where the run is
    kept (runs/<name of the text>); `base` an earlier run whose weights to start from; `settings` the fields of
    inkwright.config's records.

    Raises: InkwrightError   what is wrong, in one line, with a hint
    """
    texts = [str(text)] if isinstance(text, str | PathLike) else [str(part) for part in text]
    config = configs.resolve(settings, preset)
    place, origin = (Path(path) if path else None for path in (folder, base))
    prepared = prepare(texts, place, config, set(settings), origin, free=preset is None)
    yield from Training(prepared.run)


def resume(folder: AnyPath, **settings: Any) -> Iterator[Progress]:
    """Go on with a run where it was left; `settings` may change steps, learning_rate and what else may change.

    Raises: InkwrightError
    """
    training, _ = reopen(Path(folder), settings)
    yield from training


def load(folder: AnyPath) -> LanguageModel:
    """The model of a run (its best checkpoint), of a checkpoint, or of a Hugging Face folder of a shape we know.

    Raises: ModelError   nothing there that can be loaded
    """
    found, _, _ = read_model(Path(folder))
    return LanguageModel(found.model, found.tokenizer, found.unseen)
