"""Small trainings of several sizes, lengths and shares of one text: how large a model should be, and what would help.

Four sizes are trained for a short and for a long time, the short ones with two seeds; then the size that was best for
long is trained as long on the end half and the end quarter of the text. All are judged on the same held-out text. The
speed of each size is measured once, and the steps are written down in sweep.json: so the sweep can be stopped anywhere.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inkwright import config as configs
from inkwright import storage
from inkwright.config import RunConfig
from inkwright.errors import OccupiedError, quoted
from inkwright.model import build
from inkwright.randomness import derive
from inkwright.session import several
from inkwright.session.fitting import fit_context, require_tokens
from inkwright.session.law import Estimate, Law, Sighting, estimate, fit
from inkwright.session.prepare import make_tokenizer, read_text
from inkwright.session.training import Training
from inkwright.text import tokens
from inkwright.train import device
from inkwright.train.baseline import baseline
from inkwright.train.pace import Pace, measure

SIZES: Mapping[str, tuple[int, int]] = {"2x64": (2, 64), "3x96": (3, 96), "4x128": (4, 128), "6x192": (6, 192)}
"""Name -> layers, width: each about three times as many parameters as the one before."""
SHARES: Mapping[str, float] = {"half": 0.5, "quarter": 0.25}
LONGER = 4  # times as many steps as the short ones
SEEDS = 2  # of each short training
PARTS = len(SIZES) * (1 + SEEDS / LONGER) + len(SHARES)  # the whole sweep, in long trainings
RUNS = len(SIZES) * (1 + SEEDS) + len(SHARES)
LEAST_STEPS = 8
MOST_LEFT = 0.9  # of the tried sizes, when the best of them is said to be known
FEW_STEPS = 50  # with fewer, little is learned that says anything about a long training


@dataclass(frozen=True)
class Point:
    """One training of a sweep, and where its run is kept."""

    size: str
    part: str
    """`short` or `long` on all of the text, `half` or `quarter` of it."""
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
    parameters: int
    steps: int
    tokens: int
    """Trained on."""
    bits_per_char: float
    """Of the best checkpoint on the whole held-out text."""
    seconds: float


@dataclass(frozen=True)
class Advice:
    """What follows for one training as long as the whole sweep."""

    size: str
    parameters: Estimate
    """Of the best size."""
    bits_per_char: Estimate
    """What that size would reach, if the curve goes on like this."""
    twice_the_time: Estimate
    """The factor on the loss."""
    half_the_text: Estimate
    """The factor on the loss."""
    edge: Literal["largest", "smallest"] | None
    """Where most curves are lowest at the end of what was tried."""
    told: bool
    """Whether the best size is known better than that it lies somewhere among those that were tried."""


class Sweep:
    """One sweep: its plan, and what of it is done."""

    def __init__(self, texts: Sequence[str], folder: Path, record: dict[str, Any], given: Mapping[str, Any]) -> None:
        self.texts, self.folder, self.record, self.given = texts, folder, record, given

    @property
    def minutes(self) -> float:
        """What it was asked to take."""
        return self.record["minutes"]

    def points(self) -> Iterator[Point]:
        """All trainings in order; the shares of the text come when the best size is known.

        Read on only when the point before has been trained.
        """
        seed = self.record["seed"]
        for i in range(SEEDS):
            yield from (self._point(size, "short", seed + i) for size in SIZES)
        longs = [self._point(size, "long", seed) for size in SIZES]
        yield from longs
        best = min(filter(None, map(self.result_of, longs)), key=lambda result: result.bits_per_char)
        yield from (self._point(best.point.size, part, seed) for part in SHARES)

    def _point(self, size: str, part: str, seed: int) -> Point:
        return Point(size, part, seed, self.folder / f"{size}-{part}-seed-{seed}")

    def settings_of(self, point: Point) -> RunConfig:
        """The settings of a training."""
        n_layer, n_embd = SIZES[point.size]
        steps = self.record["sizes"][point.size]["steps"]
        if point.part == "short":
            steps = max(LEAST_STEPS, steps // LONGER)
        base = settings_for(n_layer, n_embd, self.given)
        train = configs.change(
            base.train, steps=steps, warmup_steps=min(base.train.warmup_steps, steps // 5), seed=point.seed,
            eval_every=steps, checkpoint_every=steps,
        )  # fmt: skip
        model = configs.change(base.model, block_size=self.record["block_size"])
        text = configs.change(base.text, train_fraction=base.text.train_fraction * point.share)
        return RunConfig(text=text, model=model, train=train, machine=base.machine)

    def begin(self, point: Point) -> Training:
        """The training of a point, from its start or from where it was left."""
        return several.begin(self.texts, point.folder, self.settings_of(point), set(self.given) | {"block_size"})

    def result_of(self, point: Point) -> Result | None:
        """What a point reached; None where it has not ended."""
        found = several.ended(point.folder)
        if found is None:
            return None
        last = found.reports[-1]
        parameters = found.run.record["parameters"]
        return Result(point, parameters, last["step"], last["tokens"], found.best["bits_per_char"], last["seconds"])

    def tokens_in(self, seconds: float, parameters: np.ndarray, results: Sequence[Result]) -> np.ndarray:
        """How many tokens models of these sizes are trained on in a time, by the speeds that were measured."""
        known = {result.parameters: self.record["sizes"][result.point.size] for result in results}
        sizes = sorted(known)
        rates = [known[size]["tokens_per_second"] for size in sizes]
        return seconds * np.exp(np.interp(np.log(parameters), np.log(sizes), np.log(rates)))

    def few_steps(self) -> int | None:
        """How many steps the shortest training has, where that is too few to learn much."""
        fewest = min(one["steps"] for one in self.record["sizes"].values()) // LONGER
        return fewest if fewest < FEW_STEPS else None

    def law(self, results: Sequence[Result]) -> Law:
        """The curve through all results."""
        return fit([Sighting(r.parameters, r.tokens, r.point.share, r.bits_per_char) for r in results])

    def advice(self, results: Sequence[Result]) -> Advice:
        """What to do with one training as long as the sweep."""
        law, seconds = self.law(results), self.minutes * 60
        sizes = sorted({result.parameters for result in results})
        grid = np.geomspace(sizes[0], sizes[-1], 200)
        now, later = (law.losses(grid, self.tokens_in(t, grid, results)) for t in (seconds, 2 * seconds))
        best = grid[now.argmin(axis=1)]
        parameters = estimate(best)
        names = {result.parameters: result.point.size for result in results}
        edge = "largest" if np.mean(best == grid[-1]) > 0.5 else "smallest" if np.mean(best == grid[0]) > 0.5 else None
        share_left = np.log(parameters.high / parameters.low) / np.log(grid[-1] / grid[0])
        return Advice(
            size=names[min(sizes, key=lambda size: abs(np.log(size / parameters.middle)))],
            parameters=parameters,
            bits_per_char=estimate(now.min(axis=1)),
            twice_the_time=estimate(later.min(axis=1) / now.min(axis=1)),
            half_the_text=law.halved_text(),
            edge=edge,
            told=bool(share_left < MOST_LEFT),
        )


# ---------------------------------------------------------------- the plan


def settings_for(n_layer: int, n_embd: int, given: Mapping[str, Any]) -> RunConfig:
    """The settings of a size; `given` are the text's and the machine's."""
    return configs.resolve({"n_layer": n_layer, "n_embd": n_embd, "dtype": "float32", **given})


def plan_sweep(texts: Sequence[str], folder: Path | None, minutes: float, seed: int, given: Mapping[str, Any]) -> Sweep:
    """A new sweep, measured and written down; or the one that was begun in the folder.

    Raises: OccupiedError   another sweep stands there; TextError, MachineError
    """
    began = time.perf_counter()
    corpus, split = read_text(texts, configs.resolve(given).text)
    folder = folder or Path("runs") / f"scale-{corpus.name}"
    asked = {"minutes": minutes, "seed": seed, "fingerprint": corpus.fingerprint, "given": dict(given)}
    path = folder / "sweep.json"
    if path.exists():
        record = storage.read_record(path)
        if {name: record[name] for name in asked} != asked:
            raise OccupiedError(f"{quoted(folder)} holds a sweep with other settings", "give another --run folder")
        return Sweep(texts, folder, record, given)
    config = configs.resolve(given)
    tokenizer = make_tokenizer(config, split, None)
    parts = (split.train, split.val)
    train, val = (tokens.encode_pieces(part, tokenizer, len(corpus.documents) > 1) for part in parts)
    T = fit_context(config.model, int(len(train) * min(SHARES.values())), False, split, []).block_size
    require_tokens(train[: int(len(train) * min(SHARES.values()))], val, T)
    baseline(train, val, tokenizer, len(val), T)  # each run measures the scale of its text: part of what it takes
    preparing = time.perf_counter() - began
    paces: dict[str, Pace] = {}
    for name, (n_layer, n_embd) in SIZES.items():
        sized = settings_for(n_layer, n_embd, given)
        shape = configs.change(sized.model, vocab_size=tokenizer.vocab_size, block_size=T)
        device.require_memory(shape, sized.train, device.resolve_device(sized.machine.device))
        model = build(shape, derive(seed, "init"))
        machine = device.decide(sized.machine, model, sized.train)
        paces[name] = measure(model, train, sized.train, machine)
    left = minutes * 60 - (time.perf_counter() - began) - RUNS * preparing
    left -= RUNS * len(val) * sum(pace.token_seconds for pace in paces.values()) / len(SIZES)
    long_seconds = max(left / PARTS, 0.0)
    sizes = {
        name: {
            "steps": max(LONGER * LEAST_STEPS, int(long_seconds / pace.step_seconds)),
            "tokens_per_second": config.train.batch_size * T / pace.step_seconds,
        }
        for name, pace in paces.items()
    }
    storage.make_folder(folder)
    storage.write_record(path, {**asked, "name": corpus.name, "block_size": T, "sizes": sizes})
    return Sweep(texts, folder, storage.read_record(path), given)
