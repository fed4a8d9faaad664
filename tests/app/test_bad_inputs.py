"""Everything a person can do wrong: what is said, and with which exit code. One table for each family of mistakes."""

import contextlib
import gzip
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from inkwright import storage
from inkwright.run.folder import Run, checkpoint_folders

pytestmark = pytest.mark.long

HUGE = "1" + "0" * 400
PROSE = "It was a dark and stormy night; the rain fell in torrents.\n"


def write(path: str, content: str | bytes) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tell(said, code: int, message: str, hint: str = "") -> None:
    """The exit code, and what was said, in these words."""
    assert said.code == code, said.err
    lines = said.err.splitlines()
    kind = "error: " if code else ("note: ", "warning: ")
    assert any(line.startswith(kind) and message in line for line in lines), said.err
    assert not hint or any(line.startswith("hint: ") and hint in line for line in lines), said.err


def but(flags: list[str], *names: str) -> list[str]:
    """The same flags without some."""
    pairs = zip(flags[::2], flags[1::2], strict=True)
    return [word for name, value in pairs if name not in names for word in (name, value)]


# ---------------------------------------------------------------- 5.2 the text


def decomposed() -> str:
    return write("t.txt", ("cafe\u0301 re\u0301sume\u0301 " + PROSE + "eaéorsum") * 8)


def fifo() -> str:
    os.mkfifo("t.txt")
    return "t.txt"


def unix_socket() -> str:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind("t.txt")
    return "t.txt"


def link(target: str, name: str = "t.txt") -> str:
    os.symlink(target, name)
    return name


def folder(**files: str) -> str:
    Path("notes").mkdir()
    for name in files:
        write(f"notes/{name.replace('_', '.')}", files[name])
    return "notes"


def link_out() -> str:
    write("outside.txt", PROSE * 5)
    link("../outside.txt", folder() + "/in.txt")
    return "notes"


def ring() -> str:
    link(".", folder(a_txt=PROSE * 5) + "/round")
    return "notes"


def tar() -> str:
    with tarfile.open("t.txt", "w") as archive:
        archive.add("book.txt")
    return "t.txt"


def zipped(member: str = "book.txt") -> str:
    with zipfile.ZipFile("t.txt", "w") as archive:
        archive.writestr(member, PROSE * 9)
    return "t.txt"


def torch_file() -> str:
    torch.save({"a": torch.zeros(400)}, "model.pt")
    return "model.pt"


BOTH = ("train", "doctor")
ALL = ("train", "doctor", "eval")
TEXTS: dict[str, tuple[Callable[[], str], tuple[str, ...], int, str, str]] = {
    "missing": (lambda: "zzz", ALL, 3, "no such file: zzz", "corpora that need no file: pydocs, shakespeare"),
    "typo": (lambda: "bok.txt", ALL, 3, "no such file: bok.txt", "did you mean book.txt?"),
    "typo of a name": (lambda: "pydoc", ALL, 3, "no such file: pydoc", "did you mean pydocs?"),
    "no name at all": (lambda: "", ALL, 3, "no such file: ", ""),
    "glob without match": (lambda: "*.md", ALL, 3, "no file matches *.md", ""),
    "control characters in the name": (lambda: "a\x1b]0;\nb", ALL, 3, r"no such file: a\x1b]0;\nb", ""),
    "a name of 300": (lambda: "n" * 300, ALL, 3, "no such file: " + "n" * 79 + "…", ""),
    "folder without text": (lambda: folder(a_pdf="x", b_pdf="x"), ALL, 3, "no .txt files in notes/ (found 2 .pdf)", ""),
    "empty folder": (folder, ALL, 3, "no .txt files in notes/ (found nothing)", ""),
    "empty": (lambda: write("t.txt", ""), BOTH, 3, "t.txt is empty (0 characters); training needs at least 100", ""),
    "whitespace": (lambda: write("t.txt", " \n" * 90), BOTH, 3, "t.txt is only whitespace (180 characters)", ""),
    "one character": (lambda: write("t.txt", "a"), BOTH, 3, "t.txt is too short (1 characters); training needs", ""),
    "99 characters": (lambda: write("t.txt", "ab\n" * 33), BOTH, 3, "t.txt is too short (99 characters)", ""),
    "empty, to score": (lambda: write("t.txt", ""), ("eval",), 3, "0 tokens is too short to score; at least 2", ""),
    "one, to score": (lambda: write("t.txt", "a"), ("eval",), 3, "1 token is too short to score; at least 2", ""),
    "latin-1": (
        lambda: write("t.txt", (PROSE + "Il était là. ").encode("latin-1") * 4), ALL, 3,
        "t.txt is not UTF-8: byte 0xe9 at offset 62 (looks like latin-1)", "--encoding latin-1",
    ),
    "utf-16": (
        lambda: write("t.txt", (PROSE * 4).encode("utf-16")), ALL, 3,
        "t.txt is not UTF-8: byte 0xff at offset 0 (looks like UTF-16)", "--encoding utf-16",
    ),
    "utf-16 without a mark": (
        lambda: write("t.txt", (PROSE * 4).encode("utf-16-le")), ALL, 3,
        "t.txt is not UTF-8: byte 0x00 at offset 1 (looks like UTF-16-LE)", "--encoding utf-16-le",
    ),
    "half a character": (
        lambda: write("t.txt", (PROSE * 9).encode() + b"\xe4\xb8"), ALL, 3, "t.txt is not UTF-8: byte 0xe4 at offset 531", "",
    ),
    "NULs": (lambda: write("t.txt", b"\0" * 500), ALL, 3, "100% of the bytes are not text - is t.txt the right file?", ""),
    "2 % control": (lambda: write("t.txt", ("\x01" + "a" * 49) * 9), ALL, 3, "2.0% of the bytes are not text - is", ""),
    "random bytes": (lambda: write("t.txt", bytes(range(256)) * 9), ALL, 3, "11% of the bytes are not text - is t.txt", ""),
    "a pickle": (
        lambda: write("t.pkl", pickle.dumps(["Inkwright é" + PROSE * 20])), ALL, 3,
        "t.pkl is a pickle, not text", "plain text",
    ),
    "a torch file": (torch_file, ALL, 3, "% of the bytes are not text - is model.pt the right file?", ""),
    "fifo": (fifo, ALL, 3, "t.txt is not a regular file", "- reads standard input"),
    "socket": (unix_socket, ALL, 3, "t.txt is not a regular file", "- reads standard input"),
    "/dev/zero": (lambda: "/dev/zero", ALL, 3, "/dev/zero is not a regular file", "- reads standard input"),
    "/dev/null": (lambda: "/dev/null", ALL, 3, "/dev/null is not a regular file", "- reads standard input"),
    "link to a device": (lambda: link("/dev/zero"), ALL, 3, "t.txt is not a regular file", ""),
    "loop of links": (lambda: link("t.txt"), ALL, 3, "t.txt is a link that leads back to itself", ""),
    "broken link": (lambda: link("nowhere"), ALL, 3, "no such file: t.txt", ""),
    "link out of the folder": (link_out, ALL, 3, "notes/in.txt is a link that leads out of notes", "a text of its own"),
    "folder that holds itself": (ring, ALL, 3, "notes/round is a link that leads back to itself", ""),
    "gzip bomb": (
        lambda: write("t.gz", gzip.compress(bytes(40 << 20))), ALL, 3, "t.gz grew past 200x its size; stopped at 16 MiB",
        "--max-bytes",
    ),
    "gzip cut off": (lambda: write("t.gz", gzip.compress(PROSE.encode())[:-9]), ALL, 3, "t.gz is cut off", "again"),
    "gzip of gzip": (
        lambda: write("t.gz", gzip.compress(gzip.compress(PROSE.encode()))), ALL, 3, "t.gz is packed twice", "by hand"
    ),
    "zip": (zipped, ALL, 3, "t.txt is a zip archive; archives are not opened; unpack it first", ""),
    "tar": (tar, ALL, 3, "t.txt is a tar archive; archives are not opened; unpack it first", ""),
    "PDF": (lambda: write("t.txt", b"%PDF-1.7\n\xe2\xe3" + PROSE.encode() * 9), ALL, 3, "t.txt is a PDF, not text", "plain"),
    "70,000 different characters": (
        lambda: write("t.txt", "".join(map(chr, [*range(0x100, 0xD800), *range(0xE000, 0xE000 + 70_000 - 0xD700)]))), BOTH, 3,
        "70,000 different characters; a character model would be mostly embedding table", "--tokenizer bpe",
    ),
    "BOM": (lambda: write("t.txt", "\ufeff" + PROSE * 9), BOTH, 0, "byte-order mark dropped from t.txt", ""),
    "CRLF": (lambda: write("t.txt", PROSE.replace("\n", "\r\n") * 9), BOTH, 0, "9 lines end in CRLF, as on Windows", ""),
    "NFD": (decomposed, BOTH, 0, "24 decomposed characters; --normalize NFC would shrink the alphabet from", ""),
    "few controls": (lambda: write("t.txt", PROSE * 9 + "\1\2"), BOTH, 0, "2 control characters in t.txt; kept", ""),
}  # fmt: skip
CASES = [(name, verb) for name, row in TEXTS.items() for verb in row[1]]


