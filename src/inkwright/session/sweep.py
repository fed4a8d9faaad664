"""Small trainings of several sizes, lengths and shares of one text: how large a model should be, and what would help.

Three sizes of the recipe's table, the one that `train` would take for so many minutes and its neighbours, are trained for a
short, a middle and a long time, in the way of the recipe; then the one that was best for long also on the end half and the
end quarter of the text. All are judged on the same held-out text. The speed of each size is measured once, and the steps
are written down in sweep.json: so the sweep can be stopped anywhere.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inkwright import config as configs
from inkwright import storage
from inkwright.config import RunConfig
from inkwright.errors import MachineError, OccupiedError, quoted
from inkwright.model import build
from inkwright.randomness import derive
from inkwright.session import several
from inkwright.session.fitting import fit_context, having, of_size, require_tokens
from inkwright.session.law import Estimate, Law, Sighting, estimate, fit
from inkwright.session.prepare import make_tokenizer, read_text
from inkwright.session.training import Training
from inkwright.text import tokens
from inkwright.train import device, recipe
from inkwright.train.baseline import baseline
from inkwright.train.pace import Pace, measure

TRIED = 3  # sizes
LENGTHS: Mapping[str, int] = {"short": 9, "middle": 3, "long": 1}
"""Name -> the part of a long training's steps: 9 is a ninth."""
SHARES: Mapping[str, float] = {"half": 0.5, "quarter": 0.25}
"""Of the text, for the best size; as long as the long trainings."""
PARTS = TRIED * sum(1 / part for part in LENGTHS.values()) + len(SHARES)  # the whole sweep, in long trainings
RUNS = TRIED * len(LENGTHS) + len(SHARES)
SEEDS = len(LENGTHS) + len(SHARES)  # each length and each share has one: so the luck of a seed is in the spread
LEAST_STEPS = 8  # of a short training
FEW_STEPS = 25  # with fewer, little is learned that says anything about a long training
MOST_MISFIT = (
    0.015  # of the loss: with more, the curve does not describe the trainings. Seeds alone make 0.002 to 0.007
)


@dataclass(frozen=True)
class Point:
    """One training of a sweep, and where its run is kept."""

    size: str
    part: str
    """`short`, `middle` or `long` on all of the text, `half` or `quarter` of it."""
    seed: int
    folder: Path

    @property
    def share(self) -> float:
        """Of the text."""
        return SHARES.get(self.part, 1.0)


@dataclass(frozen=True)
class Result:
    """What came out of a point."""

    point: Point
    steps: int
    tokens: int
    """Trained on."""
    epochs: float
    """How often it read its share of the text."""
    bits_per_char: float
    """Of the best checkpoint on the whole held-out text."""
    seconds: float


@dataclass(frozen=True)
class Advice:
    """What follows for one training as long as the whole sweep."""

    size: str
    sure: float
    """The share of the curves by which that size is the best of those tried."""
    bits_per_char: Estimate
    """What that size would reach."""
    over_chosen: Estimate
    """The factor on the loss that the size `train` takes by itself has over the best one; 1 where they are the same."""
    twice_the_time: Estimate
    """The factor on the loss, each time with the best size."""
    half_the_text: Estimate
    """The factor on the loss, each time with the best size."""
    edge: str | None
    """`largest` or `smallest` of those tried, where it is the best and the table goes on."""
    misfit: float
    """How far a training lies from the fitted curve: 0.01 is one percent of the loss."""

    @property
    def described(self) -> bool:
        """Whether the curve describes the trainings; where it does not, only these are known."""
        return self.misfit <= MOST_MISFIT


