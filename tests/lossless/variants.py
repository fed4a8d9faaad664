"""Test the tests: a program with a planted defect must turn its row red. One small patch each."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inkwright import interrupt, storage
from inkwright.errors import SaveError
from inkwright.run import checkpoint, lock
from inkwright.session.training import Training
from inkwright.text import reading
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.guard import Guard
from tests.lossless import going_on, inputs, saving
from tests.lossless.harness import T, Tally, kill_all, swapped


@dataclass(frozen=True)
class Variant:
    """A defect, and the row that must see it within so many trials."""

    defect: str
    row: Callable[[Path, Tally], None]
    trials: int
    plant: Callable[[], contextlib.AbstractContextManager[None]]
    ci: bool = False


class UntilRed(Tally):
    """A tally that has seen enough after one failure."""

    def more(self) -> bool:
        return not self.failures and super().more()

    def some_of(self, cases: Sequence[T]) -> Iterator[T]:
        for case in super().some_of(cases):
            if self.failures:
                return
            yield case


def caught(variant: Variant, place: Path) -> str:
    """The first thing that the row says of the planted defect; empty where it says nothing."""
    tally = UntilRed(variant.trials)
    with variant.plant():
        try:
            variant.row(place, tally)
        except Exception as error:
            tally.failures.append(f"{type(error).__name__}: {error}")
        finally:
            kill_all()
    return tally.failures[0] if tally.failures else ""


def _in_place() -> contextlib.AbstractContextManager[None]:
    """Each save overwrites the files of the one before."""
    whole = storage.publish

    def publish(folder: Path, files: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        others = sorted(folder.parent.glob("step-*"))
        if not others or not facts.get("step"):
            return whole(folder, files, facts)
        others[-1].rename(folder)
        sums = {}
        for name, content in files.items():
            (folder / name).unlink()
            sums[name] = storage._write_synced(folder / name, content)
        (folder / storage.MANIFEST).unlink()
        storage.write_record(folder / storage.MANIFEST, {**facts, "files": sums})
        return {}

    return swapped(storage, "publish", publish)


def _no_sync() -> contextlib.AbstractContextManager[None]:
    real = storage._write_synced

    def write(path: Path, content: storage.Content) -> dict[str, Any]:
        disk = storage.disk
        with swapped(disk, "sync", lambda file: file.flush()):
            return real(path, content)

    return swapped(storage, "_write_synced", write)


def _manifest_first() -> contextlib.AbstractContextManager[None]:
    real = storage.publish

    def publish(folder: Path, files: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        write, held = storage._write_synced, []

        def late(path: Path, content: storage.Content) -> dict[str, Any]:
            if path.name != storage.MANIFEST:  # what it will hold is known without writing it
                held.append((path, content))
                return _sum_of(content)
            sums = write(path, content)
            for one, what in held:
                write(one, what)
            return sums

        with swapped(storage, "_write_synced", late):
            return real(folder, files, facts)

    return swapped(storage, "publish", publish)


def _sum_of(content: storage.Content) -> dict[str, Any]:
    file = io.BytesIO()
    if callable(content):
        content(file)
    raw = content if isinstance(content, bytes) else file.getvalue()
    return {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


def _unhashed() -> contextlib.AbstractContextManager[None]:
    return swapped(storage, "read_verified", lambda folder, manifest, name: (folder / name).read_bytes())


def _unseeded() -> contextlib.AbstractContextManager[None]:
    return swapped(torch, "manual_seed", lambda seed: None)


def _order_restarts() -> contextlib.AbstractContextManager[None]:
    real, counts = Windows.random, dict[int, int]()

    def random(self: Windows, step: int, batch_size: int, seed: int) -> Any:
        counts[id(self)] = counts.get(id(self), -1) + 1
        return real(self, counts[id(self)], batch_size, seed)

    return swapped(Windows, "random", random)


@contextlib.contextmanager
def _seeded_on_resume() -> Iterator[None]:
    restore, seed = Training._restore, torch.manual_seed

    def seeding(self: Training, saved: Any) -> None:
        restore(self, saved)
        seed(1337)

    with swapped(torch, "manual_seed", lambda number: None), swapped(Training, "_restore", seeding):
        yield


def _swallowed(*words: str) -> contextlib.AbstractContextManager[None]:
    real = storage.publish

    def publish(folder: Path, files: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return real(folder, files, facts)
        except SaveError as error:
            if any(word in error.message for word in words):
                return {}
            raise

    return swapped(storage, "publish", publish)


def _deleted_first() -> contextlib.AbstractContextManager[None]:
    real = checkpoint.save

    def save(folder: Path, *rest: Any) -> None:
        for other in folder.parent.glob("step-*"):
            storage.remove(other)
        real(folder, *rest)

    return swapped(checkpoint, "save", save)


def _links_followed() -> contextlib.AbstractContextManager[None]:
    real = storage._read_regular
    return swapped(storage, "_read_regular", lambda path: real(path.resolve() if path.exists() else path))


def _characters_dropped() -> contextlib.AbstractContextManager[None]:
    real = Tokenizer.encode

    def encode(self: Tokenizer, text: str) -> Any:
        strange = set(self.unknown(text))
        return real(self, "".join(char for char in text if char not in strange))

    return swapped(Tokenizer, "encode", encode)


def _leaps_allowed() -> contextlib.AbstractContextManager[None]:
    return swapped(Guard, "_wrong", lambda self, loss, grad_norm: None)


VARIANTS = {
    "defect 1": Variant("a save overwrites the one before", saving.killed_while_saving, 40, _in_place, ci=True),
    "defect 2": Variant("renamed without a sync", saving.power_lost, 1500, _no_sync, ci=True),
    "defect 3": Variant("the manifest is written first", saving.power_lost, 2, _manifest_first),
    "defect 4": Variant("hashes are not checked", saving.flipped, 40, _unhashed, ci=True),
    "defect 5": Variant("dropout is not seeded at each step", going_on.exact_resume, 2, _unseeded),
    "defect 6": Variant("the order of batches restarts", going_on.exact_resume, 2, _order_restarts, ci=True),
    "defect 7": Variant("one seed, set again on resume", going_on.killed_anywhere, 12, _seeded_on_resume),
    "defect 8": Variant("a refused permission is swallowed", saving.taken_away, 2, lambda: _swallowed("permission"), ci=True),
    "defect 9": Variant("the old is deleted before the new is there", saving.killed_and_damaged, 8, _deleted_first),
    "defect 10": Variant(
        "only the training loop looks for a signal", partial(going_on.stopped_by_a_signal, megabytes=3.0), 10,
        lambda: swapped(interrupt, "check", lambda: None),
    ),
    "defect 11": Variant("no lock", going_on.one_writer, 2, lambda: swapped(lock, "_lock", lambda file: None), ci=True),
    "defect 19": Variant("a link is followed", saving.cut_and_swapped, 200, _links_followed),
    "defect 20": Variant(
        "unpacked without a limit", inputs.bombs, 14, lambda: swapped(reading, "_refuse_bomb", lambda *rest: None), ci=True
    ),
    "defect 21": Variant("unseen characters are dropped", inputs.any_text, 30, _characters_dropped),
    "defect ENOSPC": Variant("a full disk is swallowed", saving.full_disks, 8, lambda: _swallowed("no space"), ci=True),
    "defect leap": Variant("a leap of the loss is not seen", going_on.wild_learning_rates, 3, _leaps_allowed),
}  # fmt: skip
""""defect leap" is the one that is not like the others: it is in what is learned, not in what is kept."""