@pytest.mark.parametrize("name, verb", CASES, ids=lambda v: str(v).replace(" ", "-"))
def test_a_text_that_is_odd_or_wrong_is_told_by_every_verb_that_reads_one(here, ink, tiny, finished, name, verb):
    make, _, code, message, hint = TEXTS[name]
    text = make()
    asked = {
        "train": ["train", text, *but(tiny, "--block-size"), "--steps", 2, "--run", "runs/new"],
        "doctor": ["doctor", text],
    }
    said = ink(*asked.get(verb, ["eval", finished("char"), text]))
    if message:
        tell(said, code, message, hint)
    assert Path("runs/new").exists() == (code == 0 and verb == "train")


def test_the_notes_on_a_text_are_recorded_with_the_run(here, ink, tiny):
    write("t.txt", "\ufeff" + PROSE * 9)
    said = ink("train", "t.txt", *tiny, "--steps", 2, "--run", "r", "--normalize", "NFC", "--val-fraction", "0.3")
    assert said.code == 0
    manifest = storage.read_record(next(Path("r/tokens").iterdir()) / "manifest.json")
    assert manifest["settings"]["normalize"] == "NFC" and manifest["sources"][0]["size"] == 531 + 3


def test_a_short_text_shrinks_a_context_that_nobody_gave_and_is_refused_for_one_that_was(here, ink, tiny):
    write("t.txt", (PROSE * 9)[:180])
    without = but(tiny, "--block-size")
    tell(ink("train", "t.txt", *without, "--steps", 2), 0, "180 characters: context 16 instead of 128")
    said = ink("train", "t.txt", *without, "--steps", 2, "--run", "b", "--block-size", 256)
    tell(said, 3, "180 characters is too short for --block-size 256", "use --block-size 16 or add text")
    assert not Path("b").exists()


@pytest.mark.parametrize(
    "flags, message, hint",
    [
        (["--val-fraction", "0.01"], "1 token to validate on; at least 3 are needed", "a larger --val-fraction"),
        (["--val-fraction", "0.99"], "1 token to train on cannot fill one context of 8", "a smaller --val-fraction"),
        (["--val-fraction", "0.9999"], "nothing is left to train on", "a smaller --val-fraction"),
        (["--split", "documents"], "--split documents needs at least 2 documents; there is 1", "--split tail"),
        (["--val", "gone.txt"], "no such file: gone.txt", ""),
        (["--val", "empty.txt"], "the validation part is empty (0 characters)", "another --val"),
        (["--max-bytes", "99"], "t.txt makes the text larger than --max-bytes 99", "a larger --max-bytes"),
        (["--encoding", "ascii", "--val", "e.txt"], "e.txt is not ascii: byte 0xc3 at offset 0", "--encoding NAME"),
    ],
)
def test_a_split_that_leaves_a_side_empty_is_told_before_any_training(here, ink, tiny, flags, message, hint):
    write("t.txt", "abcdefghi\n" * 10)
    write("empty.txt", "")
    write("e.txt", "é" * 100)
    without = but(tiny, "--block-size")
    tell(ink("train", "t.txt", *without, "--steps", 2, "--run", "runs/new", *flags), 3, message, hint)
    assert not Path("runs/new").exists()


