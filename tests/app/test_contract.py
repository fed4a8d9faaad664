"""What others script against: flags, JSON lines, exit codes, and where a setting comes from."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import inkwright
from inkwright.app.cli import VERBS
from inkwright.run.folder import Run, best_checkpoint, checkpoint_folders

pytestmark = pytest.mark.long

PROGRESS = ["event", "step", "loss", "val_loss", "learning_rate", "tokens_per_second"]
DONE = [
    *["event", "run", "checkpoint", "step", "best_step", "loss", "val_loss", "val_loss_stderr"],
    *["bits_per_char", "bits_per_byte", "parameters", "baseline", "findings", "seconds"],
]
EVAL = [
    "loss",
    "loss_stderr",
    "bits_per_char",
    "bits_per_byte",
    "tokens",
    "characters",
    "block_size",
    "metric",
    "baseline",
]
SAMPLE = ["prompt", "text", "tokens", "seconds", "seed"]


def strict(line: str) -> dict:
    """One JSON object; NaN and Infinity are no JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(line, parse_constant=refuse)


def lines(out: str) -> list[dict]:
    return [strict(line) for line in out.splitlines()]


def weights(run: Path) -> bytes:
    return (checkpoint_folders(run)[-1] / "model.safetensors").read_bytes()


# ---------------------------------------------------------------- flags

GIVEN = {
    "run": "runs/x", "preset": "laptop", "shape": "classic", "model": "gpt", "tokenizer": "byte", "vocab-size": "300",
    "alphabet": "bare", "steps": "5", "minutes": "1", "seed": "1", "device": "cpu", "dtype": "float32", "compile": "off",
    "checkpoint-every": "5", "n-layer": "1", "n-head": "2", "n-embd": "16", "block-size": "16", "batch-size": "4",
    "learning-rate": "1e-3", "dropout": "0.1", "config": "run.toml", "val": "book.txt", "val-fraction": "0.2",
    "split": "blocks", "encoding": "utf-8", "normalize": "NFC", "max-bytes": "100000", "threads": "1", "on-nan": "skip",
    "json": None,
}  # fmt: skip
OF_RESUME = {
    "strict": None,
    "accept-new-data": None,
    "text": "book.txt",
    "steps": "50",
    "on-nan": "rewind",
    "json": None,
}
OF_SAMPLE = {
    "prompt": "x", "tokens": "3", "temperature": "0.5", "top-k": "3", "top-p": "0.5", "min-p": "0.1", "seed": "3",
    "count": "2", "stop": "e", "strict": None, "json": None,
}  # fmt: skip
OF_COMPARE = {"json": None, "encoding": "utf-8", "normalize": "NFC"}
OF_SCALE = {"json": None, "minutes": "1", "seed": "3", "run": "new", "tokenizer": "byte", "threads": "1"}
PROMISED = [
    *(("train", "gone.txt", flag, value, 3) for flag, value in GIVEN.items()),
    *(("resume", "gone", flag, value, 4) for flag, value in OF_RESUME.items()),
    *(("sample", "gone", flag, value, 4) for flag, value in OF_SAMPLE.items()),
    *(("eval", "gone", flag, None, 4) for flag in ("json", "per-token", "strict")),
    ("info", "gone", "json", None, 4),
    *(("compare", ("gone", "gone"), flag, value, 4) for flag, value in OF_COMPARE.items()),
    *(("runs", "gone", flag, None, 4) for flag in ("json", "prune")),
    *(("scale", "gone.txt", flag, value, 3) for flag, value in OF_SCALE.items()),
    ("doctor", "gone.txt", "json", None, 3),
]


@pytest.mark.parametrize("verb, place, flag, value, code", PROMISED, ids=lambda v: str(v))
def test_every_promised_flag_is_known_with_dashes_and_with_underscores(here, ink, verb, place, flag, value, code):
    (here / "run.toml").write_text("steps = 3\n")
    for spelled in {flag, flag.replace("-", "_")}:
        places = [place] if isinstance(place, str) else place
        said = ink(verb, *places, f"--{spelled}", *([value] if value else []))
        assert said.code == code, said.err  # what is wrong is the text or the folder, not the flag
        assert "gone" in said.err


def test_debug_shows_the_traceback_and_keeps_the_exit_code(process):
    asked = ["sample", "gone", "--temperature", 9]
    quiet, loud = process(*asked), process(*asked, "--debug")
    (_, few), (_, many) = quiet.communicate(), loud.communicate()
    assert quiet.returncode == loud.returncode == 2
    assert few == b"error: --temperature must be between 0 and 5 (got 9)\n"
    assert b"Traceback" in many and few in many


