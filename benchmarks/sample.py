"""Writing speed with fresh weights, within the context and past it, against nanoGPT's generate in the same session.

python -m benchmarks.sample --peer PATH-TO-A-CLONE-OF-NANOGPT [--rounds 5] [--twins]

Temperature 0.8, top-k 200: sample.py's own settings. Within: a context full of tokens after the first. Past: twice as
many more, the halves that are read again included. Every ratio is of two rates of one round. At the end, what serving
the first size costs (benchmarks/serve.py).
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import machine, peer, serve
from inkwright import config as configs
from inkwright.model import LogitModel, build
from inkwright.sample.engine import Engine, Precision

PLACES = ("within", "past")
Rates = tuple[float, float]


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
            compare(size, shape, arguments)
    serve.report(arguments.sizes[0], arguments.rounds, arguments.threads)


def compare(size: str, shape: str, arguments: argparse.Namespace) -> None:
    """One model, every way, as many rounds as asked for."""
    config = configs.resolve({"shape": shape} | ({"activation": "gelu_tanh"} if shape == "modern" else {}), size).model
    model = build(configs.change(config, vocab_size=65, dropout=0.0), 1337).eval()
    print(f"\n{size}, {shape}: {model.parameter_count / 1e6:.1f} M parameters, context {config.block_size}")
    theirs, first = Way("nanoGPT, float32"), Way("kernels, float32")
    ways = [
        Way("plain loop, float32", fast=False),
        first,
        Way("kernels, bfloat16", precision="bfloat16"),
        Way("kernels, int8", precision="int8"),
        Way("kernels, float32, batch 8", batch=8),
        Way("kernels, float32, batch 32", batch=32),
        Way("kernels, bfloat16, batch 32", batch=32, precision="bfloat16"),
    ]
    for _ in range(arguments.rounds):
        if arguments.peer:
            past = 64 if config.n_embd < 200 else 16
            theirs.rounds.append(peer.sample_rates(arguments.peer, arguments.threads, config, past))
        for way in ways:
            way.rounds.append(rates(model, way))
    for place, name in enumerate(PLACES):
        for way in [theirs] * bool(theirs.rounds) + ways:
            line = f"{name:7}{way.name:28}{machine.spread([r[place] for r in way.rounds], 0):>28} tokens/s"
            against = first if way.batch > 1 else theirs
            if against.rounds and way is not against:
                pairs = zip(way.rounds, against.rounds, strict=True)
                other = "one at a time" if way.batch > 1 else "nanoGPT"
                line += f", {machine.spread([a[place] / b[place] for a, b in pairs], 1)} x {other}"
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