def test_a_text_that_a_bpe_melts_into_one_token_is_told(here, ink, tiny):
    write("t.txt", "a" * 2000)
    without = but(tiny, "--block-size")
    said = ink("train", "t.txt", *without, "--steps", 2, "--tokenizer", "bpe")
    tell(said, 3, "1 token to train on cannot fill one context of 8", "add text")


def test_standard_input_that_is_empty_or_binary_is_told(here, ink, tiny, finished):
    tell(ink("train", "-", *tiny, stdin=b""), 3, "standard input is empty (0 characters)")
    tell(ink("doctor", "-", stdin=b"\xff\xfe" * 300), 3, "stdin is not UTF-8: byte 0xff at offset 0")
    tell(ink("eval", finished("char"), "-", stdin=b"a"), 3, "1 token is too short to score")
    tell(
        ink("doctor", "-", "--max-bytes", 9, stdin=b"a" * 3_000_000),
        3,
        "stdin makes the text larger than --max-bytes 9",
    )


# ---------------------------------------------------------------- 2: numbers, flags, verbs

TRAIN_NUMBERS = {
    "--steps": "1 to 1000000000", "--minutes": "> 0", "--batch-size": "1 to 10000000", "--n-layer": "1 to 10000",
    "--n-head": "1 to 10000", "--n-embd": "1 to 1000000", "--block-size": "1 to 10000000", "--dropout": ">= 0 and < 1",
    "--learning-rate": "a finite number > 0", "--min-learning-rate": "a finite number >= 0",
    "--warmup-steps": "0 to 1000000000", "--weight-decay": "a finite number >= 0", "--beta1": ">= 0 and < 1",
    "--beta2": ">= 0 and < 1", "--grad-clip": ">= 0", "--eval-every": ">= 1", "--checkpoint-every": ">= 1",
    "--report-every": ">= 1", "--sample-every": ">= 0", "--patience": ">= 0", "--seed": ">= 0",
    "--micro-batch-size": "1 to 10000000", "--vocab-size": "257 to 1000000", "--val-fraction": "> 0 and < 1",
    "--max-bytes": ">= 1", "--threads": "1 to 4096",
}  # fmt: skip
SAMPLE_NUMBERS = {
    "--tokens": "1 to 100000", "--temperature": "between 0 and 5", "--top-k": ">= 0", "--top-p": "> 0 and <= 1",
    "--min-p": "between 0", "--seed": ">= 0", "--count": "1 to 10000",
}  # fmt: skip
NONSENSE = ["-1", "nan", "inf", "-inf", "1e999", "ten", "", "[1]"]
MAY_BE_ZERO = {"--seed", "--sample-every", "--patience", "--warmup-steps", "--grad-clip", "--weight-decay", "--dropout"}
MAY_BE_ZERO |= {"--beta1", "--beta2", "--min-learning-rate", "--temperature", "--top-k", "--min-p"}
MAY_BE_HUGE = {
    "--eval-every",
    "--checkpoint-every",
    "--report-every",
    "--sample-every",
    "--patience",
    "--top-k",
    "--max-bytes",
}


def nonsense(flag: str) -> list[str]:
    return NONSENSE + ["0"] * (flag not in MAY_BE_ZERO) + [HUGE, "9" * 5000] * (flag not in MAY_BE_HUGE)


@pytest.mark.parametrize("flag", TRAIN_NUMBERS)
def test_a_nonsense_number_for_training_is_told_with_what_is_allowed(here, ink, flag):
    for value in nonsense(flag):
        said = ink("train", "book.txt", "--run", "runs/new", flag, value)
        assert said.code == 2, (value, said.err)
        assert said.err.startswith(f"error: {flag} must be ") and TRAIN_NUMBERS[flag] in said.err, (value, said.err)
        assert f"(got {value[:79] or 'nothing'}" in said.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("flag", SAMPLE_NUMBERS)
def test_a_nonsense_number_for_sampling_is_told_with_what_is_allowed(ink, finished, flag):
    for value in nonsense(flag):
        said = ink("sample", finished("char"), flag, value)
        assert said.code == 2 and said.out == "", (value, said.err)
        assert said.err.startswith(f"error: {flag} must be "), (value, said.err)
        assert SAMPLE_NUMBERS[flag] in said.err or "a whole number" in said.err, (value, said.err)
        assert f"(got {value[:79] or 'nothing'}" in said.err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--temperature", "-1"], "--temperature must be between 0 and 5 (got -1)"),
        (["--temperature", "5.1"], "--temperature must be between 0 and 5 (got 5.1)"),
        (["--tokens", "0"], "--tokens must be 1 to 100000 (got 0)"),
        (["--tokens", "1000000000"], "--tokens must be 1 to 100000 (got 1000000000)"),
        (["--tokens", "1e9"], "--tokens must be 1 to 100000 (got 1e9)"),
        (["--top-p", "1.01"], "--top-p must be a finite number > 0 and <= 1 (got 1.01)"),
        (["--seed", str(2**63)], "--seed must be a whole number >= 0 and < 9223372036854775808"),
        (["--count", "10001"], "--count must be 1 to 10000 (got 10001)"),
    ],
)
def test_sampling_out_of_range_is_told_in_the_words_of_the_guide(ink, finished, flags, message):
    tell(ink("sample", finished("char"), *flags), 2, message)


def test_a_top_k_beyond_the_vocabulary_is_all_of_it_and_temperature_zero_is_the_likeliest(ink, finished):
    run = finished("char")
    huge = ink("sample", run, "--tokens", 9, "--top-k", HUGE)
    assert huge.code == 0 and huge.out == ink("sample", run, "--tokens", 9).out
    greedy = [ink("sample", run, "--tokens", 9, "--temperature", 0, "--seed", seed).out for seed in (1, 2)]
    assert greedy[0] == greedy[1] == ink("sample", run, "--tokens", 9, "--top-k", 1).out