class Sweep:
    """One sweep: its plan, and what of it is done."""

    def __init__(self, texts: Sequence[str], folder: Path, record: dict[str, Any], given: Mapping[str, Any]) -> None:
        self.texts, self.folder, self.record, self.given = texts, folder, record, given

    @property
    def minutes(self) -> float:
        """What it was asked to take."""
        return self.record["minutes"]

    @property
    def sizes(self) -> list[str]:
        """The names of the sizes, smallest first."""
        return sorted(self.record["sizes"], key=lambda size: self.record["sizes"][size]["row"])

    def points(self) -> Iterator[Point]:
        """All trainings in order; the shares of the text come when the best size is known.

        Read on only when the point before has been trained.
        """
        for part in LENGTHS:
            yield from (self.point(size, part) for size in self.sizes)
        longs = filter(None, (self.result_of(self.point(size, "long")) for size in self.sizes))
        best = min(longs, key=lambda result: result.bits_per_char).point.size
        yield from (self.point(best, part) for part in SHARES)

    def point(self, size: str, part: str) -> Point:
        """The training of a size for a length or on a share."""
        seed = self.record["seed"] + [*LENGTHS, *SHARES].index(part)
        return Point(size, part, seed, self.folder / f"{size}-{part}-seed-{seed}")

    def row(self, size: str) -> recipe.Size:
        """The row of the recipe's table."""
        return recipe.SIZES[self.record["model"]][self.record["sizes"][size]["row"]]

    def base(self, size: str) -> RunConfig:
        """The settings of a size, whatever its training."""
        block_size = self.record["sizes"][size]["block_size"]
        return of_size(configs.resolve(self.given), self.record["model"], self.row(size), block_size)

    def settings_of(self, point: Point) -> RunConfig:
        """The settings of a training: those of the recipe for a model of that size that reads its text so often."""
        base = self.base(point.size)
        per_step = base.train.batch_size * base.model.block_size
        steps = self.record["sizes"][point.size]["steps"] // LENGTHS.get(point.part, 1)
        epochs = steps * per_step / (self.record["train_tokens"] * point.share)
        config = having(base, recipe.way(self.record["model"], epochs))
        train = configs.change(
            config.train, steps=steps, warmup_steps=min(config.train.warmup_steps, steps // 10), seed=point.seed,
            eval_every=steps, checkpoint_every=steps, sample_every=0,
        )  # fmt: skip
        text = configs.change(config.text, train_fraction=config.text.train_fraction * point.share)
        return config.model_copy(update={"train": train, "text": text})

    def begin(self, point: Point) -> Training:
        """The training of a point, from its start or from where it was left."""
        return several.begin(self.texts, point.folder, self.settings_of(point), set(self.given) | {"block_size"})

    def result_of(self, point: Point) -> Result | None:
        """What a point reached; None where it has not ended."""
        found = several.ended(point.folder)
        if found is None:
            return None
        last = found.reports[-1]
        epochs = last["tokens"] / (self.record["train_tokens"] * point.share)
        return Result(point, last["step"], last["tokens"], epochs, found.best["bits_per_char"], last["seconds"])

    def few_steps(self) -> int | None:
        """How many steps the shortest training has, where that is too few to learn much."""
        fewest = min(one["steps"] for one in self.record["sizes"].values()) // max(LENGTHS.values())
        return fewest if fewest < FEW_STEPS else None

    # ------------------------------------------------------------ what follows

    def law(self, results: Sequence[Result]) -> Law:
        """The curve through all results."""
        place = {size: i for i, size in enumerate(self.sizes)}
        return fit([Sighting(place[r.point.size], r.tokens, r.point.share, r.bits_per_char) for r in results])

    def tokens_per_second(self, results: Sequence[Result]) -> dict[str, float]:
        """How fast each size trained when it trained for long."""
        return {r.point.size: r.tokens / r.seconds for r in results if r.point.part == "long"}

    def losses(self, law: Law, results: Sequence[Result], minutes: float, share: float = 1.0) -> np.ndarray:
        """What each size would reach in one training of so many minutes, by each curve: (curves, sizes)."""
        seconds = max(1.0, minutes * 60 - self.record["preparation_seconds"])
        rates = self.tokens_per_second(results)
        seen = [np.array([rates[size] * seconds]) for size in self.sizes]
        return np.column_stack([law.losses(i, tokens, share) for i, tokens in enumerate(seen)])

    def advice(self, results: Sequence[Result]) -> Advice:
        """What to do with one training as long as the sweep."""
        law = self.law(results)
        now, later = (self.losses(law, results, minutes) for minutes in (self.minutes, 2 * self.minutes))
        best, last = int(now[0].argmin()), len(recipe.SIZES[self.record["model"]]) - 1
        row = self.record["sizes"][self.sizes[best]]["row"]
        least = now.min(axis=1)
        at_edge = {0: "smallest", TRIED - 1: "largest"}.get(best) if 0 < row < last else None
        return Advice(
            size=self.sizes[best],
            sure=float((now[1:].argmin(axis=1) == best).mean()),
            bits_per_char=estimate(now[:, best]),
            over_chosen=estimate(now[:, self.sizes.index(self.record["chosen"])] / now[:, best]),
            twice_the_time=estimate(later.min(axis=1) / least),
            half_the_text=estimate(self.losses(law, results, self.minutes, 0.5).min(axis=1) / least),
            edge=at_edge,
            misfit=law.misfit,
        )


# ---------------------------------------------------------------- the plan


def plan_sweep(
    texts: Sequence[str], folder: Path | None, minutes: float, seed: int, given: Mapping[str, Any], model: str = "swift"
) -> Sweep:
    """A new sweep of the sizes of a model, measured and written down; or the one that was begun in the folder.

    Raises: OccupiedError   another sweep stands there; TextError, MachineError
    """
    began = time.perf_counter()
    config = configs.resolve(given)
    corpus, split = read_text(texts, config.text)
    folder = folder or Path("runs") / f"scale-{corpus.name}"
    asked = {"minutes": minutes, "seed": seed, "fingerprint": corpus.fingerprint, "given": dict(given), "model": model}
    path = folder / "sweep.json"
    if path.exists():
        record = storage.read_record(path)
        if {name: record.get(name) for name in asked} != asked or "chosen" not in record:
            raise OccupiedError(f"{quoted(folder)} holds a sweep with other settings", "give another --run folder")
        return Sweep(texts, folder, record, given)
    tokenizer = make_tokenizer(config, split, None)
    train, val = (tokens.encode_pieces(part, tokenizer, len(corpus.documents) > 1) for part in (split.train, split.val))
    smallest = int(len(train) * min(SHARES.values()))
    longest = max(size.block_size for size in recipe.SIZES[model])
    T = fit_context(configs.change(config.model, block_size=longest), smallest, False, split, []).block_size
    require_tokens(train[:smallest], val, T)
    baseline(train, val, tokenizer, len(val), T)  # each run measures the scale of its text: part of what it takes
    preparing = time.perf_counter() - began
    timing = Timing(config, model, tokenizer.vocab_size, train, T)
    chosen, _ = recipe.size_for(
        model, len(train), tokenizer.vocab_size, minutes * 60 - preparing, timing.tokens_per_second
    )
    tried = _neighbours(recipe.SIZES[model].index(chosen), timing.fitting())
    paces = {row: timing.pace(row) for row in tried}
    left = minutes * 60 - (time.perf_counter() - began) - RUNS * preparing
    left -= RUNS * len(val) * sum(pace.token_seconds for pace in paces.values()) / TRIED
    record = {
        **asked,
        "name": corpus.name,
        "train_tokens": len(train),
        "preparation_seconds": round(preparing, 3),
        "chosen": name_of(chosen),
        "sizes": {name_of(recipe.SIZES[model][row]): timing.planned(row, max(left / PARTS, 0.0)) for row in tried},
    }
    storage.make_folder(folder)
    storage.write_record(path, record)
    return Sweep(texts, folder, storage.read_record(path), given)


def name_of(size: recipe.Size) -> str:
    """`3x128@256`: layers, width, context."""
    return f"{size.n_layer}x{size.n_embd}@{size.block_size}"


def _neighbours(row: int, rows: int) -> range:
    """The rows to try around one of the table's, of which so many fit into memory."""
    first = max(0, min(row - 1, rows - TRIED))
    return range(first, first + TRIED)


@dataclass
class Timing:
    """How fast the sizes of a model train on a text here, each measured once."""

    config: RunConfig
    model: str
    vocab_size: int
    train_ids: np.ndarray
    block_size: int
    """At most: what the smallest share of the text can fill."""
    paces: dict[int, Pace] = field(default_factory=dict)

    def settings(self, row: int) -> RunConfig:
        """The settings of a size."""
        size = recipe.SIZES[self.model][row]
        sized = of_size(self.config, self.model, size, min(size.block_size, self.block_size))
        return sized.model_copy(update={"model": configs.change(sized.model, vocab_size=self.vocab_size)})

    def fitting(self) -> int:
        """How many rows of the table fit into memory.

        Raises: MachineError   too few of them for a sweep
        """
        where = device.resolve_device(self.config.machine.device)
        for row in range(len(recipe.SIZES[self.model])):
            sized = self.settings(row)
            try:
                device.require_memory(sized.model, sized.train, where)
            except MachineError:
                if row < TRIED:
                    raise
                return row
        return len(recipe.SIZES[self.model])

    def pace(self, row: int) -> Pace:
        """What a step and an evaluation take."""
        if row not in self.paces:
            sized = self.settings(row)
            model = build(sized.model, derive(sized.train.seed, "init"), self.train_ids)
            self.paces[row] = measure(
                model, self.train_ids, sized.train, device.decide(sized.machine, model, sized.train)
            )
        return self.paces[row]

    def tokens_per_second(self, size: recipe.Size) -> float:
        """How fast a size trains."""
        row = recipe.SIZES[self.model].index(size)
        sized = self.settings(row)
        return sized.train.batch_size * sized.model.block_size / self.pace(row).step_seconds

    def planned(self, row: int, seconds: float) -> dict[str, int]:
        """What the record says of a size: its context, and the steps of a training of so many seconds."""
        sized = self.settings(row)
        steps = max(max(LENGTHS.values()) * LEAST_STEPS, int(seconds / self.pace(row).step_seconds))
        return {"row": row, "block_size": sized.model.block_size, "steps": steps}
