"""A run in motion: stopping, going on, keeping the best, coming back from damage."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

import inkwright
from inkwright import config as configs
from inkwright import interrupt, storage
from inkwright.errors import DamagedError, DivergedError, MachineError, ModelError, OccupiedError, SaveError, TextError
from inkwright.model.hybrid import HELD_OUT
from inkwright.run import checkpoint, lock
from inkwright.run.folder import Run, checkpoint_folders
from inkwright.session import training as sessions
from inkwright.session.prepare import prepare
from inkwright.session.resuming import reopen
from inkwright.session.training import Training

pytestmark = pytest.mark.long

SMALL = dict(
    n_layer=2, n_head=2, n_embd=16, block_size=16, batch_size=4, steps=40, dropout=0.2, eval_every=10, report_every=3,
    checkpoint_every=15, dtype="float32", threads=1, warmup_steps=5,
)  # fmt: skip


@pytest.fixture
def book(tmp_path: Path, tiny_text: str) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(tiny_text, encoding="utf-8")
    return path


def begin(book: Path, folder: Path, **settings: object) -> Training:
    asked = SMALL | settings
    return Training(prepare([str(book)], folder, configs.resolve(asked), set(asked)).run)


def finish(training: Training) -> dict[str, torch.Tensor]:
    for _ in training:
        pass
    return everything(training.run.folder)


def everything(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor that the newest checkpoint holds: weights and moments."""
    saved, _ = Run.open(folder).newest()
    weights = {f"model|{name}": tensor for name, tensor in saved.model_folder.model.state_dict().items()}
    return weights | saved.moments


def figures(folder: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in Run.open(folder).reports()]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


