"""Going on with a run: what may change, what may not, and whether its text is still the same. Prints nothing."""

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inkwright import config as configs
from inkwright import storage
from inkwright.config import RunConfig
from inkwright.errors import DamagedError, ModelError, SettingError, TextError, quoted
from inkwright.run import checkpoint
from inkwright.run.folder import Run
from inkwright.session.prepare import absolute, scale_of, split_text, text_settings
from inkwright.session.prolonging import prolong
from inkwright.session.training import Training
from inkwright.text import corpus as corpora
from inkwright.text import tokens
from inkwright.text.corpus import Corpus
from inkwright.train.device import conditions, resolve_device
from inkwright.train.optimizer import learning_rate

FREE = {
    "steps", "learning_rate", "min_learning_rate", "eval_every", "checkpoint_every", "report_every", "sample_every",
    "patience", "on_nan", "micro_batch_size", "device", "dtype", "compile", "threads",
}  # fmt: skip
"""Settings that a run may change on the way; any other makes it another run."""


def reopen(
    folder: Path,
    settings: Mapping[str, Any],
    text: list[str] | None = None,
    accept_new_data: bool = False,
    strict: bool = False,
) -> tuple[Training, list[str]]:
    """A run, locked and ready to go on, with some settings changed; and what its person should know.

    `minutes` among the settings are so many more, from now on.

    Raises: SettingError   both minutes and steps; ModelError   a setting that may not change, another text, nothing intact
            to go on from, minutes that would not help; with `strict` also when only the newest checkpoint is damaged;
            TextError   the text is gone; OccupiedError; MachineError
    """
    if {"minutes", "steps"} <= settings.keys():
        raise SettingError("minutes", "and --steps say the same thing twice", "give one of them")
    run = Run.reopen(folder)
    try:
        config = _changed(run, {name: value for name, value in settings.items() if name != "minutes"})
        notes = _check_text(run, config, text, accept_new_data, strict)
        config, machine_notes = _same_machine(run, config)
        training = Training(run, config, strict)
        if settings.get("minutes") is not None:
            minutes = configs.resolve({"minutes": settings["minutes"]}).train.minutes or 0.0
            prolong(training, minutes, set(settings))
        config = training.config
        scarce = checkpoint.room_for(folder, training.state.model.parameter_count)
        notes += [
            *machine_notes,
            *_continuation(run.config, config, training.state.step),
            *([scarce] if scarce else []),
        ]
        if config != run.config:
            changes = {k: v for k, v in _flat(config).items() if v != _flat(run.config)[k]}
            run.change_config(config, changes=[*run.record["changes"], {"step": training.state.step, **changes}])
    except BaseException:
        run.close()
        raise
    return training, notes


def _flat(config: RunConfig) -> dict[str, Any]:
    return {name: value for section in config.model_dump(mode="json").values() for name, value in section.items()}


def _changed(run: Run, settings: Mapping[str, Any]) -> RunConfig:
    old = run.config
    asked = configs.resolve(settings)  # bounds and names are checked as everywhere
    changes = dict[str, Any]()
    fixed: list[str] = []
    for name in settings:
        section = configs.settable()[name][0]
        value, before = getattr(getattr(asked, section), name), getattr(getattr(old, section), name)
        if value != before and name not in FREE:
            fixed.append(f"{_flag(name)}: {before} -> {value}")
        changes[name] = value
    if fixed:
        raise ModelError(
            "a run cannot change " + "\nerror: a run cannot change ".join(fixed),
            "what may change: " + ", ".join(map(_flag, sorted(FREE))),
        )
    if changes.get("steps", old.train.steps) != old.train.steps:  # a number of steps takes the place of minutes
        changes |= {"minutes": None, "plan": ()}
    return configs.with_settings(old, changes)


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def _check_text(run: Run, config: RunConfig, text: list[str] | None, accept_new_data: bool, strict: bool) -> list[str]:
    """Refuse another text, and mend the run's own copy. `text`: where it is now; None: where it was.

    A stream and a named text cannot change: where the copy of one is whole, it is all that is looked at.

    Raises: TextError   gone; ModelError   changed, and not accepted; DamagedError   the copy is, and cannot be mended
    """
    texts = text or run.record["texts"]
    damage = None if strict else _damage(run)  # with `strict` it is refused where it is read
    if text is None and damage is None and all(source == "-" or _is_name(source) for source in texts):
        return []
    for source in texts:
        if source == "-" and text is None:
            gone, hint = "the training text came from standard input", "give it again: --text FILE, or --text -"
            raise DamagedError(f"{damage.message}, and {gone}", hint) if damage else TextError(gone, hint)
        if source != "-" and not _is_there(source):
            raise TextError(f"the training text {quoted(source, 300)} is no longer there", "--text PATH")
    corpus = corpora.read(texts, config.text)
    if corpus.fingerprint != run.record["fingerprint"]:
        what = _difference(run, corpus, damage)
    elif damage is not None and _mended(run, config, corpus, damage):
        return [f"{damage.message}; it was cut anew from the text, which has not changed"]
    elif damage is not None or _judged_on_another_text(run, config, corpus):
        what = Path(str(config.text.val)).name, "it validates, and it has changed"
    else:
        return []
    if not accept_new_data:
        raise ModelError(
            f"{what[0]} is not the text this run was trained on ({what[1]})", "--accept-new-data to continue on purpose"
        )
    return _accept(run, config, texts, corpus)


def _is_name(source: str) -> bool:
    return source in corpora.named() and not os.path.exists(source)


def _is_there(source: str) -> bool:
    return os.path.exists(source) or _is_name(source) or glob.has_magic(source)


