"""Writing speed of a `nanogpt-cpu` model with fresh weights, one text at a time, against nanoGPT's generate.

python -m benchmarks.sample --peer PATH-TO-A-CLONE-OF-NANOGPT [--rounds 5]
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from benchmarks import machine, peer
from inkwright import config as configs
from inkwright.model import build
from inkwright.sample.generate import generate


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a clone of nanoGPT; without it only our own speed is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine.describe())
    model = build(configs.change(configs.resolve({}, "nanogpt-cpu").model, vocab_size=65), 1337).eval()
    ours: dict[str, list[float]] = {"within the context": [], "past the context": []}
    theirs: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(arguments.rounds):
        if arguments.peer:
            for name, rate in zip(theirs, peer.sample_rates(arguments.peer, arguments.threads), strict=True):
                theirs[name].append(rate)
        for name, new in (("within the context", 63), ("past the context", 400)):
            ours[name].append(tokens_per_second(model, new))
    print(f"GEMM, float32          {machine.gemm_rate():.0f} GFLOP/s")
    for name, rates in ours.items():
        print(f"{name}, float32, batch 1, context 64")
        print(f"  inkwright            {machine.spread(rates, 0)} tokens/s")
        if theirs[name]:
            ratios = [a / b for a, b in zip(rates, theirs[name], strict=True)]
            print(f"  nanoGPT              {machine.spread(theirs[name], 0)} tokens/s")
            print(f"  inkwright / nanoGPT  {machine.spread(ratios)}")


def tokens_per_second(model, new: int) -> float:
    """Rate of writing `new` tokens after one, temperature 0.8, top-k 200: sample.py's own settings."""
    config = configs.SampleConfig(max_new_tokens=new, temperature=0.8, top_k=200)
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        list(generate(model, [0], config))
        rates.append(new / (time.perf_counter() - started))
    return statistics.median(rates)


if __name__ == "__main__":
    main()
