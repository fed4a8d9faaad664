"""Training against nanoGPT's CPU recipe: time to its loss, loss in its time, speed of the same network, memory.

    python -m benchmarks.train --peer PATH-TO-A-CLONE-OF-NANOGPT [--seeds 5] [--only time loss speed memory]

Losses are block@64 on the whole validation part of tiny Shakespeare, nats. Each seed is a round: the peer trains, then we
do, so that what else the machine does meanwhile hits both; ratios are taken within a round. Three clocks: cold, from the
start of a process to its end; train, the steps alone; and for the speed of a network, the middle step.

The rows named hybrid are a class of their own: a GPT mixed with counts of the same text. They are not to be read as a GPT's.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks import machine, peer, processes
from inkwright import config as configs
from inkwright.config import RunConfig
from inkwright.model import LogitModel, build
from inkwright.text import corpus as corpora
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate
from inkwright.train.optimizer import build_optimizers
from inkwright.train.selfcheck import compiled

WARM = 10
LARGEST_T = {1: 31.82, 2: 6.965, 3: 4.541, 4: 3.747, 5: 3.365, 6: 3.143, 7: 2.998, 8: 2.896, 9: 2.821}
"""One-sided 1 % of Student's t, by degrees of freedom; for more seeds the last one, which asks for a little too much."""

SAME_TIME = {"same time": [], "same time, hybrid": ["--model", "hybrid"]}
"""What is trained for as long as the peer took: a pure GPT; and, a class of its own, one mixed with counts."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a clone of nanoGPT")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150, help="of each network whose speed is compared")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="+", choices=["time", "loss", "speed", "memory"], default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    text = corpora.read(["shakespeare"], configs.TextConfig()).documents[0].text
    peer.prepare(arguments.peer, text)
    print(machine.describe())
    rates = [machine.gemm_rate(), machine.gemm_rate(torch.bfloat16)]
    parts = {"time": time_and_loss, "loss": time_and_loss, "speed": speed, "memory": memory}
    chosen = [part for name, part in parts.items() if not arguments.only or name in arguments.only]
    for part in dict.fromkeys(chosen):
        part(arguments, text)
    after = [machine.gemm_rate(), machine.gemm_rate(torch.bfloat16)]
    for name, before, now in zip(("float32", "bfloat16"), rates, after, strict=True):
        print(f"GEMM, {name:8}         {before:,.0f} GFLOP/s before, {now:,.0f} after")


# ------------------------------------------------------------ time to a loss, loss in a time


def time_and_loss(arguments: argparse.Namespace, text: str) -> None:
    """`sprint` against the peer's whole recipe; then as many minutes as the peer took, planned by us, in each class."""
    rows: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    for seed in range(1, arguments.seeds + 1):
        theirs = peer.train(arguments.peer, arguments.threads, seed)
        note("nanoGPT, loss", theirs.loss)
        note("nanoGPT, cold", theirs.wall_seconds)
        note("nanoGPT, train", theirs.step_seconds)
        loss, seconds = steps_alone(seeded("sprint", seed), text)
        note("sprint, loss", loss)
        note("sprint, train", seconds)
        note("sprint, train ratio", theirs.step_seconds / seconds)
        cold_loss, cold = whole_process(["--preset", "sprint", "--seed", str(seed)], arguments.threads)
        note("sprint, cold", cold)
        note("sprint, cold ratio", theirs.wall_seconds / cold)
        note("sprint, cold loss", cold_loss)
        minutes = ["--minutes", f"{theirs.wall_seconds / 60:.3f}", "--block-size", "64", "--alphabet", "bare"]
        for name, more in SAME_TIME.items():
            loss, seconds = whole_process([*minutes, *more, "--seed", str(seed)], arguments.threads)
            note(f"{name}, loss", loss)
            note(f"{name}, cold", seconds)
        line = ", ".join(f"{name} {values[-1]:,.3f}" for name, values in rows.items())
        print(f"seed {seed}: {line}", flush=True)
    print(f"{'':24}{'mean':>10}{'s.d.':>9}")
    for name, values in rows.items():
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        print(f"{name:24}{statistics.mean(values):>10.4f}{deviation:>9.4f}")
    if len(rows["sprint, loss"]) > 1:
        print(claim(rows["nanoGPT, loss"], rows["sprint, loss"]))


def claim(theirs: list[float], ours: list[float]) -> str:
    """Whether our mean loss is below theirs, beyond the luck of the seeds (paired, one-sided, 1 %)."""
    gaps = [a - b for a, b in zip(theirs, ours, strict=True)]
    t = statistics.mean(gaps) / (statistics.stdev(gaps) / math.sqrt(len(gaps)))
    needed = LARGEST_T[min(len(gaps) - 1, 9)]
    return (
        f"sprint below nanoGPT by {statistics.mean(gaps):.4f}, t = {t:.1f} ({'>' if t > needed else 'not >'} {needed})"
    )


def seeded(preset: str, seed: int) -> RunConfig:
    """A preset with a seed."""
    return configs.resolve({"seed": seed, "dtype": "bfloat16"}, preset)


def steps_alone(config: RunConfig, text: str) -> tuple[float, float]:
    """The exact loss after all steps, and what the steps took, seconds."""
    model, steps, val = begin(config, text)
    started = time.perf_counter()
    for _ in steps:
        pass
    seconds = time.perf_counter() - started
    return evaluate(model, val).loss, seconds


