"""nanoGPT beside us: its own, unchanged code in a process of its own. Give the path of a clone; nothing of it is ours."""

import pickle
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import processes
from inkwright.config import ModelConfig

CPU_RECIPE = (
    "--device=cpu --compile=False --eval_iters=20 --log_interval=1 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 "
    "--n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0"
).split()
"""The line of nanoGPT's README for a CPU (commit 3adf61e)."""

GENERATE = """
import sys, time, torch
threads, layers, heads, width, context, within, past = map(int, sys.argv[1:])
torch.set_num_threads(threads); torch.manual_seed(1337)
from model import GPT, GPTConfig
model = GPT(GPTConfig(context, 65, layers, heads, width, dropout=0.0, bias=False)).eval()
with torch.no_grad():
    model.generate(torch.zeros(1, 1, dtype=torch.long), 8)
    for read, new in ((1, within), (context, past)):
        started = time.perf_counter()
        model.generate(torch.zeros(1, read, dtype=torch.long), new, temperature=0.8, top_k=200)
        print("rate", new / (time.perf_counter() - started))
"""


SEEDED = """
import functools, sys, torch
plain = torch.manual_seed
torch.manual_seed = lambda seed: plain(seed + {seed})
if {fused}:
    torch.optim.AdamW = functools.partial(torch.optim.AdamW, fused=True)
sys.argv[0] = "train.py"
exec(open("train.py").read())
"""
"""Its train.py as it is, with another seed; where asked for, with the optimizer that it takes on a GPU only."""

JUDGE = """
import sys, numpy as np, torch
from torch.nn import functional as F
from model import GPT, GPTConfig
saved = torch.load(sys.argv[1], weights_only=False)
model = GPT(GPTConfig(**saved["model_args"]))
model.load_state_dict({name.removeprefix("_orig_mod."): tensor for name, tensor in saved["model"].items()})
model.eval()
ids, total = torch.from_numpy(np.fromfile("data/shakespeare_char/val.bin", np.uint16).astype(np.int64)), 0.0
whole = (len(ids) - 1) // 64 * 64
with torch.no_grad():
    for start, end, wide in ((0, whole, 64), (whole, len(ids) - 1, len(ids) - 1 - whole)):
        idx, targets = ids[start:end].view(-1, wide), ids[start + 1 : end + 1].view(-1, wide)
        logits = model(idx, targets)[0]
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
print(total / (len(ids) - 1))
"""
"""The exact loss of its checkpoint, as ours is measured: windows of 64 that do not overlap, the tail included."""


def prepare(clone: Path, text: str) -> None:
    """Write the token files that nanoGPT reads, as its prepare.py would."""
    folder = clone / "data" / "shakespeare_char"
    stoi = {char: i for i, char in enumerate(sorted(set(text)))}
    ids = np.array([stoi[char] for char in text], np.uint16)
    cut = int(0.9 * len(ids))
    ids[:cut].tofile(folder / "train.bin")
    ids[cut:].tofile(folder / "val.bin")
    (folder / "meta.pkl").write_bytes(
        pickle.dumps({"vocab_size": len(stoi), "stoi": stoi, "itos": dict(enumerate(stoi))})
    )


@dataclass(frozen=True)
class Trained:
    """A whole training of the peer."""

    wall_seconds: float
    """From the start of its process to its end."""
    step_seconds: float
    """Its steps alone: evaluations, and what compiling the first ones took, are left out."""
    step: float
    """The middle one of its steps, seconds."""
    loss: float
    """Of its last weights, nats per token on all of the validation part, block@64."""
    memory: int
    """The most memory its process had, bytes."""


def train(clone: Path, threads: int, seed: int, tuned: bool = False, steps: int = 2000) -> Trained:
    """Train nanoGPT's CPU recipe; `tuned`: compiled, and with its optimizer in one kernel."""
    with tempfile.TemporaryDirectory() as out:
        flags = [*CPU_RECIPE, f"--out_dir={out}", f"--eval_interval={steps}", "--always_save_checkpoint=True"]
        flags = [f"--max_iters={steps}" if flag.startswith("--max_iters") else flag for flag in flags]
        if tuned:
            flags = ["--compile=True" if flag == "--compile=False" else flag for flag in flags]
        script = SEEDED.format(seed=seed, fused=tuned)
        command = [sys.executable, "-c", script, "config/train_shakespeare_char.py", *flags]
        started = time.perf_counter()
        printed, memory = _run(command, clone, threads)
        wall = time.perf_counter() - started
        times = [
            float(ms) / 1e3 for ms in re.findall(r"^iter \d+: loss [\d.]+, time ([\d.]+)ms", printed, re.MULTILINE)
        ]
        middle = statistics.median(times)
        ordinary = [middle if i % steps == 0 or seconds > 20 * middle else seconds for i, seconds in enumerate(times)]
        loss = float(_run([sys.executable, "-c", JUDGE, f"{out}/ckpt.pt"], clone, threads)[0].split()[-1])
    return Trained(wall, sum(ordinary), middle, loss, memory)


def gpu_step_seconds(clone: Path, device: str, steps: int) -> list[float]:
    """Seconds of each training step of nanoGPT's GPU recipe, as its script prints them, after the first ones."""
    with tempfile.TemporaryDirectory() as out:
        flags = [f"--device={device}", f"--max_iters={steps}", "--log_interval=1", "--eval_iters=1", "--dtype=bfloat16"]
        flags += [f"--out_dir={out}", f"--compile={device != 'cpu'}"]
        command = [sys.executable, "-c", SEEDED.format(seed=0, fused=False), "config/train_shakespeare_char.py", *flags]
        printed, _ = _run(command, clone, 16)
    return [float(ms) / 1e3 for ms in re.findall(r"^iter \d+: loss [\d.]+, time ([\d.]+)ms", printed, re.MULTILINE)][
        -steps // 2 :
    ]


def sample_rates(clone: Path, threads: int, config: ModelConfig, past: int) -> tuple[float, float]:
    """Tokens per second of nanoGPT's generate: a context full from its first token, and `past` more once it is full."""
    sizes = (config.n_layer, config.n_head, config.n_embd, config.block_size, config.block_size - 1, past)
    printed, _ = _run([sys.executable, "-c", GENERATE, str(threads), *map(str, sizes)], clone, threads)
    within, beyond = (float(rate) for rate in re.findall(r"rate ([\d.]+)", printed))
    return within, beyond


def _run(command: list[str], clone: Path, threads: int) -> tuple[str, int]:
    environment = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(clone)}
    printed, complaint, code, memory = processes.run(command, environment, clone)
    if code:
        sys.exit(f"the peer failed:\n{complaint[-2000:]}")
    return printed, memory
