"""Training speed of the `nanogpt-cpu` preset, against nanoGPT's own script and the machine's own limit.

    python -m benchmarks.train --peer PATH-TO-A-CLONE-OF-NANOGPT [--rounds 5] [--steps 150]
    python -m benchmarks.train --loss [--seeds 1]      the whole recipe, and its exact loss

Each round times the peer, then us, in that order; the ratio is taken within a round, so that what else the machine does
meanwhile hits both.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import machine, peer
from inkwright import config as configs
from inkwright.model import build
from inkwright.text import corpus as corpora
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate
from inkwright.train.optimizer import build_optimizers

WARM = 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a clone of nanoGPT; without it only our own speed is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--loss", action="store_true", help="train the whole recipe instead, and evaluate it exactly")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = configs.resolve({}, "nanogpt-cpu")
    text = corpora.read(["shakespeare"], config.text).documents[0].text
    print(machine.describe())
    if arguments.loss:
        losses(config, text, arguments.seeds)
    else:
        speeds(config, text, arguments)


def speeds(config: configs.RunConfig, text: str, arguments: argparse.Namespace) -> None:
    """Milliseconds a step, paired round by round."""
    before = machine.gemm_rate()
    ours: list[float] = []
    theirs: list[float] = []
    if arguments.peer:
        peer.prepare(arguments.peer, text)
    for number in range(1, arguments.rounds + 1):
        if arguments.peer:
            with tempfile.TemporaryDirectory() as out:
                times = peer.train_step_seconds(arguments.peer, Path(out), arguments.steps + WARM, arguments.threads)
            theirs.append(statistics.median(times) * 1e3)
        ours.append(statistics.median(step_seconds(config, text, arguments.steps)) * 1e3)
        print(f"round {number}: inkwright {ours[-1]:.1f} ms" + (f", nanoGPT {theirs[-1]:.1f} ms" if theirs else ""))
    after = machine.gemm_rate()
    tokens = config.train.batch_size * config.model.block_size
    rate = flops_per_token(config.model) * tokens / (statistics.median(ours) / 1e3) / 1e9
    print(f"GEMM, float32          {before:.0f} GFLOP/s before, {after:.0f} after")
    print(f"inkwright              {machine.spread(ours, 1)} ms a step")
    print(f"                       {tokens / (statistics.median(ours) / 1e3):,.0f} tokens/s")
    print(f"                       {rate:.0f} GFLOP/s useful, {rate / max(before, after):.0%} of the GEMM rate")
    if theirs:
        print(f"nanoGPT                {machine.spread(theirs, 1)} ms a step")
        print(f"nanoGPT / inkwright    {machine.spread([t / o for t, o in zip(theirs, ours, strict=True)])}")


def step_seconds(config: configs.RunConfig, text: str, steps: int) -> list[float]:
    """Seconds of each of our training steps."""
    stamps = []
    for _ in begin(config, text)[1]:
        stamps.append(time.perf_counter())
        if len(stamps) == steps + WARM + 1:
            break
    return [b - a for a, b in zip(stamps[WARM:], stamps[WARM + 1 :], strict=False)]


def begin(config: configs.RunConfig, text: str):
    """A fresh model, its steps, and the windows it is judged on."""
    cut = int(0.9 * len(text))
    tokenizer = Tokenizer.fit(config.text, [text[:cut]], [text[cut:]])
    shape = configs.change(config.model, vocab_size=tokenizer.vocab_size)
    model = build(shape, config.train.seed)
    windows = Windows(tokenizer.encode(text[:cut]), shape.block_size)
    state = TrainState(model, build_optimizers(model, config.train), model)
    return model, train(state, windows, config.train), Windows(tokenizer.encode(text[cut:]), shape.block_size)


def losses(config: configs.RunConfig, text: str, seeds: int) -> None:
    """The exact loss on the whole validation split after the whole recipe, for several seeds."""
    found = []
    for seed in range(1337, 1337 + seeds):
        seeded = configs.RunConfig(train=configs.change(config.train, seed=seed), model=config.model, text=config.text)
        started = time.perf_counter()
        model, steps, val = begin(seeded, text)
        for _ in steps:
            pass
        seconds = time.perf_counter() - started
        found.append(evaluate(model, val).loss)
        print(f"seed {seed}: {found[-1]:.4f} nats, block@{config.model.block_size}, {seconds:.0f} s of steps")
    print(f"validation loss        {machine.spread(found, 4)}")


def flops_per_token(config: configs.ModelConfig, vocab_size: int = 65) -> float:
    """Useful arithmetic of one training token, nanoGPT's convention: 6 N + 12 L C T, N without the position table."""
    matmul = 12 * config.n_layer * config.n_embd**2 + config.n_embd * vocab_size
    return 6 * matmul + 12 * config.n_layer * config.n_embd * config.block_size


if __name__ == "__main__":
    main()
