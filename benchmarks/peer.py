"""nanoGPT beside us: its own, unchanged code in a process of its own. Give the path of a clone; nothing of it is ours."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

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


def train_step_seconds(clone: Path, out: Path, steps: int, threads: int) -> list[float]:
    """Seconds of each training step of nanoGPT's CPU recipe, as its script prints them, without the evaluation steps."""
    flags = [*CPU_RECIPE, f"--out_dir={out}", "--eval_interval=100000"]
    flags = [f"--max_iters={steps}" if flag.startswith("--max_iters") else flag for flag in flags]
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *flags]
    printed = _run(command, clone, threads)
    times = [float(ms) / 1e3 for ms in re.findall(r"^iter \d+: loss [\d.]+, time ([\d.]+)ms", printed, re.MULTILINE)]
    return times[10:]  # the first one holds an evaluation, the next ones warm up


def sample_rates(clone: Path, threads: int, config: ModelConfig, past: int) -> tuple[float, float]:
    """Tokens per second of nanoGPT's generate: a context full from its first token, and `past` more once it is full."""
    sizes = (config.n_layer, config.n_head, config.n_embd, config.block_size, config.block_size - 1, past)
    printed = _run([sys.executable, "-c", GENERATE, str(threads), *map(str, sizes)], clone, threads)
    within, beyond = (float(rate) for rate in re.findall(r"rate ([\d.]+)", printed))
    return within, beyond


def _run(command: list[str], clone: Path, threads: int) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(clone)}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed:\n{done.stderr[-2000:]}")
    return done.stdout
