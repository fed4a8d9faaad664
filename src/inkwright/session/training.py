"""A run in motion: steps, exact evaluations, saves; stopped anywhere and gone on with. Prints nothing."""

import math
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from inkwright import interrupt
from inkwright.clock import Stopwatch
from inkwright.config import RunConfig, with_settings
from inkwright.errors import DivergedError, MachineError, SaveError
from inkwright.language_model import LanguageModel
from inkwright.model.counts import Counts
from inkwright.run import checkpoint
from inkwright.run.card import card
from inkwright.run.checkpoint import Checkpoint
from inkwright.run.folder import Run, checkpoint_folders, step_of
from inkwright.session.decisions import Decisions
from inkwright.session.judging import Passage, judge
from inkwright.session.minutes import SAMPLE_TOKENS, deadline_of, replanned
from inkwright.session.progress import Progress
from inkwright.text import tokens
from inkwright.text.windows import Windows
from inkwright.train import device
from inkwright.train.guard import Guard
from inkwright.train.loop import StepReport, TrainState, count, train
from inkwright.train.optimizer import build_optimizers
from inkwright.train.plan import evaluation_is_due
from inkwright.train.selfcheck import settle

MOST_FAILED_SAVES = 3  # in a row
MOST_REWINDS = 5
REWIND_SCALE = 0.5  # of the learning rate, each time a diverged run goes back


