"""The scale of a text as a person reads it: the lines a loss stands between. Counts nothing itself."""

from collections.abc import Sequence
from typing import Any

from inkwright.app.cli.console import Output
from inkwright.train.baseline import title

MEANINGS = {
    "uniform": "each token of this text as likely as any other",
    "unigram": "how common each token is",
    "bigram": "which token follows which",
    "ngram": "how often what followed {before} (Kneser-Ney)",
    "gzip": "what packing needs",
    "xz": "the same, packed harder",
}


def table(lines: Sequence[dict[str, Any]], out: Output) -> None:
    """The whole scale, a row a line."""
    out.say(f"{'':10} {'nats per':>9} {'bits per':>9}")
    out.say(f"{'':10} {'token':>9} {'char':>9}")
    for line in lines:
        before = (line["order"] or 1) - 1
        meaning = MEANINGS[line["name"]].format(before="one token" if before == 1 else f"{before} tokens")
        out.say(f"{title(line):10} {line['loss']:>9.4f} {line['bits_per_char']:>9.4f}   {meaning}")


def rows(lines: Sequence[dict[str, Any]], out: Output) -> None:
    """The scale in two rows: guessing and counting, then packing."""
    for label, counted in (("scale", True), ("", False)):
        part = [line for line in lines if (line["order"] is not None) == counted]
        out.row(label, ", ".join(f"{title(line)} {line['loss']:.3f}" for line in part))