USAGE = [
    (["trian", "book.txt"], 'unknown command "trian"', 'did you mean "train"?'),
    (["zzz"], 'unknown command "zzz"', ""),
    (["train", "book.txt", "--setps", "3"], "unknown option: --setps", "did you mean --steps?"),
    (["sample", "x", "--promt", "a"], "unknown option: --promt", "did you mean --prompt?"),
    (["--jsn"], 'unknown command "--jsn"', ""),
    (["sample"], 'command "sample" parameter RUN requires an argument', "inkwright sample --help"),
    (["resume"], 'command "resume" parameter RUN requires an argument', "inkwright resume --help"),
    (["doctor"], "which text?", "inkwright doctor input.txt"),
    (["train", "book.txt", "--run"], 'command "train" parameter --run requires an argument', "inkwright train --help"),
    (["info", "a", "b"], "too many arguments: b", "inkwright info --help"),
    (["sample", "a", "-", "b"], "too many arguments: - b", ""),
    (["train", "book.txt", "--steps", "1", "--steps", "2"], "", ""),
    (["train", "book.txt", "--shape", "klassic"], "--shape must be one of classic, modern, lecture (got klassic)", ""),
    (["train", "book.txt", "--tokenizer", "word"], "--tokenizer must be one of char, byte, bpe (got word)", ""),
    (["train", "book.txt", "--preset", "x"], "--preset must be one of laptop, nanogpt-cpu, nanogpt-gpu, lecture", ""),
    (["train", "book.txt", "--on-nan", "x"], "--on-nan must be one of stop, skip, rewind (got x)", ""),
    (["train", "book.txt", "--device", "quantum"], "--device must be one of auto, cpu", ""),
    (["train", "book.txt", "--device", "meta"], "--device must be one of auto, cpu", ""),
    (["train", "book.txt", "--encoding", "klingon"], "--encoding must be a text encoding (got klingon)", "utf-8"),
    (["doctor", "book.txt", "--encoding", "hex"], "--encoding must be a text encoding (got hex)", "utf-8"),
    (["train", "book.txt", "--normalize", "NFX"], "--normalize must be one of NFC, NFD, NFKC, NFKD (got NFX)", ""),
    (["train", "book.txt", "--n-embd", "100", "--n-head", "6", "--shape", "classic"],
     "--n-embd 100 is not divisible by --n-head 6", "96 or 102"),
    (["train", "book.txt", "--n-embd", "3", "--n-head", "4", "--shape", "classic"],
     "--n-embd 3 is not divisible by --n-head 4", "4"),
    (["train", "book.txt", "--n-embd", "12", "--n-head", "4"], "--n-embd 12 is not divisible by --n-head 4 x 2", "8 or 16"),
    (["train", "book.txt", "--config", "gone.toml"], "--config gone.toml cannot be read: no such file", "a TOML file"),
    (["train", "book.txt", "--config", "."], "--config . cannot be read: is a directory", "the folder of a run"),
    (["train", "book.txt", "--config", "/dev/zero"], "--config /dev/zero is not a regular file", "a TOML file"),
    (["train", "book.txt", "--config", ""], "--config . cannot be read", ""),
]  # fmt: skip