def _damage(run: Run) -> DamagedError | None:
    """What is wrong with the run's own copy of its text."""
    try:
        tokens.read(run.tokens_folder)
        return None
    except DamagedError as error:
        return error


def _mended(run: Run, config: RunConfig, corpus: Corpus, damage: DamagedError) -> bool:
    """Cut the very same text again; False where the text to validate on is not the same.

    Raises: DamagedError   that text is gone
    """
    val = config.text.val
    if val == "-":
        raise DamagedError(f"{damage.message}, and the text to validate on came from standard input", "train it anew")
    if val and not _is_there(val):
        gone = f"the text to validate on, {quoted(val, 300)}, is no longer there"
        raise DamagedError(f"{damage.message}, and {gone}", "put it back there")
    tokenizer, split = run.newest()[0].model_folder.tokenizer, split_text(corpus, config.text)
    written = tokens.write(run.folder / "tokens", corpus, split, tokenizer, text_settings(config))
    if val and written.name != run.record["tokens"]:  # its name is a hash of its content
        storage.remove(written)
        return False
    run.change_config(run.config, tokens=written.name)
    return True


def _judged_on_another_text(run: Run, config: RunConfig, corpus: Corpus) -> bool:
    """Whether a text of its own to validate on has changed; where it is gone, the run's own copy is all there is."""
    if not config.text.val or not os.path.exists(config.text.val):
        return False
    kept, split = tokens.read(run.tokens_folder), split_text(corpus, config.text)
    tokenizer = run.newest()[0].model_folder.tokenizer
    now = tokens.encode_pieces(split.val, tokenizer, kept.facts["documents"] > 1)
    return not np.array_equal(now, kept.val)


def _difference(run: Run, corpus: Corpus, damage: DamagedError | None) -> tuple[str, str]:
    """The first file that differs, and how."""
    if damage is not None:
        return corpus.name, f"{damage.message}, so where they differ cannot be told"
    kept = tokens.read(run.tokens_folder)
    before, now = kept.facts["sources"], corpus.sources
    if len(before) != len(now):
        return corpus.name, f"{len(before)} files then, {len(now)} now"
    differing = [(old, new) for old, new in zip(before, now, strict=True) if old["sha256"] != new.sha256]
    if not differing:
        return corpus.name, "it is read with another encoding or normal form"
    old, new = differing[0]
    sizes = f"{old['size']:,} bytes then, {new.size:,} now" if old["size"] != new.size else "same size"
    place = _first_difference(run, kept, corpus)
    where = f"first at byte {place:,}, {sizes}" if place is not None else sizes
    return Path(new.name).name, f"{len(differing)} of {len(now)} files differ{'s' * (len(differing) == 1)}: {where}"


def _first_difference(run: Run, kept: tokens.Tokens, corpus: Corpus) -> int | None:
    """The byte of the text at which the run's own copy and a text first differ; None where the copy is not in order."""
    config = run.config.text
    if len(corpus.documents) != 1 or config.split != "tail" or config.val or config.train_fraction < 1:
        return None
    tokenizer = run.newest()[0].model_folder.tokenizer
    then = tokenizer.spell(kept.train) + tokenizer.spell(kept.val)
    now = corpus.documents[0].text.encode()
    return next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))


def _accept(run: Run, config: RunConfig, texts: list[str], corpus: Corpus) -> list[str]:
    """Cut the new text with the run's tokenizer, and write the change down."""
    saved, _ = run.newest()
    tokenizer = saved.model_folder.tokenizer
    split = split_text(corpus, config.text)
    written = tokens.write(run.folder / "tokens", corpus, split, tokenizer, text_settings(config))
    new = tokens.read(written)
    step = saved.state["step"]
    changes = [*run.record["changes"], {"step": step, "fingerprint": corpus.fingerprint}]
    facts = {"texts": [absolute(text) for text in texts], "fingerprint": corpus.fingerprint, "tokens": written.name}
    facts["baseline"] = scale_of(new, tokenizer, config.model)
    run.change_config(run.config, changes=changes, **facts)
    return [f"from step {step:,} on this run trains on a changed text; that is written down in run.json"]


def _same_machine(run: Run, config: RunConfig) -> tuple[RunConfig, list[str]]:
    """The device, threads and precision of the run, as far as this machine has them."""
    notes: list[str] = []
    machine = config.machine
    then = run.record["conditions"]
    resolve_device(machine.device)
    cores = torch.get_num_threads()
    if machine.threads and machine.threads > cores and machine.threads == then["threads"]:
        notes.append(
            f"{machine.threads} threads then, {cores} now: the result will be correct but not bit-identical "
            f"(use --threads {machine.threads})"
        )
        machine = configs.change(machine, threads=cores)
    elif machine.threads != then["threads"]:
        notes.append(
            f"{then['threads']} threads then, {machine.threads} now: the result will be correct but not bit-identical"
        )
    now = conditions(machine)
    for name in ("torch", "cpu"):
        if now[name] != then[name]:
            notes.append(
                f"{name} was {then[name]} and is {now[name]}: the result will be correct but not bit-identical"
            )
    return RunConfig(text=config.text, model=config.model, train=config.train, machine=machine), notes


def _continuation(old: RunConfig, new: RunConfig, step: int) -> list[str]:
    """How the schedule goes on when the plan changed."""
    if old.train.steps == new.train.steps:
        return []
    then, now = learning_rate(step, old.train), learning_rate(step, new.train)
    return [
        f"the {new.train.schedule} schedule now ends at step {new.train.steps:,} instead of {old.train.steps:,}: "
        f"from step {step:,} the learning rate goes on at {now:.3g} (it was {then:.3g})"
    ]
