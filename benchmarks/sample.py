"""Writing speed with fresh weights, within the context and past it, against nanoGPT's generate in the same session.

python -m benchmarks.sample --peer PATH-TO-A-CLONE-OF-NANOGPT [--rounds 5] [--twins]

Temperature 0.8, top-k 200: sample.py's own settings. Within: a context full of tokens after the first. Past: twice as
many more, the halves that are read again included. Every ratio is of two rates of one round. The swift GPT stands beside its
own plain loop. At the end, what serving the first size costs (benchmarks/serve.py).
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine, peer, serve
from inkwright import config as configs
from inkwright.model import LogitModel, build
from inkwright.sample.engine import Engine, Precision

PLACES = ("within", "past")
Rates = tuple[float, float]
SWIFT = ((3, 2, 128), (4, 3, 192))
"""Layers, heads and width of what a run of a minute, or of some, trains; the context is 256."""


@dataclass
class Way:
    """One way to write, and its rates: tokens per second within and past the context, a round each."""

    name: str
    batch: int = 1
    fast: bool = True
    precision: Precision = "float32"
    rounds: list[Rates] = field(default_factory=list)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a clone of nanoGPT; without it only our own speed is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch, on both sides")
    parser.add_argument("--sizes", nargs="+", default=["nanogpt-cpu", "nanogpt-gpu"])
    parser.add_argument("--twins", action="store_true", help="the modern shape of each size too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine.describe())
    print(f"GEMM, float32 {machine.gemm_rate():.0f} GFLOP/s; {arguments.rounds} rounds: median (lowest to highest)")
    for size in arguments.sizes:
        for shape in ("classic", "modern") if arguments.twins else ("classic",):
            config = configs.resolve(
                {"shape": shape} | ({"activation": "gelu_tanh"} if shape == "modern" else {}), size
            ).model
            compare(f"{size}, {shape}", configs.change(config, vocab_size=65, dropout=0.0), arguments, arguments.peer)
    for n_layer, n_head, n_embd in SWIFT:
        config = configs.ModelConfig(
            model="swift", n_layer=n_layer, n_head=n_head, n_embd=n_embd, block_size=256, vocab_size=65
        )
        compare(f"swift, {n_layer} x {n_embd}", config, arguments, None)
    serve.report(arguments.sizes[0], arguments.rounds, arguments.threads)


def compare(name: str, config: configs.ModelConfig, arguments: argparse.Namespace, clone: Path | None) -> None:
    """One model, every way, as many rounds as asked for; one text against nanoGPT's, else against the plain loop's."""
    text = (65 * np.random.default_rng(1337).random(1_000_000) ** 3).astype(np.int64)  # uneven, so that grams repeat
    model = build(config, 1337, text).eval()
    print(f"\n{name}: {model.parameter_count / 1e6:.1f} M parameters, context {config.block_size}")
    theirs, plain, first = Way("nanoGPT, float32"), Way("plain loop, float32", fast=False), Way("kernels, float32")
    ways = [
        plain,
        first,
        Way("kernels, bfloat16", precision="bfloat16"),
        Way("kernels, int8", precision="int8"),
        Way("kernels, float32, batch 8", batch=8),
        Way("kernels, float32, batch 32", batch=32),
        Way("kernels, bfloat16, batch 32", batch=32, precision="bfloat16"),
    ]
    for _ in range(arguments.rounds):
        if clone:
            past = 64 if config.n_embd < 200 else 16
            theirs.rounds.append(peer.sample_rates(clone, arguments.threads, config, past))
        for way in ways:
            way.rounds.append(rates(model, way))
    alone, other = (theirs, "nanoGPT") if clone else (plain, "the plain loop")
    for place, where in enumerate(PLACES):
        for way in [theirs] * bool(clone) + ways:
            line = f"{where:7}{way.name:28}{machine.spread([r[place] for r in way.rounds], 0):>28} tokens/s"
            against, whom = (first, "one at a time") if way.batch > 1 else (alone, other)
            if way is not against:
                pairs = zip(way.rounds, against.rounds, strict=True)
                line += f", {machine.spread([a[place] / b[place] for a, b in pairs], 1)} x {whom}"
            print(line)


def rates(model: LogitModel, way: Way) -> Rates:
    """Tokens per second of all texts together."""
    T = model.config.block_size
    engine = Engine(model, way.batch, way.fast, way.precision)
    plain_past = 2 * T if way.fast else T // 2
    for seed in range(way.batch):
        engine.add([0], configs.SampleConfig(max_new_tokens=10_000, temperature=0.8, top_k=200, seed=seed))
    found = []
    for new in (T - 1, plain_past):
        started = time.perf_counter()
        for _ in range(new):
            engine.step()
        found.append(way.batch * new / (time.perf_counter() - started))
    return found[0], found[1]


if __name__ == "__main__":
    main()
