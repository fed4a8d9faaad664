"""What the page shows of a run besides its text: its curve, its samples, the count models beside it, one distribution."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from inkwright.app.server.served import Served
from inkwright.app.server.shapes import spelled
from inkwright.errors import InkwrightError, quoted
from inkwright.run.card import describe as described
from inkwright.run.folder import Run, checkpoint_folders, step_of
from inkwright.sample.generate import half, next_logits
from inkwright.session.history import is_finite, losses, samples, thinned
from inkwright.session.judging import run_of

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POINTS = 400  # of a curve, at most
SAMPLES = 12  # of those written on the way: the last ones
SHOWN = 2000  # likeliest tokens of a distribution, at most


@dataclass(frozen=True)
class File:
    """A file of the page."""

    body: bytes
    kind: str


def files() -> dict[str, File]:
    """The page, path by path, read once: no request ever opens a file."""
    folder = resources.files("inkwright.app.server") / "page"
    found = {
        f"/page/{entry.name}": File(entry.read_bytes(), KINDS[Path(entry.name).suffix])
        for entry in folder.iterdir()
        if Path(entry.name).suffix in KINDS
    }
    return {"/": found["/page/index.html"]} | found


def describe(served: Served) -> dict[str, Any]:
    """A model in a few facts."""
    lm = served.lm
    return {
        "name": served.name,
        "about": described(lm.model.config),
        "parameters": lm.model.parameter_count,
        "tokenizer": lm.tokenizer.kind,
        "vocab_size": lm.tokenizer.vocab_size,
        "block_size": lm.model.config.block_size,
        "start_ids": lm.prompt_ids(""),
    }


def progress(served: Served) -> dict[str, Any]:
    """Where the run of a model stands now, read from its folder: it may still be training."""
    with contextlib.suppress(InkwrightError, OSError):
        run = run_of(served.folder)
        if run is not None:
            return _progress(run)
    return {"run": None}


def _progress(run: Run) -> dict[str, Any]:
    reports = run.reports()
    train, val = losses(reports), losses(reports, "val_loss")
    last = reports[-1] if reports else {}
    saved = [step_of(path) for path in checkpoint_folders(run.folder)]
    return {
        "run": quoted(run.folder.name),
        "text": quoted(run.record.get("name", "")),
        "step": last.get("step", 0),
        "steps": run.config.train.steps,
        "seconds": last.get("seconds"),
        "saved": saved,
        "train": thinned(train, POINTS),
        "val": val[-POINTS:],
        "samples": [sample._asdict() for sample in samples(reports)[-SAMPLES:]],
        "baseline": [line for line in run.record.get("baseline", []) if is_finite(line.get("loss"))],
    }


def distribution(served: Served, ids: Sequence[int], written: int) -> dict[str, Any]:
    """The model's own distribution of the token after `ids`, of which the last `written` it wrote itself.

    Log-probabilities, likeliest first; what is never drawn is left out, and `never` is what it would have held.
    """
    lm = served.lm
    context = context_of(ids[: len(ids) - written], ids[len(ids) - written :], lm.model.config.block_size)
    scores = next_logits(lm.model, context, None).double().log_softmax(-1)
    never = scores[list(lm.unseen)].exp().sum().item() if lm.unseen else 0.0
    scores[list(lm.unseen)] = -math.inf
    values, order = scores.sort(descending=True, stable=True)
    shown = [
        (token_id, value) for token_id, value in zip(order.tolist(), values.tolist(), strict=True) if value > -1e30
    ]
    return {
        "ids": [token_id for token_id, _ in shown[:SHOWN]],
        "tokens": [spelled(token_id, lm.tokenizer) for token_id, _ in shown[:SHOWN]],
        "logprobs": [value for _, value in shown[:SHOWN]],
        "never": never,
        "more": max(0, len(shown) - SHOWN),
        "context": len(context),
    }


def context_of(prompt: Sequence[int], written: Sequence[int], block_size: int) -> list[int]:
    """What the model saw after it had written `written`: of a context that is full, the last half is kept."""
    context = list(prompt[-block_size:])
    for token_id in written:
        context.append(token_id)
        if len(context) > block_size:
            context = context[-half(block_size) :]
    return context