def whole_process(flags: list[str], threads: int) -> tuple[float, float]:
    """The loss that `inkwright train` ends with, and the seconds from its start to its exit; no cache is warm."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "inkwright", "train", "shakespeare", "--run", f"{place}/run", "--json", *flags]
        environment = {"OMP_NUM_THREADS": str(threads), "INKWRIGHT_HOME": place}
        started = time.perf_counter()
        printed, complaint, code, _ = processes.run(command, environment)
        seconds = time.perf_counter() - started
    if code:
        sys.exit(f"inkwright failed:\n{complaint[-2000:]}")
    return json.loads(printed.splitlines()[-1])["val_loss"], seconds


# ------------------------------------------------------------ the same network


def speed(arguments: argparse.Namespace, text: str) -> None:
    """Milliseconds a step of nanoGPT's own network: its code as it is, its code tuned, ours in three ways."""
    config = configs.resolve({}, "nanogpt-cpu")
    tokens = config.train.batch_size * config.model.block_size

    def ours(dtype: torch.dtype, by_compiler: bool = False) -> float:
        return statistics.median(step_seconds(config, text, arguments.steps, dtype, by_compiler))

    ways: dict[str, Callable[[], float]] = {
        "nanoGPT, eager": lambda: _peer_step(arguments, False),
        "inkwright, float32": lambda: ours(torch.float32),
        "inkwright, bfloat16": lambda: ours(torch.bfloat16),
        "inkwright, compiled": lambda: ours(torch.bfloat16, by_compiler=True),
        "nanoGPT, tuned": lambda: _peer_step(arguments, True),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.seeds):
        for name, way in ways.items():
            found[name].append(way())
    gemm = machine.gemm_rate()
    for name, seconds in found.items():
        line = f"{name:24}{machine.spread([s * 1e3 for s in seconds], 1)} ms a step"
        rate = tokens / statistics.median(seconds)
        print(f"{line}, {rate:,.0f} tokens/s, {flops_per_token(config.model) * rate / 1e9 / gemm:.0%} of float32 GEMM")
    for way in ("float32", "bfloat16", "compiled"):
        for theirs in ("eager", "tuned"):
            pairs = zip(found[f"nanoGPT, {theirs}"], found[f"inkwright, {way}"], strict=True)
            print(f"nanoGPT {theirs} / inkwright {way}: {machine.spread([t / o for t, o in pairs])}")


def _peer_step(arguments: argparse.Namespace, tuned: bool) -> float:
    return peer.train(arguments.peer, arguments.threads, 0, tuned, arguments.steps).step


def step_seconds(
    config: RunConfig, text: str, steps: int, dtype: torch.dtype = torch.float32, by_compiler: bool = False
) -> list[float]:
    """Seconds of each of our training steps."""
    stamps = []
    for _ in begin(config, text, dtype, by_compiler)[1]:
        stamps.append(time.perf_counter())
        if len(stamps) == steps + WARM + 1:
            break
    return [b - a for a, b in zip(stamps[WARM:], stamps[WARM + 1 :], strict=False)]


def begin(
    config: RunConfig, text: str, dtype: torch.dtype | None = None, by_compiler: bool = False
) -> tuple[LogitModel, Iterator[object], Windows]:
    """A fresh model, its steps, and the windows it is judged on."""
    model, windows, val = fresh(config, text)
    forward = compiled(model) if by_compiler else model
    state = TrainState(model, build_optimizers(model, config.train), forward)
    half = dtype or (torch.bfloat16 if config.machine.dtype == "bfloat16" else torch.float32)
    return model, train(state, windows, config.train, half), val


def fresh(config: RunConfig, text: str) -> tuple[LogitModel, Windows, Windows]:
    """A fresh model, the windows that train it, and those that it is judged on."""
    cut = int(0.9 * len(text))
    tokenizer = Tokenizer.fit(config.text, [text[:cut]], [text[cut:]])
    shape = configs.change(config.model, vocab_size=tokenizer.vocab_size)
    windows = Windows(tokenizer.encode(text[:cut]), shape.block_size)
    return (
        build(shape, config.train.seed, windows.ids),
        windows,
        Windows(tokenizer.encode(text[cut:]), shape.block_size),
    )


def flops_per_token(config: configs.ModelConfig, vocab_size: int = 65) -> float:
    """Useful arithmetic of one training token, nanoGPT's convention: 6 N + 12 L C T, N without the position table."""
    matmul = 12 * config.n_layer * config.n_embd**2 + config.n_embd * vocab_size
    return 6 * matmul + 12 * config.n_layer * config.n_embd * config.block_size


# ------------------------------------------------------------ memory


def memory(arguments: argparse.Namespace, text: str) -> None:
    """The most memory of a whole training process, less what `import torch` alone takes."""
    bare = processes.torch_memory()
    print(f"{'import torch':24}{bare / 2**20:>6,.0f} MiB")
    found = {"nanoGPT": peer.train(arguments.peer, arguments.threads, 0, steps=100).memory}
    for preset in ("nanogpt-cpu", "sprint"):
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "inkwright", "train", "shakespeare", "--run", f"{place}/run"]
            command += ["--preset", preset, "--steps", "100"]
            found[f"inkwright {preset}"] = processes.run(command, {"OMP_NUM_THREADS": str(arguments.threads)})[3]
    for name, most in found.items():
        print(f"{name:24}{(most - bare) / 2**20:>6,.0f} MiB more")


if __name__ == "__main__":
    main()
