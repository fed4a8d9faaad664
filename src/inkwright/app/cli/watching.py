"""A training as a person watches it: what it is, a moving bar, what it writes meanwhile, how it ended. Trains nothing."""

import math
from collections.abc import Sequence
from contextlib import closing
from itertools import takewhile

import torch
from rich import progress as bars

from inkwright import interrupt
from inkwright.app.cli.console import Output, duration
from inkwright.app.cli.lines import rows
from inkwright.language_model import LanguageModel
from inkwright.run.card import describe, figures
from inkwright.run.folder import best_checkpoint
from inkwright.session import verdict
from inkwright.session.minutes import SAMPLE_TOKENS
from inkwright.session.progress import Progress
from inkwright.session.training import Training
from inkwright.storage import megabytes
from inkwright.text.corpus import Note

FILES_NAMED = 8  # of those that a text was read from


def announce(training: Training, notes: Sequence[Note], out: Output) -> None:
    """What will be trained on what, before the first step."""
    config, facts = training.config, training.text.facts
    train, val, model = facts["train"], facts["val"], training.state.model
    V = config.model.vocab_size
    out.row("text", f"{facts['name']}: {train['characters']:,} characters train, {val['characters']:,} validate")
    if len(names := [source["name"] for source in facts["sources"]]) > 1:
        out.row(
            "files",
            ", ".join(names[:FILES_NAMED]) + f" and {len(names) - FILES_NAMED:,} more" * (len(names) > FILES_NAMED),
        )
    out.row(
        "tokens", f"{training.tokenizer.kind}, {V:,} different; {train['tokens']:,} train, {val['tokens']:,} validate"
    )
    out.row("model", describe(config.model))
    counts = config.model.model == "counts"
    out.row("", "no parameters: it counts" if counts else f"{model.parameter_count:,} parameters")
    per_step = config.train.batch_size * config.model.block_size
    epochs = config.train.steps * per_step / train["tokens"]
    size = f"{config.train.batch_size} x {config.model.block_size} tokens"
    steps = config.train.steps
    plan = f"{steps:,} step{'s' * (steps != 1)} of {size}: {epochs:.1f} epochs"
    if not counts:
        plan += f", {steps * per_step / model.parameter_count:.1f} per parameter"
    out.row("training", "1 step: it reads the text once" if counts else plan)
    machine = config.machine
    compiled = ", compiled" if machine.compile == "on" else ""
    out.row(
        "machine", f"{machine.device}, {machine.threads} threads, {machine.dtype}{compiled}, torch {torch.__version__}"
    )
    out.row("run", f"{training.run.folder} (Ctrl-C saves and stops)")
    lines = training.run.record.get("baseline", [])
    if lines:
        rows(lines, out)
    if "forecast" in training.run.record and not (training.state.step or counts):
        _expect(training, out)
    for note in notes:
        out.note(note.message, note.hint)
    if training.state.step:
        out.say(f"resuming at step {training.state.step:,}")
    else:
        out.say(f"A fresh model scores {math.log(V):.3f} nats per token: ln {V:,}, no token preferred.")


def _expect(training: Training, out: Output) -> None:
    """What the run will take, and the band that its loss will probably end in, to be read against the scale."""
    expected, minutes = training.run.record["forecast"], training.config.train.minutes
    whole = minutes and expected["seconds"] > 0.9 * minutes * 60  # a text that is small for them is done with early
    time = (
        f"{minutes:g} minute{'s' * (minutes != 1)} in all" if whole else f"about {duration(expected['seconds'])} in all"
    )
    memory, disk = megabytes(expected["memory_bytes"]), megabytes(expected["disk_bytes"])
    out.row("expect", f"{time}, {memory} of memory, up to {disk} on disk")
    out.row("", f"a loss between {expected['loss_low']:.2f} and {expected['loss_high']:.2f} nats per token")