WAYS = {
    "adamw": {"optimizer": "adamw"},
    "muon": {"optimizer": "muon"},
    "swift": {"model": "swift", "gram_dropout": 0.3, "input_dropout": 0.1, "order": "epoch"},
    "hybrid": {"model": "hybrid", "input_dropout": 0.1, "order": "epoch"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stop", [1, 10, 17, 39])
def test_a_run_stopped_anywhere_and_resumed_equals_the_unbroken_one_bit_for_bit(book, tmp_path, stop, way):
    unbroken = finish(begin(book, tmp_path / "a", **WAYS[way]))
    for progress in (left := iter(begin(book, tmp_path / "b", **WAYS[way]))):
        if progress.step == stop:
            break
    left.close()
    resumed = finish(reopen(tmp_path / "b", {})[0])
    assert same(unbroken, resumed)
    assert figures(tmp_path / "a") == figures(tmp_path / "b")


def test_the_gpt_in_a_hybrid_learns_nothing_from_what_is_held_out_to_mix_it(book, tmp_path, tiny_text):
    at = (HELD_OUT // 2) * (SMALL["block_size"] + 1) + 5
    other = next(c for c in tiny_text if c.isalpha() and c != tiny_text[at])
    found = []
    for name in ("a", "b"):
        whole_text = dict(steps=10, batch_size=128, order="epoch")
        finish(begin(book, tmp_path / name, model="hybrid", **whole_text))
        found.append(Run.open(tmp_path / name).newest()[0].model_folder.model)
        book.write_text(tiny_text[:at] + other + tiny_text[at + 1 :], encoding="utf-8")
    weights, others = (dict(model.named_parameters()) for model in found)
    assert same(weights, others)
    counted, elsewhere = (model.get_buffer("counts.counts_1") for model in found)
    assert not torch.equal(counted, elsewhere), "its counts are of the whole text"
    assert found[0].get_buffer("share") != 0.5, "the share was found before it was judged"


def test_a_thousand_steps_stopped_at_500_equal_a_thousand_without_a_stop(book, tmp_path):
    settings = dict(steps=1000, eval_every=500, checkpoint_every=500, report_every=100, n_layer=1)
    unbroken = finish(begin(book, tmp_path / "a", **settings))
    for progress in (left := iter(begin(book, tmp_path / "b", **settings))):
        if progress.step == 500:
            break
    left.close()
    assert same(unbroken, finish(reopen(tmp_path / "b", {})[0]))


def test_a_run_that_lost_its_newest_steps_repeats_them_to_the_same_bits(book, tmp_path):
    unbroken = finish(begin(book, tmp_path / "a"))
    steps = iter(begin(book, tmp_path / "b"))
    for _ in range(29):
        next(steps)
    Run.open(tmp_path / "b")  # what a kill leaves: the lock is free, steps since the last save are gone
    steps.gi_frame.f_locals["self"].saved_step = 29
    steps.close()
    resumed, _ = reopen(tmp_path / "b", {})
    assert resumed.state.step < 29
    assert same(unbroken, finish(resumed))
    assert figures(tmp_path / "a") == figures(tmp_path / "b")


def test_looking_at_a_run_while_it_trains_does_not_disturb_it(book, tmp_path):
    quiet = finish(begin(book, tmp_path / "a"))
    for progress in begin(book, tmp_path / "b", eval_every=3, checkpoint_every=7):
        progress.lm.generate("x", max_new_tokens=3)
    assert same(quiet, everything(tmp_path / "b"))


def test_the_best_checkpoint_is_kept_and_is_the_one_that_is_read(book, tmp_path, tiny_text):
    book.write_text(tiny_text[:800], encoding="utf-8")  # so little that it is learned by heart
    training = begin(book, tmp_path / "a", optimizer="adamw", learning_rate=0.03, steps=150, dropout=0.0)
    losses = {p.step: p.val["val_loss"] for p in training if p.val}
    best = min(losses, key=losses.__getitem__)
    assert best < 120, "the last steps must not be the best for this test to say anything"
    kept = {int(path.name[5:]) for path in checkpoint_folders(tmp_path / "a")}
    assert best in kept and 150 in kept and len(kept) == 3
    lm = inkwright.load(tmp_path / "a")
    saved = checkpoint.read(tmp_path / "a" / "checkpoints" / f"step-{best:08d}")
    assert same(lm.model.state_dict(), saved.model_folder.model.state_dict())


def test_patience_stops_a_run_that_no_longer_gets_better(book, tmp_path, tiny_text):
    book.write_text(tiny_text[:800], encoding="utf-8")
    run = begin(book, tmp_path / "a", optimizer="adamw", learning_rate=0.03, steps=400, dropout=0.0, patience=2)
    assert [p.step for p in run][-1] < 400


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over_and_named(book, tmp_path, name):
    unbroken = finish(begin(book, tmp_path / "a"))
    newest = checkpoint_folders(tmp_path / "a")[-1]
    raw = bytearray((newest / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (newest / name).write_bytes(raw)
    with pytest.raises(DamagedError, match=name):
        reopen(tmp_path / "a", {}, strict=True)
    training, _ = reopen(tmp_path / "a", {})
    assert name in training.warnings[0] and "resuming from step" in training.warnings[0]
    assert same(unbroken, finish(training))


def test_a_run_with_nothing_intact_says_so_and_lists_what_it_found(book, tmp_path):
    finish(begin(book, tmp_path / "a"))
    folders = checkpoint_folders(tmp_path / "a")
    for path in folders:
        (path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=f"{len(folders)} found, {len(folders)} damaged"):
        reopen(tmp_path / "a", {})
    with pytest.raises(ModelError, match="no usable checkpoint"):
        inkwright.load(tmp_path / "a")


def test_going_beyond_the_plan_says_how_the_schedule_continues(book, tmp_path):
    finish(begin(book, tmp_path / "a"))
    training, notes = reopen(tmp_path / "a", {"steps": 60})
    assert any("now ends at step 60 instead of 40" in note for note in notes)
    finish(training)
    record = Run.open(tmp_path / "a").record
    assert record["changes"] == [{"step": 40, "steps": 60}]
    assert training.state.step == 60


def test_resume_refuses_another_shape_and_says_what_may_change(book, tmp_path):
    finish(begin(book, tmp_path / "a"))
    with pytest.raises(ModelError, match="--n-layer: 2 -> 3") as refused:
        reopen(tmp_path / "a", {"n_layer": 3})
    assert "steps" in str(refused.value.hint)


def test_resume_refuses_a_changed_text_until_it_is_accepted(book, tmp_path, tiny_text):
    finish(begin(book, tmp_path / "a"))
    book.write_text(tiny_text.replace("e", "o", 1), encoding="utf-8")
    with pytest.raises(ModelError, match=r"book\.txt is not the text this run was trained on"):
        reopen(tmp_path / "a", {"steps": 50})
    training, notes = reopen(tmp_path / "a", {"steps": 50}, accept_new_data=True)
    assert any("changed text" in note for note in notes)
    assert training.decisions.best is None, "what was best on another text says nothing about this one"
    finish(training)
    assert "fingerprint" in json.dumps(Run.open(tmp_path / "a").record["changes"])


def test_resume_finds_a_text_that_was_moved_and_refuses_one_that_is_gone(book, tmp_path):
    finish(begin(book, tmp_path / "a"))
    moved = book.rename(tmp_path / "moved.txt")
    with pytest.raises(TextError, match="no longer there"):
        reopen(tmp_path / "a", {})
    reopen(tmp_path / "a", {}, [str(moved)])[0].run.close()


def test_a_poisoned_gradient_stops_the_run_and_overwrites_nothing(book, tmp_path):
    steps = iter(training := begin(book, tmp_path / "a"))
    for _ in range(20):
        next(steps)
    before = everything(tmp_path / "a")
    with torch.no_grad():
        training.state.model.tok_emb.weight.fill_(math.nan)
    with pytest.raises(DivergedError, match=r"became nan at step 20 .* last good: step 20"):
        for _ in steps:
            pass
    assert same(before, everything(tmp_path / "a"))


def test_rewind_goes_back_lowers_the_learning_rate_and_finishes(book, tmp_path):
    training = begin(book, tmp_path / "a", on_nan="rewind")
    warnings: list[str] = []
    poisoned = False
    for progress in training:
        warnings += progress.warnings
        if progress.step == 25 and not poisoned:
            poisoned = True
            with torch.no_grad():
                training.state.model.tok_emb.weight.fill_(math.nan)
    assert training.state.step == 40 and training.state.learning_rate_scale == 0.5
    assert any("last good: step 20" in warning for warning in warnings)
    steps = [line["step"] for line in figures(tmp_path / "a")]
    assert steps == sorted(set(steps))


def test_a_learning_rate_far_too_high_never_leaves_a_checkpoint_that_is_not_finite(book, tmp_path):
    try:
        finish(begin(book, tmp_path / "a", learning_rate=1e30, optimizer="adamw", grad_clip=0.0))
    except DivergedError:
        pass
    for tensor in everything(tmp_path / "a").values():
        assert torch.isfinite(tensor).all()


def test_a_save_that_fails_is_told_tried_again_and_ends_the_run_at_the_third(book, tmp_path):
    training = begin(book, tmp_path / "a", eval_every=1000, checkpoint_every=5, steps=400)
    folder = tmp_path / "a" / "checkpoints"
    warnings: list[str] = []
    with pytest.raises(SaveError, match="inkwright resume") as failed:
        for progress in training:
            warnings += progress.warnings
            if progress.step == 12:  # the folder of the checkpoints is suddenly a file
                folder.rename(tmp_path / "a" / "aside")
                folder.write_text("")
    assert sum("failed" in warning for warning in warnings) == 2
    assert "step 10 is intact" in failed.value.message
    folder.unlink()
    (tmp_path / "a" / "aside").rename(folder)
    again, _ = reopen(tmp_path / "a", {})
    assert again.state.step == 10
    again.run.close()


def test_a_run_started_from_another_keeps_its_weights_and_learns_new_characters(book, tmp_path, tiny_text):
    finish(begin(book, tmp_path / "a"))
    other = tmp_path / "other.txt"
    other.write_text("Ω" + tiny_text, encoding="utf-8")
    asked = {"steps": 5, "threads": 1, "dtype": "float32"}
    prepared = prepare([str(other)], tmp_path / "b", configs.resolve(asked), set(asked), base=tmp_path / "a")
    old, new = inkwright.load(tmp_path / "a"), inkwright.load(tmp_path / "b")
    prepared.run.close()
    V = old.tokenizer.vocab_size
    assert new.tokenizer.vocab_size == V + 1
    assert new.tokenizer.encode("Ω").tolist() == [V]
    assert torch.equal(new.model.state_dict()["tok_emb.weight"][:V], old.model.state_dict()["tok_emb.weight"])


def test_a_presets_context_shrinks_to_a_short_text_and_one_that_was_asked_for_is_refused(book, tmp_path, tiny_text):
    book.write_text(tiny_text[:900], encoding="utf-8")
    asked = {"threads": 1, "dtype": "float32"}
    prepared = prepare([str(book)], tmp_path / "a", configs.resolve(asked, "nanogpt-gpu"), set(asked))
    prepared.run.close()
    assert prepared.run.config.model.block_size == 64
    assert any("context 64 instead of 256" in note.message for note in prepared.notes)
    with pytest.raises(TextError, match="too short for --block-size 1024"):
        begin(book, tmp_path / "b", block_size=1024)


def test_a_run_started_from_a_bpe_model_is_recorded_as_one(book, tmp_path):
    finish(begin(book, tmp_path / "a", tokenizer="bpe", vocab_size=300, steps=2))
    asked = {"steps": 2, "threads": 1, "dtype": "float32"}
    prepared = prepare([str(book)], tmp_path / "b", configs.resolve(asked), set(asked), base=tmp_path / "a")
    prepared.run.close()
    assert prepared.run.config.text.tokenizer == "bpe"


def test_two_trainings_cannot_have_one_folder(book, tmp_path):
    training = begin(book, tmp_path / "a")
    steps = iter(training)
    next(steps)
    with pytest.raises(inkwright.InkwrightError) as refused:
        reopen(tmp_path / "a", {})
    assert refused.value.exit_code == 7 and "is being trained by process" in refused.value.message
    steps.close()
    reopen(tmp_path / "a", {})[0].run.close()


def test_a_run_that_cannot_begin_leaves_nothing_behind(book, tmp_path):
    with pytest.raises(inkwright.InkwrightError):
        begin(book, tmp_path / "a", device="cuda:99")
    assert not (tmp_path / "a").exists()


def test_fit_hands_out_a_model_that_talks_and_leaving_the_loop_saves(book, tmp_path):
    for progress in inkwright.fit(book, tmp_path / "a", **SMALL):
        if progress.step == 7:
            assert len(progress.lm.generate("x", max_new_tokens=5)) == 5
            break
    del progress
    import gc

    gc.collect()
    assert checkpoint_folders(tmp_path / "a")[-1].name == "step-00000007"
    assert [p.step for p in inkwright.resume(tmp_path / "a", steps=9)] == [8, 9]


def test_minutes_become_steps_before_the_first_one(book, tmp_path):
    training = begin(book, tmp_path / "a", minutes=1, steps=10)
    training.run.close()
    assert training.config.train.steps > 10


@pytest.mark.parametrize("door", ["make_folder", "acquire", "_lock"])
def test_a_run_that_another_one_made_while_this_one_stood_at_the_door_is_left_as_it_is(
    book, tmp_path, monkeypatch, door
):
    owner = storage if door == "make_folder" else lock
    real = getattr(owner, door)

    def late(what: object) -> object:
        monkeypatch.setattr(owner, door, real)
        finish(begin(book, tmp_path / "run", steps=2))
        made.update(snapshot(tmp_path / "run"))
        return real(what)

    made: dict[str, bytes] = {}
    monkeypatch.setattr(owner, door, late)
    with pytest.raises(OccupiedError):
        begin(book, tmp_path / "run")
    assert made and snapshot(tmp_path / "run") == made
    Run.reopen(tmp_path / "run").close()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_lowers_the_micro_batch_keeps_the_global_one_and_says_so(book, tmp_path, monkeypatch, error):
    training = begin(book, tmp_path / "a", batch_size=8)
    kind = type(training.state.model)
    forward = kind.forward

    def starved(self, idx, cache=None):
        if self.training and len(idx) > 2 and training.state.step >= 12:
            raise error
        return forward(self, idx, cache)

    monkeypatch.setattr(kind, "forward", starved)
    warnings: list[str] = []
    for progress in training:
        warnings += progress.warnings
    assert [w for w in warnings if "out of memory" in w] == [
        "out of memory with 8 windows at once: from step 10 with 4, still 8 in a step",
        "out of memory with 4 windows at once: from step 10 with 2, still 8 in a step",
    ]
    record = Run.open(tmp_path / "a").record
    assert record["config"]["train"]["batch_size"] == 8 and record["config"]["train"]["micro_batch_size"] == 2
    assert [change["micro_batch_size"] for change in record["changes"]] == [4, 2]
    assert training.state.step == 40
    steps = [line["step"] for line in figures(tmp_path / "a")]
    assert steps == sorted(set(steps))


def test_out_of_memory_with_one_window_at_once_is_the_end(book, tmp_path, monkeypatch):
    training = begin(book, tmp_path / "a", batch_size=2, micro_batch_size=1)

    def starved(self, idx, cache=None):
        raise MemoryError

    monkeypatch.setattr(type(training.state.model), "forward", starved)
    with pytest.raises(MachineError, match="last good: step 0"):
        finish(training)


def test_a_wrong_compiler_is_not_used_and_the_run_is_that_of_one_without(book, tmp_path, monkeypatch):
    plain = finish(begin(book, tmp_path / "a"))
    monkeypatch.setattr(torch, "compile", lambda model: lambda idx: model(idx) * 1.1)
    training = begin(book, tmp_path / "b", compile="on")
    assert "computes wrongly here" in training.warnings[0]
    assert same(plain, finish(training))
    record = Run.open(tmp_path / "b").record
    assert record["changes"] == [{"step": 0, "compile": "off"}] and record["config"]["machine"]["compile"] == "off"
    reopened, _ = reopen(tmp_path / "b", {"steps": 50})
    assert reopened.warnings == [], "what was found once is known"
    assert same(finish(reopened), finish(reopen(tmp_path / "a", {"steps": 50})[0]))


@pytest.mark.parametrize("name", ["train.npy", "val.npy", "manifest.json"])
def test_a_damaged_copy_of_the_text_is_cut_anew_and_told_unless_strict(book, tmp_path, name):
    finish(begin(book, tmp_path / "whole"))
    training = begin(book, tmp_path / "run")
    for progress in (steps := iter(training)):
        if progress.step == 20:
            break
    steps.close()
    path = Run.open(tmp_path / "run").tokens_folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedError, match=name):
        reopen(tmp_path / "run", {}, strict=True)
    training, notes = reopen(tmp_path / "run", {})
    assert any(name in note and "cut anew from the text" in note for note in notes), notes
    assert same(finish(training), everything(tmp_path / "whole"))


def spoil_copy(folder, name="val.npy"):
    path = Run.open(folder).tokens_folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("name", ["train.npy", "val.npy", "manifest.json"])
def test_a_damaged_copy_is_cut_anew_from_the_very_text_to_validate_on_or_not_at_all(book, tmp_path, monkeypatch, name):
    judge = tmp_path / "judge.txt"
    judge.write_text(book.read_text()[:900])
    monkeypatch.chdir(tmp_path)
    finish(begin(book, tmp_path / "whole", val="judge.txt", steps=12))
    begin(book, tmp_path / "run", val="judge.txt", steps=12).run.close()
    monkeypatch.chdir("/")  # its place is remembered, not how it was given
    spoil_copy(tmp_path / "run", name)
    judge.write_text("?" + book.read_text()[1:900])
    with pytest.raises(ModelError, match=r"judge.txt is not the text .*it validates, and it has changed"):
        reopen(tmp_path / "run", {})
    judge.rename(tmp_path / "moved.txt")
    with pytest.raises(DamagedError, match=rf"{name}.*judge.txt, is no longer there\nhint: put it back there"):
        reopen(tmp_path / "run", {})
    judge.write_text(book.read_text()[:900])
    training, notes = reopen(tmp_path / "run", {})
    assert name in notes[0] and "cut anew" in notes[0]
    assert same(finish(training), everything(tmp_path / "whole"))


def test_a_damaged_copy_and_a_changed_text_to_validate_on_can_be_accepted(book, tmp_path):
    judge = tmp_path / "judge.txt"
    judge.write_text(book.read_text()[:900])
    finish(begin(book, tmp_path / "run", val=str(judge), steps=4))
    spoil_copy(tmp_path / "run")
    judge.write_text("?" + book.read_text()[1:900])
    training, notes = reopen(tmp_path / "run", {"steps": 6}, accept_new_data=True)
    assert "trains on a changed text" in notes[0]
    assert training.tokenizer.decode(training.text.val)[1:] == book.read_text()[1:900]
    training.run.close()


def test_a_changed_text_to_validate_on_is_refused_and_one_that_is_gone_is_not_missed(book, tmp_path):
    judge = tmp_path / "judge.txt"
    judge.write_text(book.read_text()[:900])
    finish(begin(book, tmp_path / "run", val=str(judge), steps=2))
    reopen(tmp_path / "run", {})[0].run.close()
    judge.write_text("?" + book.read_text()[1:900])
    with pytest.raises(
        ModelError, match=r"judge.txt is not the text this run was trained on .it validates, and it has"
    ):
        reopen(tmp_path / "run", {})
    reopen(shutil.copytree(tmp_path / "run", tmp_path / "other"), {"steps": 3}, accept_new_data=True)[0].run.close()
    judge.unlink()
    reopen(tmp_path / "run", {})[0].run.close()


def test_samples_are_in_the_record_and_change_no_bit_of_the_weights(book, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "SAMPLE_TOKENS", 30)
    quiet = finish(begin(book, tmp_path / "a", sample_every=0))
    assert same(quiet, finish(begin(book, tmp_path / "b", sample_every=7)))
    kept = {line["step"]: line["sample"] for line in Run.open(tmp_path / "b").reports() if "sample" in line}
    assert list(kept) == [7, 14, 21, 28, 35, 40] and len(set(kept.values())) == 6
    assert kept[40] == inkwright.load(tmp_path / "b" / "checkpoints" / "step-00000040").generate(max_new_tokens=30)
    assert not any("sample" in line for line in Run.open(tmp_path / "a").reports())


@pytest.mark.parametrize("stop", [6, 7, 13, 20])
def test_a_run_stopped_while_it_writes_a_sample_writes_that_sample_when_it_goes_on(book, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(sessions, "SAMPLE_TOKENS", 30)
    settings = dict(sample_every=5, eval_every=10)
    unbroken = finish(begin(book, tmp_path / "a", **settings))
    left = begin(book, tmp_path / "b", **settings)
    whole = left._written

    def stopped() -> str:
        if left.state.step >= stop:
            raise interrupt.Interrupted
        return whole()

    monkeypatch.setattr(left, "_written", stopped)
    steps = [progress.step for progress in left]
    assert steps[-1] == -(-stop // 5) * 5 - 1
    assert same(unbroken, finish(reopen(tmp_path / "b", {})[0]))
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
