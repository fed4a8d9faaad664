"""One run as one page: what its loss means, how it learned, what it writes and how much of that is copied. Trains nothing."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from inkwright.app.cli.console import duration, safe
from inkwright.app.cli.flags import flag
from inkwright.app.page.curve import curve
from inkwright.app.page.html import element, page, table
from inkwright.config import ModelConfig, RunConfig, settable
from inkwright.run.card import describe
from inkwright.run.folder import Run
from inkwright.session.history import Point, Sample, evaluations, losses, samples, text_since
from inkwright.session.novelty import Novelty
from inkwright.session.verdict import Finding
from inkwright.text.novelty import Copied

MOST_SAMPLES = 12  # of those on the way that are shown
MOST_ROWS = 200  # of the table beside the curve

QUESTIONS = {"scale": "Is this loss good?", "overfitting": "Did it overfit?", "help": "What would help most?"}
CURVE = """The loss is the model's surprise at the next token, in nats; lower is better. The thick line is the loss on text
that was held out, every token of it; the thin one that of the training batches. The dashed lines are the scale of this text:
what guessing blindly, counting and packing reach without any training (▲: further up than the picture reaches)."""
COPIED = """Shaded: passages of {least} characters or more that stand word for word in the training text. Underlined: the
longest one of each sample, however short. Why {least}: of {characters:,} characters of real text that was held out, and so
cannot be copied, {share:.1%} lie in passages as long as that; shorter ones are chance, or simply the language."""


@dataclass(frozen=True)
class Portrait:
    """What there is to show of a run."""

    run: Run
    findings: Sequence[Finding]
    best_step: int
    fresh: Sequence[str]
    """What the best checkpoint writes now."""
    novelty: Novelty | None
    """Of the samples on the way that are shown, then of `fresh`; None where the training text is damaged."""

    @property
    def copying(self) -> str | None:
        """What is to be said about how much it copies now."""
        return self.novelty and self.novelty.only(self.novelty.texts[-len(self.fresh) :]).sentence


def shown(reports: Sequence[dict[str, Any]]) -> list[Sample]:
    """The samples on the way that a page has room for: the first, the last, and some between."""
    found = samples(reports)
    if len(found) <= MOST_SAMPLES:
        return found
    return [found[i * (len(found) - 1) // (MOST_SAMPLES - 1)] for i in range(MOST_SAMPLES)]


def build(portrait: Portrait) -> str:
    """The whole page."""
    run, record = portrait.run, portrait.run.record
    reports = run.reports()
    points = evaluations(reports, text_since(record))
    title = f"{record['name']}: a training"
    body = [
        element("h1", title),
        element("p", f"{describe(run.config.model)}, {record['parameters']:,} parameters", class_="faint"),
        *_verdict(portrait),
        *_course(reports, points, record),
        *_samples(portrait, shown(reports), len(samples(reports))),
        *_copying(portrait),
        *_facts(run, points),
    ]
    return page(title, body)


# ---------------------------------------------------------------- the verdict and the curve


def _verdict(portrait: Portrait) -> Iterator[str]:
    answers = [(QUESTIONS[finding.id], finding.sentence) for finding in portrait.findings]
    if portrait.copying:
        answers.append(("Does it copy?", portrait.copying))
    cards = (f'<section class="card">{element("h3", q)}<p>{unbroken(a)}</p></section>' for q, a in answers)
    yield f'<div class="cards answers">{"".join(cards)}</div>'


def _course(reports: Sequence[dict[str, Any]], points: Sequence[Point], record: dict[str, Any]) -> Iterator[str]:
    train = losses(reports, "loss", text_since(record))
    if not train and not points:
        return
    yield "<h2>How it learned</h2>"
    picture = curve(train, [(point.step, point.val) for point in points], record.get("baseline", []))
    yield f"<figure>{picture}{element('figcaption', CURVE)}</figure>"
    every = -(-len(points) // MOST_ROWS) or 1
    rows = [_row(point) for i, point in enumerate(points) if i % every == 0 or i == len(points) - 1]
    head = ["step", "time", "unseen text", "training", "gap"]
    twin = table(head, rows, "The curve as a table: nats per token. Training: the mean of the steps just before.")
    scale = table(
        ["line", "nats per token", "bits per character"],
        [[_name(line), f"{line['loss']:.4f}", f"{line['bits_per_char']:.4f}"] for line in record.get("baseline", [])],
        "The scale of this text, judged on the same tokens.",
    )
    yield f"<details><summary>The same as tables</summary>{twin}{scale}</details>"


def _name(line: dict[str, Any]) -> str:
    return f"{line['order']}-gram counts" if line["name"] == "ngram" else line["name"]


def _row(point: Point) -> list[object]:
    time = "" if point.seconds is None else duration(point.seconds)
    known = point.train == point.train  # nan is not
    train, gap = (f"{point.train:.3f}", f"{point.gap:.3f}") if known else ("", "")
    loss = f"{point.val:.4f}" + (f" ± {point.stderr:.4f}" if point.stderr == point.stderr else "")
    return [f"{point.step:,}", time, loss, train, gap]


# ---------------------------------------------------------------- samples


def unbroken(sentence: str) -> str:
    """A sentence as HTML in which no `--dropout` and no `7-gram` is broken at its hyphen."""
    return re.sub(r"\S*-\S*", r'<span class="whole">\g<0></span>', escape(sentence))


def _samples(portrait: Portrait, on_the_way: Sequence[Sample], all_of_them: int) -> Iterator[str]:
    found = portrait.novelty
    copied = found.texts if found else [None] * (len(on_the_way) + len(portrait.fresh))
    if on_the_way:
        yield "<h2>What it wrote on the way</h2>"
        left_out = all_of_them - len(on_the_way)
        more = f" {left_out:,} more are in metrics.jsonl." if left_out else ""
        yield element("p", f"Each time from nothing, with the same seed.{more}", class_="faint")
        yield '<div class="cards">'
        for sample, part in zip(on_the_way, copied, strict=False):
            yield _sample(f"Step {sample.step:,}", sample.text, part, found)
        yield "</div>"
    best = element("p", f"The best checkpoint, of step {portrait.best_step:,}.", class_="faint")
    yield f"<h2>What it writes now</h2>{best}"
    yield '<div class="cards">'
    for number, (text, part) in enumerate(zip(portrait.fresh, copied[len(on_the_way) :], strict=True), 1):
        yield _sample(f"Sample {number}", text, part, found)
    yield "</div>"


def _sample(title: str, text: str, copied: Copied | None, found: Novelty | None) -> str:
    said = ""
    if copied is not None and found is not None:
        _, length, place = copied.longest
        where = f"the longest passage: {length:,} characters, in line {found.line(place):,}"
        said = element("p", f"{copied.share(found.least):.1%} copied; {where}", class_="faint")
    inside = marked(copied, found.least) if copied is not None and found is not None else escape(safe(text))
    return f'<section class="card">{element("h3", title)}<pre>{inside}</pre>{said}</section>'


def marked(copied: Copied, least: int) -> str:
    """A text as HTML, what is copied in <mark>, the longest passage underlined; shown as text, whatever it is."""
    start, length, _ = copied.longest
    spans = copied.spans(least)
    edges = sorted({0, len(copied.text), start, start + length, *(edge for span in spans for edge in span)})
    parts: list[str] = []
    for a, b in pairwise(edges):
        inside = escape(safe(copied.text[a:b]))
        if start <= a < start + length:
            inside = f"<u>{inside}</u>"
        parts.append(f"<mark>{inside}</mark>" if any(x <= a < y for x, y in spans) else inside)
    return "".join(parts)


def _copying(portrait: Portrait) -> Iterator[str]:
    found = portrait.novelty
    yield "<h2>How much it copies</h2>"
    if found is None or portrait.copying is None:
        yield "<p>Not measured: the run's copy of its training text is damaged.</p>"
        return
    yield f"<p>{unbroken(portrait.copying)}</p>"
    facts = {"least": found.least, "characters": found.unseen_characters, "share": found.unseen_share}
    yield element("p", COPIED.format(**facts), class_="faint")


# ---------------------------------------------------------------- what it was


def _facts(run: Run, points: Sequence[Point]) -> Iterator[str]:
    record, config, reports = run.record, run.config, run.reports()
    last = reports[-1] if reports else {}
    step, seconds = last.get("step", 0), last.get("seconds") or 0.0
    speed = f"{last['tokens'] / seconds:,.0f} tokens a second, all in all" if seconds and last.get("tokens") else ""
    machine, conditions = config.machine, record["conditions"]
    text = [
        ("text", f"{record['name']} ({', '.join(record['texts'])})"), ("held out", _held_out(config)),
        ("tokenizer", f"{config.text.tokenizer}, {config.model.vocab_size:,} tokens"),
        ("fingerprint", record["fingerprint"]),
    ]  # fmt: skip
    time = [
        ("begun", record["begun"]), ("steps", f"{step:,} of {config.train.steps:,}"),
        ("time", duration(seconds)), ("speed", speed), ("evaluations", f"{len(points):,}"),
    ]  # fmt: skip
    where = [
        ("device", f"{machine.device}, {machine.dtype}" + ", compiled" * (machine.compile == "on")),
        ("threads", f"{conditions['threads']}"), ("CPU", f"{conditions['cpu']}"),
        ("made with", f"inkwright {record['version']}, torch {conditions['torch']}"),
    ]  # fmt: skip
    yield '<h2>What it was</h2><div class="cards">'
    for title, facts in (("The text", text), ("The time", time), ("The machine", where)):
        listed = "".join(element("dt", name) + element("dd", safe(value)) for name, value in facts if value)
        yield f'<section class="card">{element("h3", title)}<dl>{listed}</dl></section>'
    yield "</div>"
    settings = {name: getattr(getattr(config, section), name) for name, (section, _) in settable().items()}
    rows = [[name, "" if value is None else safe(str(value))] for name, value in settings.items()]
    listed = table(["setting", "value"], rows, "As they were resolved.")
    yield f"<details><summary>All settings</summary>{listed}</details>"
    for change in record["changes"]:
        told = ", ".join(f"{name} {value}" for name, value in change.items() if name != "step")
        yield element("p", safe(f"Changed after step {change['step']:,}: {told}"), class_="faint")
    yield f"<h2>The same run again</h2>{element('pre', safe(again(record)))}"
    if len(config.train.plan) > 1:
        yield "<p>Its steps were planned anew on the way, so the command comes close to it only.</p>"


def _held_out(config: RunConfig) -> str:
    if config.text.val:
        return config.text.val
    where = {"tail": "its end", "documents": "whole documents", "blocks": "the end of each tenth"}[config.text.split]
    return f"{where}, {config.text.val_fraction:.0%} of the characters"


def again(record: dict[str, Any]) -> str:
    """The command that makes a run anew: every setting that is not the usual one, as a flag."""
    config, usual = RunConfig(**record["config"]), RunConfig()
    parts = ["inkwright", "train", *(shlex.quote(text) for text in record["texts"])]
    if record.get("from"):
        parts += ["--from", shlex.quote(record["from"])]
    fixed = ModelConfig.model_fields.keys() - {"dropout"} | {"tokenizer", "alphabet"}  # by the run it starts from
    for name, (section, _) in settable().items():
        value = getattr(getattr(config, section), name)
        unusual = value is not None and value != getattr(getattr(usual, section), name) and name != "minutes"
        if unusual and not (record.get("from") and name in fixed):
            given = [flag(name)] if value is True else [flag(name), shlex.quote(str(value))]
            parts += given
    return " ".join(parts)