# ---------------------------------------------------------------- JSON


def test_train_writes_json_lines_of_exactly_the_promised_keys_and_nothing_else(here, ink, tiny):
    said = ink("train", "book.txt", "--run", "runs/a", "--json", *tiny, "--steps", 25, "--eval-every", 10)
    *progress, done = lines(said.out)
    assert said.code == 0
    assert all(list(line) == PROGRESS and line["event"] == "progress" for line in progress)
    assert list(done) == DONE and done["event"] == "done"
    assert [line["step"] for line in progress] == [10, 20, 25]
    assert all(line["val_loss"] is not None for line in progress)
    assert done["run"] == "runs/a" and done["step"] == 25 and done["loss"] == progress[-1]["loss"]
    assert done["parameters"] == inkwright.load("runs/a").model.parameter_count
    assert "training" in said.err  # what is for people went to stderr


def test_a_step_without_an_evaluation_has_a_val_loss_of_null(here, ink, tiny):
    said = ink("train", "book.txt", "--json", *tiny, "--steps", 20, "--eval-every", 15, "--report-every", 5)
    assert [(line["step"], line["val_loss"] is None) for line in lines(said.out)[:-1]] == [
        (5, True), (10, True), (15, False), (20, False),
    ]  # fmt: skip


def test_done_tells_the_best_checkpoint_beside_the_last_step(here, ink, tiny):
    (here / "few.txt").write_text((here / "book.txt").read_text(encoding="utf-8")[:800], encoding="utf-8")
    asked = [*tiny, "--optimizer", "adamw", "--learning-rate", "0.03", "--eval-every", 10, "--checkpoint-every", 10]
    said = ink("train", "few.txt", "--run", "r", "--json", *asked, "--steps", 200)
    *progress, done = lines(said.out)
    best = min(progress, key=lambda line: line["val_loss"])
    assert done["best_step"] == best["step"] < 200, "for this test to say anything the best must not be the last"
    assert done["val_loss"] == best["val_loss"] < progress[-1]["val_loss"]
    assert done["step"] == 200 and done["loss"] == progress[-1]["loss"] != best["loss"]
    assert done["checkpoint"] == f"r/checkpoints/step-{best['step']:08d}"
    _, facts = best_checkpoint(Path("r"))
    for name in ("val_loss", "val_loss_stderr", "bits_per_char", "bits_per_byte"):
        assert done[name] == facts[name]
    judged = strict(ink("eval", "r", "--json").out)  # eval and sample read that very checkpoint
    assert judged["loss"] == pytest.approx(done["val_loss"], abs=1e-9)
    assert ink("sample", "r", "--tokens", 20).out == ink("sample", done["checkpoint"], "--tokens", 20).out


@pytest.mark.parametrize("kind", ["char", "bare", "byte", "bpe"])
def test_eval_without_a_text_equals_what_done_said(ink, finished, kind):
    run = finished(kind)
    said = ink("eval", run, "--json")
    judged = strict(said.out)
    facts = best_checkpoint(run)[1]
    assert list(judged) == EVAL and said.err == ""
    assert judged["loss"] == pytest.approx(facts["val_loss"], abs=1e-9)
    for theirs, ours in (("loss_stderr", "val_loss_stderr"), ("bits_per_char",) * 2, ("bits_per_byte",) * 2):
        assert judged[theirs] == pytest.approx(facts[ours], abs=1e-9)
    assert judged["metric"] == "block@16" and judged["block_size"] == 16
    per_char = judged["loss"] * judged["tokens"] / math.log(2) / judged["characters"]
    assert judged["bits_per_char"] == pytest.approx(per_char)


def test_a_number_that_is_not_finite_is_null(here, ink, finished):
    (here / "two.txt").write_text("ab", encoding="utf-8")  # one window: its standard error is not known
    judged = strict(ink("eval", finished("char"), "two.txt", "--json").out)
    assert judged["loss_stderr"] is None and judged["tokens"] == 1