class Training:
    """The state of one run while it is trained. Read it: `for progress in training`; to stop, stop reading."""

    def __init__(self, run: Run, config: RunConfig | None = None, strict: bool = False) -> None:
        """Load the newest intact checkpoint; `config` where it differs from what the run's record says.

        Raises: ModelError   nothing intact; DamagedError   with `strict`: the newest is damaged
        """
        self.run = run
        self.config = config or run.config
        self._watch = Stopwatch()
        saved, damaged = run.newest()
        if strict and damaged:
            raise damaged[0]
        self.warnings = [f"{error.message}; resuming from step {saved.state['step']:,}" for error in damaged]
        if damaged:
            again = step_of(checkpoint_folders(run.folder)[-1]) - saved.state["step"]
            self.warnings[-1] += f", {again:,} steps will be repeated"
        self.text = tokens.read(run.tokens_folder)
        self.tokenizer = saved.model_folder.tokenizer
        self._restore(saved)
        self.run.forget_after(self.state.step)
        self._trained_seconds, self._trained_tokens = 0.0, 0
        self._failed_saves = 0
        self.deadline = deadline_of(run, self.config, self.lm, self.text)

    def _restore(self, saved: Checkpoint) -> None:
        config, state = self.config, saved.state
        model = saved.model_folder.model
        asked = device.decide(config.machine, model, config.train)
        windows = Windows(self.text.train, config.model.block_size)
        machine, forward, faults = settle(model, asked, windows.random(0, self._windows_at_once, config.train.seed))
        if faults:
            self.warnings += faults
            self._change(state["step"], **dict(dict(machine).items() - dict(asked).items()))
        optimizers = build_optimizers(model, config.train)
        checkpoint.restore_moments(model, optimizers, saved.moments)
        self.dtype = getattr(torch, machine.dtype)
        guard = Guard(
            config.train.on_nan, math.log(config.model.vocab_size), state.get("skipped", 0), state.get("recent", [])
        )
        scale = state.get("learning_rate_scale", 1.0)
        self.state = TrainState(model, optimizers, forward, state["step"], guard, scale)
        facts = saved.model_folder.facts
        self.decisions = Decisions.read(state, facts is not None and facts["tokens"] == self.fingerprint)
        self.saved_step: int = state["step"]

    @property
    def lm(self) -> LanguageModel:
        """The model as it is now, able to write."""
        return LanguageModel(self.state.model, self.tokenizer, tuple(self.text.unseen))

    @property
    def fingerprint(self) -> str:
        """Which text this run trains on and is judged on."""
        return self.text.facts["fingerprint"]

    @property
    def seconds(self) -> float:
        """Time spent on this run so far, over all its sittings."""
        return self.decisions.earlier_seconds + self._watch.seconds

    @property
    def finished(self) -> bool:
        """Whether the planned steps are done, or no evaluation has been better for too long."""
        patience = self.config.train.patience
        return self.state.step >= self.config.train.steps or bool(patience and self.decisions.without_best >= patience)

    # ------------------------------------------------------------ the loop

    def __iter__(self) -> Generator[Progress]:
        """A progress for each step. Leaving the loop saves the step it was left at.

        Raises: DivergedError; SaveError   three saves in a row failed; MachineError   out of memory
        """
        try:
            steps = self._steps()
            while True:
                try:
                    due = self._evaluation_is_due() or self._sample_is_due() or self.saved_step != self.state.step
                    if self.decisions.report is not None and due:
                        now = self._look_around(self.decisions.report)
                        began = time.monotonic()
                        yield now
                        self._let_go(time.monotonic() - began)
                    if self.finished:
                        return
                    if not self._took_a_step(steps):
                        self._take_smaller_steps()
                        steps = self._steps()
                    elif self._replan():
                        steps = self._steps()
                except DivergedError as error:
                    self._rewind(error)
                    steps = self._steps()
        except GeneratorExit:
            if self.saved_step != self.state.step:
                self._save(leaving=True)
            raise
        except interrupt.Interrupted:
            self._save(leaving=True)
        except (MemoryError, RuntimeError) as error:
            if not device.is_out_of_memory(error):
                raise
            there_is = f"and the system gives no more; last good: step {self.saved_step:,}"
            raise device.too_large(self.config.model, self.config.train, there_is) from None
        finally:
            self.run.close()

    def _steps(self) -> Iterator[StepReport]:
        """Training steps, and the time they take."""
        windows = Windows(self.state.model.learned_part(self.text.train), self.config.model.block_size)
        began = time.perf_counter()
        for report in self._one_by_one(windows):
            seconds = self._watch.step(time.perf_counter() - began)
            self._trained_seconds += seconds
            self._trained_tokens += report.tokens
            if self.deadline:
                self.deadline.took(seconds)
            yield report
            began = time.perf_counter()

    def _took_a_step(self, steps: Iterator[StepReport]) -> bool:
        """Whether the memory sufficed for it; where it did not, smaller micro-batches may help."""
        try:
            self.decisions.stepped(next(steps))
            return True
        except (MemoryError, RuntimeError) as error:
            if not device.is_out_of_memory(error) or self._windows_at_once == 1:
                raise
            return False

    @property
    def _windows_at_once(self) -> int:
        return self.config.train.micro_batch_size or self.config.train.batch_size

    def _take_smaller_steps(self) -> None:
        """Go back to the last save and on from there with half as many windows at once: the global batch stays."""
        saved, _ = self.run.newest()
        windows, half = self._windows_at_once, -(-self._windows_at_once // 2)
        self._change(self.state.step, micro_batch_size=half)
        self._go_back(saved)
        self.warnings.append(
            f"out of memory with {windows} windows at once: from step {self.state.step:,} with {half}, "
            f"still {self.config.train.batch_size} in a step"
        )

    def _one_by_one(self, windows: Windows) -> Iterator[StepReport]:
        model = self.state.model
        if isinstance(model, Counts):
            return count(self.state, windows.ids, model)
        return train(self.state, windows, self.config.train, self.dtype)

    def _rewind(self, error: DivergedError) -> None:
        """Go back to the last good checkpoint with a lower learning rate, where that is the policy.

        Raises: DivergedError   it is not, or it was tried too often
        """
        saved, _ = self.run.newest()
        last_good = f"{error.message}. Nothing was overwritten; last good: step {saved.state['step']:,}"
        rewinds = self.decisions.rewinds + 1
        if self.config.train.on_nan != "rewind" or rewinds > MOST_REWINDS:
            raise DivergedError(last_good, error.hint) from None
        scale = self.state.learning_rate_scale * REWIND_SCALE
        self._go_back(saved)
        self.state.learning_rate_scale, self.decisions.rewinds = scale, rewinds
        self.warnings.append(f"{last_good}; going on from there with {scale:g} times the learning rate")

    def _change(self, step: int, **settings: Any) -> None:
        """Settings that the run had to change by itself: written down, so that it has them when it is resumed.

        Raises: SaveError
        """
        changes = [*self.run.record["changes"], {"step": step, **settings}]
        self.run.change_config(with_settings(self.run.config, settings), changes=changes)
        self.config = with_settings(self.config, settings)

    def _go_back(self, saved: Checkpoint) -> None:
        """Be again where a checkpoint was saved; the time since then was spent all the same."""
        earlier_seconds = self.decisions.earlier_seconds
        self._restore(saved)
        self.decisions.earlier_seconds = earlier_seconds
        self.run.forget_after(self.state.step)

    def _look_around(self, report: StepReport) -> Progress:
        """What is due after a step: a sample, an evaluation, a line in the record, a save."""
        now, step, config = self.decisions, self.state.step, self.config.train
        if self._sample_is_due():
            now.sample = self._written()
        if self._evaluation_is_due():
            self._evaluate()
        if now.val is not None or now.sample is not None or step % config.report_every == 0:
            self._write_down(report)
        saved = None
        new_best = now.best is not None and now.best["step"] == step
        if new_best or step % config.checkpoint_every == 0 or self.finished:
            saved = self._save()
        warnings, self.warnings = tuple(self.warnings), []
        speed = self._trained_tokens / self._trained_seconds if self._trained_seconds else 0.0
        lr, steps = report.learning_rate, config.steps
        timing = (lr, speed, self.seconds)
        return Progress(step, steps, report.loss, now.val, now.sample, *timing, saved, warnings, self.lm)

    # ------------------------------------------------------------ the minutes

    def _let_go(self, seconds: float) -> None:
        """Whoever watches, or a sample, kept the training waiting."""
        if self.deadline:
            self.deadline.outside_seconds += seconds

    def _replan(self) -> bool:
        """Whether the steps were planned anew: those that were planned would have missed the end."""
        if self.deadline is None:
            return False
        try:
            config = replanned(self.run, self.config, self.deadline, self.state.step, self.seconds)
        except SaveError as error:
            self.warnings.append(f"the plan stays as it was ({error.message})")
            return False
        self.config = config or self.config
        return config is not None

    # ------------------------------------------------------------ what is due now and then

    def _evaluation_is_due(self) -> bool:
        return self.decisions.val is None and evaluation_is_due(self.state.step, self.config.train)

    def _sample_is_due(self) -> bool:
        step, config = self.state.step, self.config.train
        return (
            self.decisions.sample is None
            and bool(config.sample_every)
            and (step % config.sample_every == 0 or step >= config.steps)
        )

    def _written(self) -> str:
        """What the model writes now; a stop leaves it unwritten, to be written when the run goes on."""
        began = time.monotonic()
        pieces: list[str] = []
        for piece in self.lm.stream(max_new_tokens=SAMPLE_TOKENS):
            interrupt.check()
            pieces.append(piece)
        self._let_go(time.monotonic() - began)
        return "".join(pieces)

    def _evaluate(self) -> None:
        began = time.monotonic()
        self.state.model.find_share(self.text.train)
        found = judge(self.lm, Passage(self.text.val, self.text.facts["val"]))
        val = {f"val_{name}": found[name] for name in ("loss", "loss_stderr")}
        self.decisions.judged(self.state.step, val | {name: found[name] for name in ("bits_per_char", "bits_per_byte")})
        if self.deadline:
            self.deadline.evaluation_seconds = time.monotonic() - began

    def _write_down(self, report: StepReport) -> None:
        try:
            self.run.report(self.decisions.line(report, self.seconds))
        except SaveError as error:
            self.warnings.append(f"step {report.step:,} is missing in metrics.jsonl ({error.message})")

    def _save(self, leaving: bool = False) -> Path | None:
        """Publish a checkpoint. A failure is told and tried again at the next save; three in a row end the training.

        Raises: SaveError   the third, or one after which no other comes
        """
        step, began = self.state.step, time.monotonic()
        folder = self.run.checkpoint_folder(step)
        facts = {"step": step, "tokens": self.fingerprint, "tokenizer": self.tokenizer.sha256}
        facts |= {"run": self.run.record["id"], "changes": self.run.record["changes"]}
        facts |= self.decisions.val or {"val_loss": None}
        description = card(self.config, self.text.facts, step, self.state.model.parameter_count, self.decisions.val)
        decisions = self.decisions.record(self.state, self.seconds)
        model, optimizers, unseen = self.state.model, self.state.optimizers, self.text.unseen
        try:
            self.run.sync_reports()
            checkpoint.save(folder, model, self.tokenizer, optimizers, decisions, unseen, description, facts)
        except MachineError as error:
            self._failed_saves += 1
            told = f"save at step {step:,} failed ({error.message}); step {self.saved_step:,} is intact"
            if self._failed_saves >= MOST_FAILED_SAVES or self.finished or leaving:
                raise SaveError(told, f"mend that, then: inkwright resume {self.run.folder}") from None
            every = self.config.train.checkpoint_every
            retry = min(self.config.train.steps, (step // every + 1) * every)
            self.warnings.append(f"{told}; retry at {retry:,}")
            return None
        self._failed_saves, self.saved_step = 0, step
        if self.deadline:
            self.deadline.save_seconds = time.monotonic() - began
        try:
            best = self.decisions.best
            self.run.retain(int(best["step"]) if best else None)
        except MachineError as error:
            self.warnings.append(f"older checkpoints could not be taken away ({error.message})")
        return folder
