"""A run folder: begin one, open one, find its checkpoints, keep its records. Knows bytes and names, no training."""

import contextlib
import math
import os
import secrets
import time
from collections.abc import Iterator, Set
from pathlib import Path
from typing import IO, Any

from inkwright import storage
from inkwright.config import RunConfig
from inkwright.errors import DamagedError, ModelError, OccupiedError, quoted
from inkwright.run import checkpoint, lock, model_folder
from inkwright.run.checkpoint import Checkpoint
from inkwright.run.model_folder import ModelFolder

KEEP = 2  # newest checkpoints kept, besides the best
OWN = frozenset({"tokens", "checkpoints", "metrics.jsonl", ".lock"})
"""What stands in a run's folder before run.json does."""


class Run:
    """One training's folder. Opened for writing it is locked until `close`."""

    def __init__(
        self, folder: Path, record: dict[str, Any], held: IO[bytes] | None = None, before: Set[str] = frozenset()
    ) -> None:
        self.folder = folder
        self.record = record
        self._held = held
        self._before = before  # what was in the folder when it was claimed: not ours to take away

    # ------------------------------------------------------------ beginning and opening

    @classmethod
    def claim(cls, folder: Path) -> "Run":
        """Lock a folder for a new run and sweep away what a run that never began left there.

        Raises: OccupiedError   it holds a run, or another process is about to; MachineError
        """
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise OccupiedError(f"{quoted(folder)} is a file", "give another --run folder")
        storage.make_folder(folder)
        held = lock.acquire(folder)
        before = {name for name in OWN if os.path.lexists(folder / name)}  # as it is now that nobody else can change it
        run = cls(folder, {}, held, before if before != {".lock"} else frozenset())
        try:
            _refuse_occupied(folder)
            run.sweep()
        except BaseException:
            run.abandon()
            raise
        return run

    def begin(self, record: dict[str, Any], config: RunConfig) -> None:
        """Write the run down. From here on it can be resumed.

        Raises: SaveError
        """
        self.record = {
            "id": secrets.token_hex(8),
            "begun": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "changes": [],
        } | record
        self.change_config(config)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run to look at.

        Raises: ModelError   this is no run, or its record is damaged
        """
        if not os.path.exists(folder / "run.json"):
            begun = os.path.lexists(folder / ".lock") or os.path.isdir(folder / "tokens")
            if begun:
                raise ModelError(
                    f"{quoted(folder)} was stopped before the run was written down",
                    "start it again with inkwright train",
                )
            raise not_a_model(folder)
        return cls(folder, storage.read_record(folder / "run.json"))

    @classmethod
    def reopen(cls, folder: Path) -> "Run":
        """A run to go on with, locked.

        Raises: OccupiedError   another process is training it; ModelError; MachineError
        """
        cls.open(folder)
        held = lock.acquire(folder)
        try:
            run = cls(folder, cls.open(folder).record, held)  # as it is now that nobody else can change it
            run.sweep()
            return run
        except BaseException:
            held.close()
            raise

    def close(self) -> None:
        """Let others have it."""
        if self._held is not None:
            self._held.close()

    def abandon(self) -> None:
        """Take away a run that could not begin, and its folder if nothing else is in it."""
        storage.withdraw(self.folder, OWN - self._before)
        self.close()

    def sweep(self) -> None:
        """Take away half-written and half-removed folders of a process that is gone."""
        for parent in (self.folder, self.folder / "checkpoints", self.folder / "tokens"):
            storage.sweep(parent, ".tmp-", ".del-")

    # ------------------------------------------------------------ records

    @property
    def config(self) -> RunConfig:
        """What was asked for, resolved."""
        return RunConfig(**self.record["config"])

    def change_config(self, config: RunConfig, **facts: Any) -> None:
        """Write the run's record anew: a changed configuration, and `facts` that change with it.

        Raises: SaveError   the old record is intact
        """
        self.record = {**self.record, "config": config.model_dump(mode="json"), **facts}
        storage.write_record(self.folder / "run.json", self.record)

    @property
    def tokens_folder(self) -> Path:
        """The run's own copy of its text, in tokens."""
        return self.folder / "tokens" / self.record["tokens"]

    def report(self, line: dict[str, Any]) -> None:
        """Add a line to the record of the training.

        Raises: SaveError
        """
        storage.append(self.folder / "metrics.jsonl", line)

    def sync_reports(self) -> None:
        """Make sure that the lines so far outlive a power loss.

        Raises: SaveError
        """
        storage.sync(self.folder / "metrics.jsonl")

    def reports(self) -> list[dict[str, Any]]:
        """All lines of the record, oldest first."""
        return storage.read_lines(self.folder / "metrics.jsonl")

    def forget_after(self, step: int) -> None:
        """Drop the reports of steps that will be done again, and a torn last line."""
        path = self.folder / "metrics.jsonl"
        kept = [line for line in self.reports() if line.get("step", math.inf) <= step]
        storage.replace(path, b"".join(storage.json_line(line) for line in kept))

    # ------------------------------------------------------------ checkpoints

    def checkpoint_folder(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.folder / "checkpoints" / f"step-{step:08d}"

    def retain(self, best: int | None) -> None:
        """After a good save: keep the newest checkpoints and the best one, take the others away."""
        storage.sweep(self.folder / "checkpoints", ".damaged-")
        for path in checkpoint_folders(self.folder)[:-KEEP]:
            if step_of(path) != best:
                storage.remove(path)

    def newest(self) -> tuple[Checkpoint, list[DamagedError]]:
        """The newest intact checkpoint, and what was wrong with the newer ones.

        Raises: ModelError   there is none
        """
        return _first_intact(self.folder, reversed(checkpoint_folders(self.folder)), checkpoint.read)


def _refuse_occupied(folder: Path) -> None:
    steps = [step_of(path) for path in checkpoint_folders(folder)]
    if (folder / "run.json").exists():
        raise OccupiedError(
            f"{quoted(folder)} already holds a run" + (f" at step {max(steps):,}" if steps else ""),
            f"inkwright resume {folder}, or another --run folder",
        )
    if any(steps):  # step 0 alone is what a run leaves that was stopped before it began
        raise OccupiedError(
            f"{quoted(folder)} holds checkpoints of a run that lost its run.json", "give another --run folder"
        )


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints of a run by step, oldest first; whether they are whole is not looked at."""
    return sorted(path for path in folder.glob("checkpoints/step-*") if path.name[5:].isdigit())


def step_of(checkpoint_folder: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint_folder.name[5:])


def read_model(folder: Path, strict: bool = False) -> tuple[ModelFolder, Path, list[DamagedError]]:
    """The model in a run (its best intact checkpoint), a checkpoint or a Hugging Face folder; and what was damaged.

    Raises: ModelError   nothing usable there, or with `strict` anything damaged
    """
    if os.path.isfile(folder):
        if folder.suffix in (".pt", ".pth", ".pkl", ".ckpt", ".bin"):
            raise ModelError(
                f"{quoted(folder.name)} is a pickle file, which can run code; it was not opened", "give a folder"
            )
        raise ModelError(f"{quoted(folder)} is a file, not a run or a model folder", _around(folder))
    if os.path.isfile(folder / "config.json"):
        return model_folder.read(folder), folder, []
    if not os.path.isdir(folder) or not checkpoint_folders(folder):
        raise not_a_model(folder)
    read, damaged = _first_intact(folder, _best_first(folder), lambda path: (model_folder.read(path), path))
    if strict and damaged:
        raise damaged[0]
    return *read, damaged


def best_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The checkpoint with the lowest recorded validation loss, and its manifest; the files are not looked at.

    Raises: ModelError   none has an intact manifest
    """
    for path in _best_first(folder):
        with contextlib.suppress(DamagedError):
            return path, storage.read_record(path / storage.MANIFEST)
    raise not_a_model(folder)


def _best_first(folder: Path) -> Iterator[Path]:
    """Checkpoints by validation loss on the text that the newest was judged on; those without one last, newest first.

    One whose manifest is damaged may have been the best: it comes before all others, so that its damage is told.
    """
    facts: dict[Path, dict[str, Any]] = {}
    for path in checkpoint_folders(folder):
        with contextlib.suppress(DamagedError):
            facts[path] = storage.read_record(path / storage.MANIFEST)
    text = next((fact["tokens"] for fact in reversed(facts.values())), None)

    def rank(path: Path) -> tuple[float, int]:
        if path not in facts:
            return (-math.inf, -step_of(path))
        fact = facts[path]
        loss = fact.get("val_loss") if fact.get("tokens") == text else None
        return (math.inf if loss is None else loss, -step_of(path))

    yield from sorted(checkpoint_folders(folder), key=rank)


def _first_intact(folder: Path, paths: Iterator[Path], read: Any) -> tuple[Any, list[DamagedError]]:
    damaged: list[DamagedError] = []
    for path in paths:
        try:
            facts = storage.read_record(path / storage.MANIFEST)  # here, where we wrote it, a missing one is damage
            if facts.get("step") != step_of(path):
                raise DamagedError(f"{path.name} is damaged ({storage.MANIFEST}: of step {facts.get('step')})")
            return read(path), damaged
        except DamagedError as error:
            damaged.append(error)
    told = "".join(f"\n  {error.message}" for error in damaged)
    hint = next((error.hint for error in damaged if error.hint), None)
    raise ModelError(
        f"no usable checkpoint in {quoted(folder)} ({len(damaged)} found, {len(damaged)} damaged){told}", hint
    )


def not_a_model(folder: Path) -> ModelError:
    """What to say of a folder that holds nothing we read: and which ones near it do."""
    if not os.path.lexists(folder):
        return ModelError(f"no such folder: {quoted(folder)}", _suggestion(folder.parent))
    message = f"{quoted(folder)} is not a run or a model folder (no checkpoints, no config.json)"
    return ModelError(message, _suggestion(folder))


def _around(file: Path) -> str | None:
    """The model or the run that a file belongs to."""
    near = [
        folder
        for folder in file.absolute().parents[:3]
        if any((folder / f).is_file() for f in ("config.json", "run.json"))
    ]
    return f"{near[0]} is one" if near else _suggestion(file.parent)


def _suggestion(parent: Path) -> str | None:
    runs = sorted(str(path.parent) for path in parent.glob("*/run.json"))[:3] if os.access(parent, os.R_OK) else []
    return f"{' and '.join(runs)} {'is' if len(runs) == 1 else 'are'}" if runs else None
