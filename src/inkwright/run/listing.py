"""The runs in a folder: what each is and has reached, what it takes on the disk, and what of that could be spared."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inkwright import interrupt, storage
from inkwright.errors import DamagedError, ModelError, quoted
from inkwright.run import lock
from inkwright.run.folder import Run, best_checkpoint, checkpoint_folders, step_of

State = Literal["training", "done", "stopped", "damaged"]


@dataclass(frozen=True)
class Listed:
    """A run, as one row of a table; what a damaged one does not say is None."""

    folder: Path
    state: State
    disk_bytes: int
    problem: str | None = None
    """Why it is damaged."""
    begun: str | None = None
    parameters: int | None = None
    """None also for a model that counts."""
    step: int | None = None
    """Where it ended, or would go on."""
    steps: int | None = None
    """Planned."""
    best: dict[str, Any] | None = None
    """The manifest of its best checkpoint."""
    block_size: int | None = None
    seconds: float | None = None
    spare: tuple[Path, ...] = ()
    """What neither going on nor the best model needs: other checkpoints, an earlier text, what was left half written."""
    spare_bytes: int = 0


def find(folder: Path) -> Iterator[Path]:
    """Every run in a folder, in its folders, or which it is; links are not followed.

    Raises: ModelError   there is no such folder
    """
    if not os.path.isdir(folder):
        raise ModelError(f"no such folder: {quoted(folder)}", "inkwright runs FOLDER, or train something first")
    for path, folders, files in os.walk(folder):
        interrupt.check()
        if "run.json" in files or {".lock", "tokens"} <= {*files, *folders} or checkpoint_folders(Path(path)):
            folders.clear()
            yield Path(path)
        folders.sort()


def look(folder: Path) -> Listed:
    """What the run in a folder is. Only records are read: whether weights are whole is not looked at."""
    size, held = _disk_bytes(folder), lock.is_held(folder)
    try:
        run = Run.open(folder)
        _, best = best_checkpoint(folder)
    except ModelError as error:
        return Listed(folder, "training" if held else "damaged", size, error.message)
    reports, steps, counts = run.reports(), run.config.train.steps, run.config.model.model == "counts"
    ended = _ended(run)
    spare = _spare(run)
    return Listed(
        folder=folder,
        state="training" if held else "done" if ended else "stopped",
        disk_bytes=size,
        begun=run.record["begun"],
        parameters=None if counts else run.record["parameters"],
        step=reports[-1]["step"] if ended else step_of(checkpoint_folders(folder)[-1]),
        steps=steps,
        best=best,
        block_size=run.config.model.block_size,
        seconds=reports[-1].get("seconds", 0.0) if reports else 0.0,
        spare=spare,
        spare_bytes=sum(map(_disk_bytes, spare)),
    )


def prune(folder: Path) -> int:
    """Take away what can be spared, once what stays was read and found whole; the bytes that were freed.

    Raises: OccupiedError   it is being trained; DamagedError   what would stay is not whole; ModelError, MachineError
    """
    before = _disk_bytes(folder)
    run = Run.reopen(folder)
    try:
        spare = _spare(run)
        for path in checkpoint_folders(folder):
            if path not in spare:
                storage.verify(path)
        for path in spare:
            interrupt.check()
            storage.remove(path)
    finally:
        run.close()
    return before - _disk_bytes(folder)


def _ended(run: Run) -> bool:
    """Whether the planned steps are done, or no evaluation was better for as long as it was to be waited for."""
    reports, config = run.reports(), run.config.train
    losses = [line["val_loss"] for line in reports if line.get("val_loss") is not None]
    waited = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    return bool(reports) and (reports[-1]["step"] >= config.steps or 0 < config.patience <= waited)


def _spare(run: Run) -> tuple[Path, ...]:
    """All but the best checkpoint, the newest where it is needed to go on, and the text; nothing of a damaged run.

    The newest of a run that has ended is not needed: it lies where the record ends.
    """
    checkpoints, reports = checkpoint_folders(run.folder), run.reports()
    try:
        for path in checkpoints:
            storage.read_record(path / storage.MANIFEST)
    except DamagedError:  # it may have been the best
        return ()
    kept = {best_checkpoint(run.folder)[0]}
    if not _ended(run) or step_of(checkpoints[-1]) != reports[-1]["step"]:
        kept.add(checkpoints[-1])
    hidden = [path for parent in ("checkpoints", "tokens", ".") for path in (run.folder / parent).glob(".damaged-*")]
    texts = [path for path in (run.folder / "tokens").glob("[!.]*") if path.name != run.record["tokens"]]
    return tuple(path for path in (*checkpoints, *texts, *hidden) if path not in kept)


def _disk_bytes(folder: Path) -> int:
    """What all files in a folder hold; one that is taken away meanwhile holds nothing."""
    total = 0
    for path, _, files in os.walk(folder):
        interrupt.check()
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total