@pytest.mark.parametrize("args, message, hint", USAGE, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_verb_a_flag_or_a_value_that_cannot_be_is_told_with_what_can(here, ink, args, message, hint):
    tell(ink(*args), 2, message, hint)
    assert not list(Path().glob("runs/*"))


# ---------------------------------------------------------------- 5.3 train and resume: the run and the machine


def test_a_model_that_is_too_big_is_refused_before_anything_is_allocated(here, ink):
    said = ink("train", "book.txt", "--run", "runs/new", "--n-layer", 1000, "--n-embd", 8192)
    tell(said, 5, "about ", "--n-layer ")
    assert "GB needed (805.3 B parameters x 16 bytes" in said.err and "GB free" in said.err
    assert not Path("runs/new").exists()


def test_a_folder_that_holds_a_run_is_not_trained_over(here, ink, tiny, copied):
    before = snapshot(copied())
    said = ink("train", "book.txt", "--run", "run", *tiny)
    tell(said, 7, "run already holds a run at step 30", "inkwright resume run, or another --run")
    assert snapshot(Path("run")) == before


def test_a_run_that_is_a_file_is_refused(here, ink, tiny):
    tell(ink("train", "book.txt", "--run", "book.txt", *tiny), 7, "book.txt is a file", "another --run")
    tell(ink("train", "book.txt", "--run", "book.txt/a", *tiny), 5, "cannot write to book.txt/a: not a directory")
    tell(
        ink("train", "book.txt", "--run", "n" * 300, *tiny), 5, "cannot write to " + "n" * 300 + ": file name too long"
    )


def test_checkpoints_whose_run_json_is_gone_are_not_mixed_with_a_new_run(here, ink, tiny, copied):
    (copied() / "run.json").unlink()
    before = snapshot(Path("run"))
    said = ink("train", "book.txt", "--run", "run", *tiny, "--steps", 2)
    tell(said, 7, "run holds checkpoints of a run that lost its run.json", "another --run")
    assert snapshot(Path("run")) == before
    tell(ink("resume", "run"), 4, "run was stopped before the run was written down", "start it again")


def test_a_training_that_cannot_begin_takes_nothing_away_that_was_there_before(here, ink, tiny):
    for name in ("tokens", "checkpoints"):
        write(f"mine/{name}/keep.txt", "mine")
    tell(ink("train", "book.txt", "--run", "mine", *tiny, "--device", "quantum"), 2, "--device must be one of")
    assert Path("mine/tokens/keep.txt").read_text() == Path("mine/checkpoints/keep.txt").read_text() == "mine"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


def spoil(run: Path, step: int, name: str = "model.safetensors", how: str = "flip") -> None:
    path = run / "checkpoints" / f"step-{step:08d}" / name
    raw = bytearray(path.read_bytes())
    if how == "flip":
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    elif how == "cut":
        path.write_bytes(raw[:-1])
    else:
        path.unlink()


@pytest.mark.parametrize("how, told", [("flip", "hash differs"), ("cut", "instead of"), ("unlink", "missing")])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_damaged_newest_checkpoint_is_passed_over_and_told_or_refused_if_strict(here, ink, copied, name, how, told):
    spoil(copied(), 30, name, how)
    tell(ink("resume", "run", "--strict"), 4, f"step-00000030 is damaged ({name}: ")
    tell(ink("sample", "run", "--tokens", 3, "--strict"), 4, f"step-00000030 is damaged ({name}: ")
    tell(ink("eval", "run", "--strict"), 4, f"step-00000030 is damaged ({name}: ")
    said = ink("sample", "run", "--tokens", 3)
    assert said.code == 0 and told in said.err
    assert f"warning: step-00000030 is damaged ({name}: " in said.err and "; using step-00000020" in said.err
    said = ink("resume", "run")
    assert said.code == 0 and f"step-00000030 is damaged ({name}: " in said.err
    assert "resuming from step 20, 10 steps will be repeated" in said.err
    assert ink("sample", "run", "--tokens", 3, "--strict").code == 0  # what was damaged has been trained again


def test_a_file_is_no_model_and_the_run_it_lies_in_is_named(here, ink, copied):
    run = copied()
    tell(ink("info", run / "metrics.jsonl"), 4, "is a file, not a run or a model folder", f"{run} is one")
    assert "hint: run is" in ink("info", "book.txt").err


def test_a_checkpoint_without_its_manifest_is_damaged_too(here, ink, copied):
    spoil(copied(), 30, "manifest.json", "unlink")
    assert "step-00000030 is damaged (manifest.json: missing); using step-00000020" in ink("sample", "run").err
    said = ink("resume", "run")
    assert said.code == 0 and "step-00000030 is damaged (manifest.json: missing)" in said.err


def test_a_file_where_a_checkpoint_should_be_is_damage(here, ink, copied):
    shutil.rmtree(copied() / "checkpoints/step-00000030")
    write("run/checkpoints/step-00000030", "x")
    assert ink("sample", "run", "--tokens", 3).code == 0
    assert ink("resume", "run").code == 0


@pytest.mark.parametrize("verb", ["resume", "sample", "eval", "info"])
def test_a_run_with_every_checkpoint_damaged_lists_them(here, ink, copied, verb):
    run = copied()
    found = [int(path.name[5:]) for path in checkpoint_folders(run)]
    for step in found:
        spoil(run, step)
    said = ink(verb, "run")
    tell(said, 4, f"no usable checkpoint in run ({len(found)} found, {len(found)} damaged)")
    for step in found:
        assert f"  step-{step:08d} is damaged (model.safetensors: hash differs)" in said.err


@pytest.mark.parametrize("verb", ["resume", "sample", "eval", "info"])
def test_a_format_of_the_future_asks_for_an_upgrade(here, ink, copied, verb, monkeypatch):
    run = copied()
    monkeypatch.setattr(storage, "FORMAT", 7)
    for path in [*checkpoint_folders(run)]:
        facts = {
            k: v for k, v in json.loads((path / "manifest.json").read_text()).items() if k not in ("self", "format")
        }
        storage.write_record(path / "manifest.json", facts)
    monkeypatch.undo()
    os.chdir(run.parent)
    said = ink(verb, "run")
    tell(said, 4, "no usable checkpoint in run", "upgrade inkwright")
    assert "was written by version 0.1.0 (format 7); this version reads up to 1" in said.err


def test_a_damaged_run_record_or_text_is_told(here, ink, copied):
    run = copied()
    tokens = next((run / "tokens").iterdir())
    (tokens / "val.npy").write_bytes((tokens / "val.npy").read_bytes()[:-1])
    tell(ink("eval", "run"), 4, f"{tokens.name} is damaged (val.npy: ", "inkwright eval run TEXT")
    tell(ink("resume", "run", "--strict"), 4, f"{tokens.name} is damaged (val.npy: ")
    said = ink("resume", "run")
    assert said.code == 0 and f"note: {tokens.name} is damaged (val.npy: " in said.err and "cut anew" in said.err
    assert ink("eval", "run", "book.txt").code == 0
    (run / "run.json").write_text((run / "run.json").read_text().replace(" ", "  ", 1))
    for verb in ("resume", "eval", "info"):
        tell(ink(verb, "run"), 4, "run is damaged (run.json: not as written)")


def test_a_damaged_copy_of_standard_input_says_what_to_give_and_takes_nothing_else(here, ink, tiny):
    book = (here / "book.txt").read_bytes()
    assert ink("train", "-", "--run", "r", *tiny, "--steps", 3, stdin=book).code == 0
    for given in (["--text", "book.txt"], ["--text", "-"]):
        copy = Run.open(here / "r").tokens_folder / "train.npy"
        copy.write_bytes(copy.read_bytes()[:-1])
        hint = "give it again: --text FILE, or --text -"
        tell(ink("resume", "r"), 4, "(train.npy: ", hint)
        tell(ink("resume", "r", "--text", "-", stdin=book[1:]), 4, "stdin is not the text this run was trained on")
        said = ink("resume", "r", *given, stdin=book)
        assert said.code == 0 and "cut anew from the text, which has not changed" in said.err
    assert ink("resume", "r").code == 0  # whole again, it is all that is needed


def test_a_damaged_copy_of_a_named_text_is_cut_anew(here, ink, tiny):
    assert ink("train", "pydocs", "--run", "r", *tiny, "--steps", 3).code == 0
    copy = next((here / "r" / "tokens").glob("*/train.npy"))
    copy.write_bytes(copy.read_bytes()[:-1])
    tell(ink("resume", "r", "--strict"), 4, "(train.npy: ")
    said = ink("resume", "r", "--steps", 4)
    assert said.code == 0 and "(train.npy: " in said.err and "cut anew from the text" in said.err


def test_a_run_on_a_file_and_a_named_text_goes_on_without_being_told_where_they_are(here, ink, tiny):
    assert ink("train", "book.txt", "pydocs", "--run", "r", *tiny, "--steps", 3).code == 0
    assert ink("resume", "r", "--steps", 4).code == 0


def test_a_record_of_the_training_that_was_scribbled_on_stops_nothing(here, ink, copied):
    for scribble in (b"{}\n", b"3\n", b"\xff\xfe\n", b'{"step": 10'):
        run = copied(name=f"run{scribble[0]}{len(scribble)}")
        with (run / "metrics.jsonl").open("ab") as file:
            file.write(scribble)
        assert ink("info", run).code == 0
        assert ink("resume", run, "--steps", 32).code == 0


def test_resume_tells_what_is_gone_changed_or_not_to_be_changed(here, ink, tiny):
    assert ink("train", "book.txt", "--run", "r", *tiny, "--steps", 3).code == 0
    tell(
        ink("resume", "r", "--n-layer", 2, "--seed", 3),
        4,
        "a run cannot change --n-layer: 1 -> 2",
        "what may change: --checkpoint-every, ",
    )
    text = Path("book.txt").rename("moved.txt").read_text(encoding="utf-8")
    tell(ink("resume", "r", "--steps", 5), 3, f"the training text {here}/book.txt is no longer there", "--text PATH")
    assert ink("resume", "r", "--steps", 5, "--text", "moved.txt").code == 0
    tell(ink("resume", "r", "--text", "n" * 300), 3, "the training text nnn")
    write("book.txt", text + "!")
    said = ink("resume", "r", "--steps", 7)
    tell(
        said,
        4,
        "book.txt is not the text this run was trained on (1 of 1 files differs: ",
        "--accept-new-data to continue",
    )
    assert ink("eval", "r").code == 0  # it is judged on its own copy
    assert ink("resume", "r", "--steps", 7, "--accept-new-data").code == 0


def test_a_diverged_training_overwrites_nothing(here, ink, tiny):
    wild = ["--learning-rate", "1e30", "--optimizer", "adamw", "--grad-clip", 0, "--warmup-steps", 0]
    asked = [*but(tiny, "--warmup-steps"), *wild, "--steps", 30, "--checkpoint-every", 1]
    said = ink("train", "book.txt", "--run", "r", "--json", *asked)
    assert said.code == 6, said.err
    assert "error: " in said.err and "step" in said.err
    assert ink("sample", "r", "--tokens", 3).code == 0


@pytest.mark.long
def test_a_run_in_use_by_another_process_is_refused_at_once(here, ink, tiny, process):
    other = process("train", "book.txt", "--run", "r", *tiny, "--steps", 1_000_000, "--json")
    assert other.stdout.readline().startswith(b'{"event": "progress"')
    for asked in (["resume", "r"], ["train", "book.txt", "--run", "r", *tiny]):
        said = ink(*asked)
        tell(said, 7, f"r is being trained by process {other.pid} on host {socket.gethostname()} since ")
    assert ink("sample", "r", "--tokens", 3).code == ink("info", "r").code == ink("eval", "r").code == 0
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert ink("resume", "r", "--steps", 1).code == 0


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """What stands inside is done by a user without rights; root is one that no mode bit stops."""
    if not hasattr(os, "seteuid") or os.name == "nt":
        pytest.skip("this system has no user ids: a folder that cannot be written to is not made here")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place(monkeypatch, tiny_text) -> Iterator[Path]:
    """A folder that every user can reach: pytest's own are private."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "book.txt").write_text(tiny_text[:2000], encoding="utf-8")
        monkeypatch.chdir(place)
        yield place


def test_a_folder_that_cannot_be_written_to_is_told_before_the_first_step(open_place, ink, tiny):
    assert ink("train", "book.txt", "--run", "shut", *tiny, "--steps", 2).code == 0
    Path("empty").mkdir(0o555)
    for path in [Path("shut"), *Path("shut").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with as_nobody():
        for run in ("empty", "empty/a", "new"):
            tell(ink("train", "book.txt", "--run", run, *tiny), 5, f"cannot write to {run}: permission denied")
        tell(ink("resume", "shut", "--steps", 9), 5, "cannot write to shut: permission denied")
        assert ink("sample", "shut", "--tokens", 3).code == ink("eval", "shut").code == ink("info", "shut").code == 0
    assert os.listdir("empty") == []


def test_a_file_or_a_folder_that_cannot_be_read_is_told(open_place, ink, tiny):
    assert ink("train", "book.txt", "--run", "r", *tiny, "--steps", 2).code == 0
    Path("book.txt").chmod(0)
    Path("r/checkpoints").chmod(0)
    write("run.toml", "steps = 3")
    Path("run.toml").chmod(0)
    with as_nobody():
        tell(ink("train", "book.txt", *tiny), 3, "cannot read book.txt: permission denied")
        tell(ink("doctor", "book.txt"), 3, "cannot read book.txt: permission denied")
        tell(ink("train", "--config", "run.toml"), 2, "--config run.toml cannot be read: permission denied")
        tell(
            ink("sample", "r", "--prompt", "FILE:book.txt"), 3, "the prompt book.txt cannot be read: permission denied"
        )
        assert ink("sample", "r").code in (4, 5)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: that takes root and Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_told_before_the_first_step_and_leaves_nothing(here, ink, tiny, small_disk):
    run = small_disk / "runs" / "a"
    said = ink("train", "book.txt", "--run", run, *but(tiny, "--n-embd"), "--n-embd", 256, "--steps", 3)
    assert said.code == 5 and " a save needs " in said.err and " MB free on " in said.err
    assert not run.exists()
    with contextlib.suppress(OSError):
        write(str(small_disk / "filler"), b"x" * (1 << 20))
    said = ink("train", "book.txt", "--run", run, *tiny, "--steps", 3)
    assert said.code == 5 and (" a save needs " in said.err or "no space left" in said.err)
    assert not run.exists()


def test_a_disk_that_fills_up_while_training_ends_with_the_last_save_intact(here, ink, tiny, small_disk):
    run = small_disk / "a"
    assert ink("train", "book.txt", "--run", run, *tiny, "--steps", 5).code == 0
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    said = ink("resume", run, "--steps", 50, "--checkpoint-every", 10, "--eval-every", 100)
    assert said.code == 5, said.err
    assert ink("sample", run, "--tokens", 3).code == 0
    filler.unlink()
    assert ink("resume", run, "--steps", 50).code == 0


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="this system has no RLIMIT_FSIZE")
def test_a_write_that_the_system_refuses_half_way_is_told(here, ink, tiny, process):
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    asked = ["train", "book.txt", "--run", "runs/new", *tiny, "--steps", 3]
    child = process(*asked, preexec_fn=limit)
    _, err = child.communicate()
    assert child.returncode == 5, err
    assert b"error: cannot write to runs/new/" in err and b": file too large" in err and b"Traceback" not in err
    assert not Path("runs/new").exists()


# ---------------------------------------------------------------- 5.4 sample, eval, info


def gpt2_folder(**changes: object) -> str:
    """A model folder made elsewhere: a checkpoint's files without its manifest, with something changed."""
    source = checkpoint_folders(Path("run"))[-1]
    shutil.copytree(source, "model", dirs_exist_ok=True)
    Path("model/manifest.json").unlink()
    config = json.loads(Path("model/config.json").read_text()) | changes
    Path("model/config.json").write_text(json.dumps(config))
    return "model"


def poison() -> str:
    gpt2_folder()
    tensors = safetensors.torch.load_file("model/model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")
    safetensors.torch.save_file(tensors, "model/model.safetensors")
    return "model"


def with_file(name: str, content: str | bytes) -> str:
    gpt2_folder()
    write(f"model/{name}", content)
    return "model"


def without_file(name: str) -> str:
    gpt2_folder()
    Path(f"model/{name}").unlink()
    return "model"


PLACES: dict[str, tuple[Callable[[], str], str, str]] = {
    "missing": (lambda: "gone", "no such folder: gone", "run is"),
    "typo": (lambda: "runn", "no such folder: runn", "run is"),
    "a folder of runs": (lambda: ".", ". is not a run or a model folder (no checkpoints, no config.json)", "run is"),
    "a text": (lambda: "book.txt", "book.txt is ", ""),
    "a pickle": (lambda: write("model.pkl", pickle.dumps({})), "model.pkl is a pickle file, which can run code", "folder"),
    "a torch file": (torch_file, "model.pt is a pickle file, which can run code; it was not opened", "give a folder"),
    "fifo": (fifo, "t.txt is not a run or a model folder", ""),
    "a name of 300": (lambda: "n" * 300, "no such folder: " + "n" * 79, ""),
    "a line break": (lambda: "a\nb\x1b", r"no such folder: a\nb\x1b", ""),
    "below a file": (lambda: "book.txt/x", "no such folder: book.txt/x", ""),
    "config.json is no JSON": (lambda: with_file("config.json", "{"), "model/config.json is not JSON: ", ""),
    "config.json is a list": (lambda: with_file("config.json", "[]"), "model/config.json is not a JSON object", ""),
    "deep config.json": (lambda: with_file("config.json", "[" * 99999), "model/config.json is not JSON: ", ""),
    "nothing known": (lambda: gpt2_folder(inkwright=None, model_type="mamba"), "a 'mamba' model is not one Inkwright reads",
                      "it reads gpt2, qwen3 and its own"),
    "no model_type": (lambda: with_file("config.json", "{}"), "a None model is not one Inkwright reads", ""),
    "another activation": (lambda: gpt2_folder(inkwright=None, hidden_act="relu"), "config.json: hidden_act is 'relu'", ""),
    "a number in words": (lambda: gpt2_folder(inkwright=None, hidden_size="many"), "config.json: n_embd must be 1 to", ""),
    "a negative size": (lambda: gpt2_folder(inkwright={"n_layer": -1}), "config.json: n_layer must be 1 to 10000 (got", ""),
    "an unknown setting": (lambda: gpt2_folder(inkwright={"n_lay": 1}), "config.json: n_lay is not a setting", ""),
    "no vocabulary": (lambda: gpt2_folder(inkwright={"n_layer": 1}), "config.json: vocab_size must be > 0 (got 0)", ""),
    "another vocabulary": (
        lambda: gpt2_folder(inkwright={"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "vocab_size": 400}),
        "model.safetensors: tok_emb.weight is (298, 16), expected (400, 16)", "",
    ),
    "another depth": (
        lambda: gpt2_folder(inkwright=None, num_hidden_layers=2), "model.safetensors has no tensor model.layers.1.", "",
    ),
    "no weights": (lambda: without_file("model.safetensors"), "model has no readable model.safetensors", ""),
    "no tokenizer": (lambda: without_file("tokenizer.json"), "model has no readable tokenizer.json", ""),
    "weights that are none": (lambda: with_file("model.safetensors", b"x" * 99), "is not a safetensors file", ""),
    "a tokenizer that is none": (lambda: with_file("tokenizer.json", "{}"), "tokenizer.json cannot be read", ""),
    "weights with nan": (poison, "the model produced no finite probabilities (weights contain nan in blocks.0.mlp)", ""),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["sample", "eval", "info", "compare"])
@pytest.mark.parametrize("name", PLACES, ids=lambda name: name.replace(" ", "-"))
def test_what_is_no_model_is_told(here, ink, copied, name, verb):
    copied()
    make, message, hint = PLACES[name]
    place = make()
    words = {"eval": [place, "book.txt"], "compare": ["run", place, "book.txt"]}.get(verb, [place])
    tell(ink(verb, *words), 4, message, hint)


def test_what_is_no_run_cannot_be_resumed(here, ink, copied):
    copied()
    tell(ink("resume", "gone"), 4, "no such folder: gone", "run is")
    tell(ink("resume", "book.txt"), 4, "book.txt is not a run or a model folder")
    tell(ink("resume", torch_file()), 4, "model.pt is not a run or a model folder")
    tell(ink("resume", gpt2_folder()), 4, "model is not a run or a model folder")
    tell(ink("resume", "n" * 300), 4, "no such folder: " + "n" * 79)
    tell(ink("train", "book.txt", "--from", "gone", "--steps", 1), 4, "no such folder: gone")
    tell(
        ink("train", "book.txt", "--from", "run", "--n-layer", 2),
        2,
        "--n-layer cannot be given together with --from",
        "out",
    )


def test_unseen_characters_are_a_note_where_bytes_can_spell_them(ink, finished):
    run = finished("char")
    one = ink("sample", run, "--tokens", 3, "--prompt", "Ba中")
    tell(one, 0, "this model has never seen '中' (U+4E2D); it is read as ")
    assert "so expect a weak continuation" in one.err and one.out.startswith("Ba中")
    two = ink("sample", run, "--tokens", 3, "--prompt", "ñ")
    tell(two, 0, "this model has never seen 'ñ' (U+00F1); it is read as 2 bytes, so expect a weak continuation")
    tell(ink("sample", run, "--tokens", 3, "--prompt", "αβγδεζηθ"), 0, "this model has never seen 'α' (U+03B1)")
    assert " and 3 more" in ink("sample", run, "--tokens", 3, "--prompt", "αβγδεζηθ").err
    tell(ink("sample", run, "--tokens", 3, "--prompt", "\x1b[31m"), 0, r"this model has never seen '\x1b' (U+001B)")
    tell(
        ink("sample", run, "--tokens", 3, "--prompt", "e\u0301"),
        0,
        "this model has never seen",
        "NFC it would be known",
    )
    for kind in ("byte", "bpe"):
        assert "never seen" not in ink("sample", finished(kind), "--tokens", 3, "--prompt", "中").err


def test_unseen_characters_are_refused_by_a_bare_alphabet(here, ink, finished):
    said = ink("sample", finished("bare"), "--prompt", "Ba中~")
    tell(said, 3, "this model has never seen: '~' (U+007E), '中' (U+4E2D)", "it knows ")
    write("t.txt", "Ba中")
    tell(ink("eval", finished("bare"), "t.txt"), 3, "this model has never seen: '中' (U+4E2D)", "it knows ")


def test_eval_of_unseen_characters_and_of_the_training_text_is_noted(here, ink, tiny):
    assert ink("train", "book.txt", "--run", "r", *tiny, "--steps", 2).code == 0
    tell(
        ink("eval", "r", "book.txt"),
        0,
        "this is the text the model was trained on; the score measures memory, not skill",
    )
    write("t.txt", "Ba" * 49 + "中中")
    tell(
        ink("eval", "r", "t.txt"), 0, "2 of 100 characters (2.0%) were never seen in training; they are scored as bytes"
    )


def test_two_empty_files_are_nothing_to_score(here, ink, finished):
    write("a.txt", "")
    write("b.txt", "")
    tell(ink("eval", finished("char"), "a.txt", "b.txt"), 3, "0 tokens is too short to score; at least 2 are needed")


@pytest.mark.parametrize("kind", ["char", "bare", "byte", "bpe"])
def test_an_empty_prompt_says_where_the_text_starts_and_a_long_one_what_is_used(ink, finished, kind):
    run = finished(kind)
    tell(ink("sample", run, "--tokens", 3), 0, "the prompt is empty; the text starts after ")
    said = ink("sample", run, "--tokens", 3, "--prompt", "BaBa, " * 50)
    tell(said, 0, "using the last 16 of ")
    assert "the prompt is empty" not in said.err


def test_the_end_of_text_token_is_named_where_a_document_starts_after_it(here, ink, tiny):
    shutil.copy("book.txt", "two.txt")
    Path("two.txt").write_text(Path("two.txt").read_text(encoding="utf-8")[::-1], encoding="utf-8")
    assert ink("train", "book.txt", "two.txt", "--run", "r", *tiny, "--steps", 2).code == 0
    tell(ink("sample", "r", "--tokens", 3), 0, "the prompt is empty; the text starts after the end-of-text token")


PROMPTS = [
    ("Ro\udcffmeo", b"", "prompt has bytes that are not UTF-8 (position 2)"),
    ("\ud800", b"", "prompt has bytes that are not UTF-8 (position 0)"),
    ("-", b"Romeo says: \xff", "prompt has bytes that are not UTF-8 (position 12)"),
    ("FILE:bad.txt", b"", "prompt has bytes that are not UTF-8 (position 1)"),
    ("FILE:gone.txt", b"", "the prompt gone.txt cannot be read: no such file or directory"),
    ("FILE:.", b"", "the prompt . cannot be read: is a directory"),
    ("FILE:/dev/zero", b"", "the prompt is larger than 16,777,216 bytes"),
    ("FILE:" + "n" * 300, b"", "the prompt " + "n" * 79 + "… cannot be read: file name too long"),
    ("FILE:a\nb", b"", r"the prompt a\nb cannot be read: no such file or directory"),
]


@pytest.mark.parametrize("prompt, stdin, message", PROMPTS, ids=[repr(row[0])[:20] for row in PROMPTS])
def test_a_prompt_that_cannot_be_read_is_told(here, ink, finished, prompt, stdin, message):
    write("bad.txt", b"a\xff")
    tell(ink("sample", finished("char"), "--prompt", prompt, stdin=stdin), 3, message)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="arguments are not bytes on this system")
@pytest.mark.parametrize(
    "args, code, told",
    [
        (
            [b"sample", b"gone", b"--prompt", b"Romeo says: \xff"],
            3,
            b"error: prompt has bytes that are not UTF-8 (position 12)",
        ),
        ([b"doctor", b"\xff.txt"], 3, rb"error: no such file: \udcff.txt"),
        ([b"info", b"\xff\x1b[31m"], 4, rb"error: no such folder: \udcff\x1b[31m"),
        ([b"train", b"book.txt", b"--val", b"\xff"], 3, rb"error: no such file: \udcff"),
        (
            [b"train", b"book.txt", b"--shape", b"\xff"],
            2,
            rb"error: --shape must be one of classic, modern, lecture (got \udcff)",
        ),
        ([b"\xff"], 2, rb'error: unknown command "\udcff"'),
    ],
)
def test_bytes_that_are_no_text_on_the_command_line_are_escaped(here, process, args, code, told):
    child = process(*args)
    out, err = child.communicate()
    assert child.returncode == code and told in err and b"Traceback" not in err, err
    assert out == b""


def test_a_run_and_a_validation_text_with_a_name_that_is_no_utf8_work(here, ink, tiny):
    write("v\udcff.txt", PROSE * 5)
    said = ink("train", "book.txt", "--val", "v\udcff.txt", "--run", "r\udcff", *tiny, "--steps", 2, "--json")
    assert said.code == 0 and json.loads(said.out.splitlines()[-1])["run"] == "r\udcff"
    assert ink("sample", "r\udcff", "--tokens", 2).code == ink("info", "r\udcff").code == 0
    assert ink("resume", "r\udcff", "--steps", 3).code == 0


@pytest.mark.long
def test_a_torch_that_does_not_load_is_told(here, tmp_path):
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libgomp.so.1 is missing')")
    env = {**os.environ, "PYTHONPATH": str(broken.parent)}
    command = [sys.executable, "-m", "inkwright", "sample", "gone"]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert said.returncode == 5 and "error: PyTorch does not load (libgomp.so.1 is missing)" in said.stderr
    assert "Traceback" not in said.stderr