def test_per_token_comes_before_the_object_and_sums_to_the_loss(here, ink, finished):
    said = ink("eval", finished("char"), "book.txt", "--per-token", "--json")
    *tokens, judged = lines(said.out)
    assert all(list(line) == ["token", "id", "logprob"] for line in tokens) and list(judged) == EVAL
    assert tokens[0]["logprob"] is None and len(tokens) == judged["tokens"] + 1
    assert -sum(line["logprob"] for line in tokens[1:]) / judged["tokens"] == pytest.approx(judged["loss"], abs=1e-6)
    assert "".join(line["token"] for line in tokens) == (here / "book.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["char", "bare", "byte", "bpe"])
def test_sample_is_one_object_a_text_and_the_same_seed_is_the_same_text(ink, finished, kind):
    asked = ["sample", finished(kind), "--json", "--prompt", "Ba", "--tokens", 12, "--count", 3, "--seed", 5]
    first, again = (lines(ink(*asked).out) for _ in range(2))
    assert [list(line) for line in first] == [SAMPLE] * 3
    assert [line["seed"] for line in first] == [5, 6, 7]
    assert all(line["prompt"] == "Ba" and line["tokens"] == 12 for line in first)
    for name in ("text", "seed", "tokens"):
        assert [line[name] for line in first] == [line[name] for line in again]
    assert len({line["text"] for line in first}) == 3
    alone = strict(ink(*asked[:-4], "--seed", 6).out)
    assert alone["text"] == first[1]["text"]
    assert ink("sample", finished(kind), "--prompt", "Ba", "--tokens", 12, "--seed", 6).out == f"Ba{alone['text']}\n"


def test_info_and_doctor_are_one_object_each(here, ink, finished):
    run = finished("char")
    info = strict(ink("info", run, "--json").out)
    expected = {
        "folder", "model", "parameters", "tokenizer", "vocab_size", "run", "id", "begun", "version", "texts",
        "fingerprint", "step", "steps", "best_step", "val_loss", "bits_per_char", "checkpoint", "checkpoints", "seconds",
        "config", "changes", "conditions", "findings",
    }  # fmt: skip
    assert set(info) == expected and info["step"] == info["steps"] == 30 and 30 in info["checkpoints"]
    doctor = strict(ink("doctor", "book.txt", "--json").out)
    assert list(doctor) == ["findings", "summary", "exit_code"] and doctor["exit_code"] == 0
    assert doctor["summary"]["characters"] == 4000
    bad = ink("doctor", "gone.txt", "--json")
    assert bad.code == strict(bad.out)["exit_code"] == 3 and strict(bad.out)["findings"][0]["level"] == "error"


def test_info_reads_a_run_a_checkpoint_and_a_model_folder_made_elsewhere(here, ink, copied):
    run = copied()
    newest = checkpoint_folders(run)[-1]
    said = [ink("info", folder) for folder in (run, newest)]
    assert all("step 30 of 30" in one.out and "modern GPT, 1 layers" in one.out for one in said)
    elsewhere = Path(shutil.copytree(newest, here / "elsewhere"))
    (elsewhere / "manifest.json").unlink()
    shutil.rmtree(run)
    said = ink("info", elsewhere, "--json")
    assert said.code == 0 and "note: no manifest.json here, so damage cannot be detected" in said.err
    assert set(strict(said.out)) == {"folder", "model", "parameters", "tokenizer", "vocab_size"}
    assert ink("sample", elsewhere, "--tokens", 3).code == 0
    assert "no text of its own" in ink("eval", elsewhere).err


@pytest.mark.parametrize("verb", ["sample", "eval", "info"])
def test_without_json_stdout_is_for_people(ink, finished, verb):
    said = ink(verb, finished("char"), *(["--tokens", 3] if verb == "sample" else []))
    assert said.code == 0 and said.out and not said.out.startswith("{")


# ---------------------------------------------------------------- where a setting comes from


def resolved(run: str) -> dict:
    config = Run.open(Path(run)).config
    return {k: v for section in (config.text, config.model, config.train, config.machine) for k, v in section}


def test_a_flag_wins_over_the_environment_over_the_file_over_the_preset(here, ink, monkeypatch, tiny):
    asked = ["train", "book.txt", *tiny[:-4], "--steps", 2, "--preset", "nanogpt-cpu"]
    monkeypatch.setenv("INKWRIGHT_THREADS", "1")
    monkeypatch.setenv("INKWRIGHT_DTYPE", "float32")
    assert ink(*asked, "--run", "preset").code == 0
    assert resolved("preset")["learning_rate"] == 1e-3 and resolved("preset")["alphabet"] == "bare"
    (here / "run.toml").write_text("learning-rate = 2e-3\nbeta2 = 0.98\nbeta1 = 0.8\n")
    monkeypatch.setenv("INKWRIGHT_BETA2", "0.97")
    monkeypatch.setenv("INKWRIGHT_WEIGHT_DECAY", "0.2")
    said = ink(*asked, "--config", "run.toml", "--weight-decay", "0.3", "--run", "all")
    assert said.code == 0, said.err
    found = resolved("all")
    assert (found["learning_rate"], found["beta1"], found["beta2"]) == (2e-3, 0.8, 0.97)
    assert found["weight_decay"] == 0.3 and found["shape"] == "classic" and found["n_layer"] == 1


def test_a_file_may_name_the_text_and_the_preset(here, ink, tiny):
    small = "\n".join(f"{flag[2:]} = {value if value[0].isdigit() else repr(value)}" for flag, value in pairs(tiny))
    (here / "run.toml").write_text(f"text = 'book.txt'\npreset = 'nanogpt-cpu'\nsteps = 2\n{small}\n")
    said = ink("train", "--config", "run.toml", "--run", "r")
    assert said.code == 0 and resolved("r")["shape"] == "classic" and Run.open(Path("r")).record["name"] == "book"


def pairs(flags: list[str]) -> list[tuple[str, str]]:
    return list(zip(flags[::2], flags[1::2], strict=True))


@pytest.mark.parametrize(
    "toml, told, hint",
    [
        ("learnin_rate = 1", "learnin_rate is not a setting", "did you mean learning_rate?"),
        ("n-layers = 1", "n_layers is not a setting", "did you mean n_layer?"),
        ("steps = 'ten'", "--steps must be 1 to 1000000000 (got ten)", ""),
        ("learning_rate = nan", "--learning-rate must be a finite number > 0 (got nan)", ""),
        ("text = 3", "--config run.toml: text must be a text or a list of them", ""),
        ("preset = 3", "--config run.toml: preset must be a name", ""),
        ("a b", "--config run.toml is not TOML", "one `name = value` a line"),
        ("[train]\nsteps = 3", "train is not a setting", "known: "),
        ("steps = 3\nminutes = 1", "--minutes and --steps say the same thing twice", "give one of them"),
        ("\xff", "--config run.toml cannot be read: not UTF-8", "a TOML file or the folder of a run"),
    ],
)
def test_a_file_with_a_mistake_is_told_in_one_line(here, ink, toml, told, hint):
    (here / "run.toml").write_bytes(toml.encode("latin-1"))
    said = ink("train", "book.txt", "--config", "run.toml")
    assert said.code == 2 and f"error: {told}" in said.err and hint in said.err
    assert not Path("runs").exists()


def test_a_value_in_the_environment_is_checked_as_a_flag_is(here, ink, monkeypatch):
    monkeypatch.setenv("INKWRIGHT_N_EMBD", "ten")
    said = ink("train", "book.txt")
    assert said.code == 2 and "error: --n-embd must be 1 to 1000000 (got ten)" in said.err


def test_config_of_a_run_repeats_it_to_the_same_bits(here, ink, tiny):
    asked = [*tiny, "--steps", 12, "--dropout", "0.1", "--seed", 7, "--split", "blocks"]
    ink("train", "book.txt", "--run", "a", *asked)
    said = ink("train", "--config", "a", "--run", "b")
    assert said.code == 0, said.err
    assert weights(Path("a")) == weights(Path("b"))
    assert ink("train", "--config", "a", "--run", "c", "--seed", 8).code == 0
    assert weights(Path("a")) != weights(Path("c"))


def test_steps_and_minutes_given_later_win_over_each_other(here, ink, tiny):
    (here / "run.toml").write_text("minutes = 90\n")
    assert ink("train", "book.txt", "--run", "a", *tiny, "--config", "run.toml", "--steps", 3).code == 0
    assert resolved("a")["steps"] == 3
    assert ink("train", "--config", "a", "--run", "b", "--minutes", "0.001").code == 0
    assert ink("train", "book.txt", "--steps", 3, "--minutes", 1).code == 2


def test_config_of_a_damaged_run_is_refused(here, ink, copied):
    (copied() / "run.json").write_text('{"config": 3}')
    said = ink("train", "--config", "run")
    assert said.code == 4 and "error: run is damaged (run.json: not as written)" in said.err


# ---------------------------------------------------------------- texts and prompts


def test_standard_input_trains_and_the_run_goes_on_without_it(here, ink, tiny):
    text = (here / "book.txt").read_bytes()
    said = ink("train", "-", *tiny, "--steps", 5, stdin=text)
    assert said.code == 0 and Path("runs/stdin/run.json").exists()
    assert ink("resume", "runs/stdin", "--steps", 8).code == 0
    assert ink("eval", "runs/stdin", "-", stdin=text).code == 0
    assert "4,000 characters" in ink("doctor", "-", stdin=text).out


def test_several_files_and_globs_are_several_documents(here, ink, tiny):
    for name in ("one.txt", "two.txt"):
        shutil.copy("book.txt", name)
        Path(name).write_text(name + Path(name).read_text(encoding="utf-8"), encoding="utf-8")
    assert ink("train", "one.txt", "two.txt", "--run", "a", *tiny, "--steps", 2).code == 0
    said = ink("train", "[ot][nw]*.txt", "--run", "b", *tiny, "--steps", 2)
    assert said.code == 0 and re.search(r"files +one.txt, two.txt\n", said.out)
    assert weights(Path("a")) == weights(Path("b"))
    assert [Path(text).name for text in Run.open(Path("a")).record["texts"]] == ["one.txt", "two.txt"]
    assert "documents  2" in ink("doctor", "one.txt", "two.txt").out


def test_shakespeare_by_name_is_the_pinned_text(here, ink, shakespeare):
    said = ink("doctor", "shakespeare", "--json")
    assert strict(said.out)["summary"]["characters"] == 1_115_394


@pytest.mark.parametrize("prompt", ["-x", "--tokens", "--", "-5", "FILE:", "<|endoftext|>", "", "\\n", "a\x00b"][:4])
def test_a_prompt_may_begin_with_a_dash(ink, finished, prompt):
    said = ink("sample", finished("char"), "--json", "--tokens", 2, f"--prompt={prompt}")
    assert said.code == 0 and strict(said.out)["prompt"] == prompt


def test_a_prompt_is_given_as_it_is_in_a_file_or_on_standard_input(here, ink, finished):
    run = finished("char")
    (here / "p.txt").write_text("Bé\n", encoding="utf-8")
    spaced = ink("sample", run, "--json", "--tokens", 4, "--prompt", "-x")
    assert strict(spaced.out)["prompt"] == "-x"
    given = [
        ink("sample", run, "--json", "--tokens", 4, "--prompt", "Bé\n"),
        ink("sample", run, "--json", "--tokens", 4, "--prompt", "FILE:p.txt"),
        ink("sample", run, "--json", "--tokens", 4, "--prompt", "-", stdin="Bé\n".encode()),
    ]
    assert len({(strict(one.out)["prompt"], strict(one.out)["text"]) for one in given}) == 1


def test_stop_ends_the_text_before_it(ink, finished):
    run = finished("char")
    whole = strict(ink("sample", run, "--json", "--tokens", 60, "--seed", 3).out)["text"]
    end = whole[20]
    cut = strict(ink("sample", run, "--json", "--tokens", 60, "--seed", 3, "--stop", end, "--stop", "\x01").out)
    assert cut["text"] == whole[: whole.index(end)] and cut["tokens"] == whole.index(end) + 1
    with_dash = ink("sample", run, "--json", "--tokens", 5, "--prompt", "<stdi", "--stop", "-")
    assert with_dash.code == 0


# ---------------------------------------------------------------- help


PARTS_SECONDS = 0.16  # of user time for the parts below, on a machine where help takes 0.19


def seconds_of(*command: str) -> float:
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0
    return used.ru_utime


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure a child")
def test_help_takes_under_0_4_seconds_of_user_time_and_on_a_slower_machine_as_much_longer_as_its_parts():
    parts = min(seconds_of("-c", "import cyclopts, pydantic, rich.console") for _ in range(3))
    assert min(seconds_of("-m", "inkwright", "--help") for _ in range(3)) < 0.4 * max(1, parts / PARTS_SECONDS)


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys; from inkwright.app.cli import run; run(['--help']); print({'torch', 'numpy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "set()"
    assert all(verb in found.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"serve", "learn"}))
def test_every_verb_explains_itself(ink, verb):
    said = ink(verb, "--help")
    assert said.code == 0 and "--json" in said.out


def test_a_loaded_run_has_the_model_and_the_tokenizer(finished):
    lm = inkwright.load(finished("char"))
    ids = torch.tensor([lm.tokenizer.encode("Ba").tolist()])
    assert isinstance(lm.model, torch.nn.Module)
    assert lm.model(ids).shape == (1, 2, lm.tokenizer.vocab_size)
