"""What this machine computes with, decided once at the start of a run and then recorded. Knows no text and no files."""

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from inkwright.config import MachineConfig, ModelConfig, TrainConfig, change
from inkwright.errors import MachineError, SettingError, quoted
from inkwright.model import LogitModel
from inkwright.model.attention import SHORT
from inkwright.train.loop import gradients

FASTER = 1.15  # how much faster half precision must be to be chosen: more than the noise of a busy machine
BYTES_PER_PARAMETER = 16  # float32 weight and gradient, and two moments


def decide(config: MachineConfig, model: LogitModel, train: TrainConfig) -> MachineConfig:
    """The same settings with every `auto` decided; half precision on a CPU only where it proves faster here.

    Raises: SettingError   a device that this machine does not have
    """
    if model.config.model == "counts":  # nothing to compute faster
        return change(resolved(config), compile="off", dtype="float32")
    machine = resolved(config)
    if config.dtype == "auto" and machine.device == "cpu" and _half_is_faster(model, train):
        return change(machine, dtype="bfloat16")
    return machine


def resolved(config: MachineConfig) -> MachineConfig:
    """The same settings with every `auto` decided as far as no model is needed: a CPU computes in float32.

    Raises: SettingError   a device that this machine does not have
    """
    device = resolve_device(config.device)
    threads = config.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    compiled = config.compile if config.compile != "auto" else "on" if device.type == "cuda" else "off"
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    dtype = config.dtype if config.dtype != "auto" else "bfloat16" if half else "float32"
    return change(config, device=str(device), threads=threads, compile=compiled, dtype=dtype)


def resolve_device(name: str) -> torch.device:
    """The device of a name; auto is the accelerator where there is one, else the CPU.

    Raises: SettingError   it is not here
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    here = ["auto", "cpu", *([found.type] if found else [])]
    if name == "auto":
        return torch.device(found.type if found else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise SettingError("device", f"must be one of {', '.join(here)} on this machine (got {quoted(name)})") from None
    if device.type == "meta":
        raise SettingError("device", f"must be one of {', '.join(here)} on this machine (got {quoted(name)})")
    return device


def require_memory(config: ModelConfig, train: TrainConfig, device: torch.device) -> None:
    """Refuse before anything is allocated when the model cannot fit.

    Raises: MachineError   names what is needed and what is free
    """
    if needed_bytes(config, train) > (free := free_memory(device)):
        raise too_large(config, train, f"{free / 1e9:,.1f} GB free", free)


def too_large(config: ModelConfig, train: TrainConfig, there_is: str, room_bytes: int | None = None) -> MachineError:
    """The error for a training that does not fit: what it needs, what there is, what would fit into `room_bytes` (half)."""
    parameters, windows = parameter_estimate(config), train.micro_batch_size or train.batch_size
    needed = needed_bytes(config, train)
    return MachineError(
        f"about {needed / 1e9:,.1f} GB needed ({_short(parameters)} parameters x {BYTES_PER_PARAMETER} bytes, "
        f"and the activations of {windows} windows), {there_is}",
        _what_fits(config, train, needed // 2 if room_bytes is None else room_bytes),
    )


def _what_fits(config: ModelConfig, train: TrainConfig, room_bytes: int) -> str | None:
    """Each setting that is enough alone; where none is, all three halved until they are; None where nothing is."""
    windows, least = train.micro_batch_size or train.batch_size, config.n_head * 2
    halvings = range(1, max(config.n_layer, config.n_embd, windows).bit_length())
    layers = [max(1, config.n_layer >> i) for i in halvings]
    widths = [max(least, (config.n_embd >> i) // least * least) for i in halvings]
    batches = [max(1, windows >> i) for i in halvings]

    def fits(micro_batch_size: int = windows, **shape: int) -> bool:
        smaller = train.model_copy(update={"micro_batch_size": micro_batch_size})
        return needed_bytes(config.model_copy(update=shape), smaller) <= room_bytes

    alone = [
        next((f"--n-layer {n}" for n in layers if fits(n_layer=n)), None),
        next((f"--n-embd {n}" for n in widths if fits(n_embd=n)), None),
        next((f"--micro-batch-size {n}" for n in batches if fits(n)), None),
    ]
    all_three = (
        f"--n-layer {n} --n-embd {width} --micro-batch-size {batch}"
        for n, width, batch in zip(layers, widths, batches, strict=True)
        if fits(batch, n_layer=n, n_embd=width)
    )
    return ", or ".join(filter(None, alone)) or next(all_three, None)


def needed_bytes(config: ModelConfig, train: TrainConfig) -> int:
    """About how much memory a step of a training takes."""
    return parameter_estimate(config) * BYTES_PER_PARAMETER + activation_bytes(config, train)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the system, or a GPU, refused to give memory."""
    told = ("can't allocate memory", "bad_alloc", "not enough memory")
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and any(words in str(error) for words in told))


def parameter_estimate(config: ModelConfig) -> int:
    """About how many parameters a shape has, without building it."""
    if config.model in ("bigram", "counts"):
        return config.vocab_size**2 if config.model == "bigram" else 0
    tables = config.vocab_size * (1 if config.shape == "classic" else 2)
    positions = 0 if config.shape == "modern" else config.block_size
    return config.n_embd * (tables + positions) + 12 * config.n_layer * config.n_embd**2


def activation_bytes(config: ModelConfig, train: TrainConfig) -> int:
    """About how many bytes one micro-batch keeps for its backward pass."""
    tokens = (train.micro_batch_size or train.batch_size) * config.block_size
    if config.model in ("bigram", "counts"):
        return tokens * config.vocab_size * 12
    written_down = config.dropout or config.block_size <= SHORT
    scores = config.n_head * config.block_size if written_down else 0
    return 4 * tokens * (config.n_layer * (34 * config.n_embd + 2 * scores) + 3 * config.vocab_size)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # Linux
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**62


def process_memory() -> tuple[int, int]:
    """What this process has in memory now, and had at most: bytes; zeros where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # Linux
            sizes = dict(line.split(":", 1) for line in file)
        return int(sizes["VmRSS"].split()[0]) * 1024, int(sizes["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0, 0


def conditions(machine: MachineConfig) -> dict[str, Any]:
    """What the bits of a result depend on, besides the run's record."""
    return {"torch": torch.__version__, "threads": machine.threads, "cpu": torch.backends.cpu.get_cpu_capability()}


def _half_is_faster(model: LogitModel, train: TrainConfig) -> bool:
    """Two timings of the same step, each the best of three, taken in turns."""
    T = model.config.block_size
    size = min(train.micro_batch_size or train.batch_size, 64, max(1, 4096 // T))
    idx = torch.zeros(size, T, dtype=torch.long)
    small = change(train, batch_size=size, micro_batch_size=None)

    def step(dtype: torch.dtype) -> Callable[[], object]:
        return lambda: gradients(model, (idx, idx), small, 0, dtype)

    dtypes = (torch.float32, torch.bfloat16)
    best = {dtype: float("inf") for dtype in dtypes}
    for _ in range(3):
        for dtype in dtypes:
            best[dtype] = min(best[dtype], _seconds(step(dtype)))
    model.zero_grad(set_to_none=True)
    return best[torch.float32] > FASTER * best[torch.bfloat16]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _short(count: int) -> str:
    return f"{count / 1e9:,.1f} B" if count >= 1e9 else f"{count / 1e6:,.1f} M"
