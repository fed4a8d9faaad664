"""nanoGPT's GPU recipe for tiny Shakespeare on an accelerator: its own code, ours, and how soon we reach its best loss.

    python -m benchmarks.gpu --peer PATH-TO-A-CLONE-OF-NANOGPT --peak 989 [--device cuda] [--steps 200] [--minutes 3]

`--peak`: what the device can do in bfloat16 by its maker's sheet, TFLOP/s; the share of it is printed (MFU). Both sides are
compiled, in bfloat16. Then `inkwright train shakespeare --minutes`, as a whole process. Not run on an accelerator yet: none
was at hand.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import machine, peer, processes
from benchmarks.train import flops_per_token, fresh
from inkwright import config as configs
from inkwright.text import corpus as corpora
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate
from inkwright.train.optimizer import build_optimizers
from inkwright.train.selfcheck import compiled

WARM = 20  # compiling, and the first clocks
BEST = 1.4697
"""What nanoGPT's README reports for its GPU recipe, block@256 by random windows."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a clone of nanoGPT")
    parser.add_argument("--peak", type=float, required=True, help="TFLOP/s in bfloat16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=3.0)
    arguments = parser.parse_args()
    text = corpora.read(["shakespeare"], configs.TextConfig()).documents[0].text
    peer.prepare(arguments.peer, text)
    print(machine.describe())
    config = configs.resolve({}, "nanogpt-gpu")
    tokens = config.train.batch_size * config.model.block_size
    theirs = statistics.median(peer.gpu_step_seconds(arguments.peer, arguments.device, arguments.steps))
    ours, _ = steps_here("nanogpt-gpu", text, arguments)
    for name, seconds in (("nanoGPT", theirs), ("inkwright", ours)):
        rate = tokens / seconds
        share = flops_per_token(config.model) * rate / (arguments.peak * 1e12)
        print(f"{name:12}{seconds * 1e3:>9.2f} ms a step{rate:>14,.0f} tokens/s   MFU {share:.1%}")
    seconds, loss = steps_here("sprint", text, arguments)
    print(f"{'sprint':12}{seconds * 1e3:>9.2f} ms a step, block@64 {loss:.4f} after {arguments.steps} steps")
    by_the_clock(arguments)


def by_the_clock(arguments: argparse.Namespace) -> None:
    """A whole run of so many minutes: its losses, and when it was first as good as nanoGPT's best."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "inkwright", "train", "shakespeare", "--run", f"{place}/run"]
        command += ["--minutes", str(arguments.minutes), "--device", arguments.device]
        _, complaint, code, _ = processes.run(command, {})
        if code:
            sys.exit(f"inkwright failed:\n{complaint[-2000:]}")
        lines = map(json.loads, Path(f"{place}/run/metrics.jsonl").read_text(encoding="utf-8").splitlines())
        judged = [(line["seconds"], line["val_loss"]) for line in lines if line.get("val_loss")]
    for seconds, loss in judged:
        print(f"{'by the clock':12}{seconds:>9.1f} s of training, {loss:.4f}")
    reached = next((f"after {seconds:.1f} s" for seconds, loss in judged if loss <= BEST), "not reached")
    print(f"{'by the clock':12} nanoGPT's {BEST}: {reached}")


def steps_here(preset: str, text: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """The middle step of a preset, seconds, and the exact loss after all of them."""
    config = configs.resolve({"steps": arguments.steps + WARM, "warmup_steps": 2}, preset)
    model, windows, val = fresh(config, text)
    model.to(arguments.device)
    forward = compiled(model) if arguments.device != "cpu" else model
    state = TrainState(model, build_optimizers(model, config.train), forward)
    stamps = []
    for _ in train(state, windows, config.train, torch.bfloat16):  # reading the loss waits for the device
        stamps.append(time.perf_counter())
    steps = [b - a for a, b in zip(stamps[WARM:], stamps[WARM + 1 :], strict=False)]
    return statistics.median(steps), evaluate(model, val).loss


if __name__ == "__main__":
    main()
