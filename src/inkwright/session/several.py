"""Many trainings in one folder, each an ordinary run in a folder of its own: begun, gone on with, and what it reached.

So a ladder or a sweep can be stopped anywhere and gone on with, and each run can be looked at like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkwright import config as configs
from inkwright.config import RunConfig
from inkwright.errors import OccupiedError, quoted
from inkwright.run.folder import Run, best_checkpoint
from inkwright.session.prepare import prepare, read_text
from inkwright.session.resuming import reopen
from inkwright.session.training import Training


@dataclass(frozen=True)
class Ended:
    """A run that reached its end."""

    run: Run
    reports: list[dict[str, Any]]
    best: dict[str, Any]
    """The manifest of its best checkpoint."""


def name_of(texts: Sequence[str], given: dict[str, Any]) -> str:
    """The name of a text.

    Raises: TextError   it cannot be read
    """
    return read_text(texts, configs.resolve(given).text)[0].name


def begin(texts: Sequence[str], folder: Path, config: RunConfig, given: set[str]) -> Training:
    """The training of a run, from its start or from where it was left; `given` are the settings not to be fitted.

    Raises: OccupiedError   another run stands there; and whatever `prepare` and `reopen` raise
    """
    if not (folder / "run.json").exists():
        return Training(prepare(texts, folder, config, given).run)
    training, _ = reopen(folder, {}, list(texts))
    if _defining(training.config) != _defining(config):
        training.run.close()
        raise OccupiedError(f"{quoted(folder)} was begun with other settings", "give another --run folder")
    return training


def _defining(config: RunConfig) -> dict[str, Any]:
    """What makes a run what it is; the rest is fitted to the text and the machine."""
    model = config.model.model_dump(exclude={"vocab_size", "ngram_order"})
    train = config.train.model_dump(include={"minutes", "batch_size", "optimizer", "learning_rate", "seed"})
    return model | train | config.text.model_dump(include={"train_fraction"})


def ended(folder: Path) -> Ended | None:
    """What a run reached; None where it has not ended."""
    if not (folder / "run.json").exists():
        return None
    run = Run.open(folder)
    reports = run.reports()
    if not reports or reports[-1]["step"] < run.config.train.steps:
        return None
    return Ended(run, reports, best_checkpoint(folder)[1])