def watch(training: Training, out: Output) -> int:
    """Train to the end, or to the first Ctrl-C; the exit code."""
    with Bar(training, out) as bar, closing(training.__iter__()) as progress:
        for now in progress:
            for warning in now.warnings:
                out.warn(warning)
            if now.val or now.step % training.config.train.report_every == 0:
                out.record(
                    event="progress",
                    step=now.step,
                    loss=now.loss,
                    val_loss=now.val and now.val["val_loss"],
                    learning_rate=now.learning_rate,
                    tokens_per_second=round(now.tokens_per_second, 1),
                )
            bar.show(now)
            if interrupt.requested():
                break
    for warning in training.warnings:
        out.warn(warning)
    stopped = interrupt.requested() if not training.finished else 0
    _conclude(training, out, stopped)
    return 128 + stopped if stopped else 0


class Bar:
    """A moving bar on a terminal; elsewhere a line for each evaluation."""

    def __init__(self, training: Training, out: Output, lines: bool = True) -> None:
        self.training, self.out, self.lines = training, out, lines
        self.moving = out.stream.isatty() and out.rich.is_terminal
        self.bar = bars.Progress(
            bars.TextColumn("{task.completed:>6,}/{task.total:,}"),
            bars.BarColumn(bar_width=None),
            bars.TextColumn("{task.fields[figures]}"),
            bars.TimeRemainingColumn(compact=True),
            console=out.rich,
            transient=True,
            disable=not self.moving,
        )
        self.val = "-"

    def __enter__(self) -> "Bar":
        steps = self.training.config.train.steps
        self.task = self.bar.add_task("", total=steps, completed=self.training.state.step, figures="")
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, now: Progress) -> None:
        """Move the bar; print what is worth keeping."""
        if now.val:
            self.val = f"{now.val['val_loss']:.3f}"
        if now.val and self.lines:
            self.out.say(
                f"step {now.step:>6,}  train {now.loss:.3f}  val {now.val['val_loss']:.4f}"
                f" ± {now.val['val_loss_stderr']:.4f}  {now.tokens_per_second:>7,.0f} tokens/s"
            )
        figures = f"train {now.loss:.3f} val {self.val} {now.tokens_per_second:,.0f} tok/s"
        self.bar.update(self.task, completed=now.step, total=now.steps, figures=figures)
        if self.lines and now.sample is not None and now.step < now.steps:
            self.out.say(indented(now.sample))


def _conclude(training: Training, out: Output, stopped: int) -> None:
    run, step = training.run, training.state.step
    path, facts = best_checkpoint(run.folder)
    findings = verdict.of_run(run)
    out.record(
        event="stopped" if stopped else "done",
        run=str(run.folder),
        checkpoint=str(path),
        step=step,
        best_step=facts["step"],
        loss=training.decisions.loss,
        **{name: facts.get(name) for name in ("val_loss", "val_loss_stderr", "bits_per_char", "bits_per_byte")},
        parameters=training.state.model.parameter_count,
        baseline=run.record.get("baseline", []),
        findings=[vars(finding) for finding in findings],
        seconds=round(training.seconds, 3),
    )
    if stopped:
        out.say(f"saved step {step:,} to {run.folder}. Continue with: inkwright resume {run.folder}")
        return
    early = step < training.config.train.steps
    planned = f" of {training.config.train.steps:,}" if early else ""
    why = f": no better for {training.decisions.without_best} evaluations" if early else ""
    out.row("done", f"step {step:,}{planned} after {duration(training.seconds)}{why}")
    if facts.get("val_loss") is not None:
        out.row("best", f"step {facts['step']:,}: {figures(facts)}")
    for i, finding in enumerate(findings):
        out.paragraph("" if i else "verdict", finding.sentence)
    out.row("saved", str(path))
    out.say()
    out.say(indented(training.decisions.sample or written(training.lm)))
    out.say()
    out.row("next", f'inkwright sample {run.folder} --prompt "..."')


def written(lm: LanguageModel) -> str:
    """A sample; it ends early where a stop was asked for."""
    return "".join(takewhile(lambda _: not interrupt.requested(), lm.stream(max_new_tokens=SAMPLE_TOKENS)))


def indented(text: str) -> str:
    """A sample, set apart from what the program says."""
    return "\n".join(f"  | {line}" for line in text.splitlines())
