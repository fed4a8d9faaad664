"""inkwright compare"""

from pathlib import Path
from typing import TYPE_CHECKING

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import as_given
from inkwright.config import TextConfig, build
from inkwright.errors import quoted

if TYPE_CHECKING:
    from inkwright.session.comparing import Comparison, Side

LONGEST_NAME = 69


def compare(
    a: Path, b: Path, /, *texts: str, encoding: str = "utf-8", normalize: str | None = None, json: bool = False
) -> int:
    """Say which of two models knows a text better, and whether the difference is real.

    Each reads the same bytes with its own tokenizer and its own context. The interval says what another text of this
    kind would change; what another training seed would change it does not know.

    Parameters
    ----------
    a
        A run (its best checkpoint), a checkpoint, or a Hugging Face folder.
    b
        Another.
    texts
        What to judge them on [default: the part of A's text that it was not trained on].
    encoding
        Encoding of the text.
    normalize
        Unicode normal form to bring the text to.
    json
        One JSON object.
    """
    out = Output(json)
    config = build(TextConfig, {"encoding": encoding, "normalize": normalize})

    from inkwright.app.cli.loading import load
    from inkwright.session import comparing

    with interrupt.listening():
        one, other = (comparing.Side(folder, load(folder, out)) for folder in (a, b))
        text = comparing.common_text(one, other, [as_given(text) for text in texts], config)
        for note in text.notes:
            out.note(note.message, note.hint)
        found = comparing.compare(one, other, text)
    record(found, one, other, out)
    if not json:
        report(found, one, other, out)
    return 0


def record(found: "Comparison", a: "Side", b: "Side", out: Output) -> None:
    """All figures as one JSON object."""
    both = {
        name: {
            "folder": str(side.folder), "tokenizer": side.lm.tokenizer.kind, "metric": metric(side),
            "bits_per_byte": score.bits_per_byte, "bits_per_byte_stderr": score.stderr, "blocks_better": blocks,
        }
        for name, side, score, blocks in (("a", a, found.a, found.a_blocks), ("b", b, found.b, found.b_blocks))
    }  # fmt: skip
    out.record(
        **both, difference=found.difference, low=found.low, high=found.high, confidence=0.95, verdict=found.verdict,
        bytes=found.bytes, blocks=found.blocks, needed_bytes=found.needed_bytes if found.verdict == "open" else None,
    )  # fmt: skip


def report(found: "Comparison", a: "Side", b: "Side", out: Output) -> None:
    """Both scores, the difference, and the sentence."""
    size = found.bytes / found.blocks
    out.row("text", f"{found.bytes:,} bytes in {found.blocks:,} blocks of about {size:,.0f}")
    for label, side, score in (("A", a, found.a), ("B", b, found.b)):
        out.row(label, shortened(side.folder))
        read = f"{side.lm.tokenizer.kind}, {metric(side)}"
        out.row("", f"{score.bits_per_byte:.4f} ± {score.stderr:.4f} bits per byte ({read})")
    interval = f"{found.low:+.4f} to {found.high:+.4f} with 95 % confidence"
    out.row("B less A", f"{found.difference:+.4f}, {interval}")
    out.row("blocks", f"A needs fewer bits in {found.a_blocks:,}, B in {found.b_blocks:,}")
    if found.short:
        out.note("blocks this short depend on each other: the interval may be too narrow", "a longer text")
    out.say()
    out.say(sentence(found))
    if found.verdict in "ab":
        out.say("(On such text, for these two: another training seed is another question.)")


def sentence(found: "Comparison") -> str:
    """Is the difference real?"""
    if found.verdict == "same":
        return "The same: both need as many bits for every block of this text."
    if found.verdict != "open":
        return f"{found.verdict.upper()} is better, and the difference is real."
    told = f"Not told apart: {found.bytes:,} bytes are too few for a difference this small"
    if found.needed_bytes is None:
        return f"{told}."
    return f"{told};\nabout {float(f'{found.needed_bytes:.1g}'):,.0f} would be needed."


def metric(side: "Side") -> str:
    """Its context, in the way of the metric."""
    return f"block@{side.lm.model.config.block_size}"


def shortened(folder: Path) -> str:
    """The end of a folder's name, which tells most."""
    name = quoted(folder)
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
