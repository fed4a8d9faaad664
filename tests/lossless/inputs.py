"""Rows about what is given to the program: command lines, damaged files, strange texts, bombs, archives, pickles."""

import contextlib
import gzip
import io
import itertools
import json
import lzma
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkwright import storage
from inkwright.config import TextConfig
from inkwright.errors import TextError
from inkwright.run.folder import checkpoint_folders
from inkwright.text import reading
from inkwright.text.corpus import read
from inkwright.text.tokenizer import Tokenizer
from tests.app.conftest import call
from tests.app.test_fuzz import SMALL, command_lines, cut_short
from tests.lossless.harness import Tally, book, finish, fork
from tests.lossless.saving import small_run

CODES = {0, 2, 3, 4, 5, 6, 7, 130}
ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def _working_in(place: Path) -> Iterator[None]:
    before, environment = Path.cwd(), dict(os.environ)
    for name in [name for name in os.environ if name.startswith("INKWRIGHT_")]:
        del os.environ[name]
    os.environ.update(
        {f"INKWRIGHT_{name}": str(value) for name, value in SMALL.items()}, INKWRIGHT_HOME=str(place / "home")
    )
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def command_lines_of_any_kind(place: Path, tally: Tally) -> None:
    """C1. Any verb with any flags and values: an exit code of the table, a short message, no traceback."""
    yard = place / "yard"

    def fresh() -> None:
        shutil.rmtree(yard, ignore_errors=True)
        yard.mkdir()
        shutil.copy(text, yard / "book.txt")
        shutil.copytree(run, yard / "run")
        (yard / "empty").mkdir()
        (yard / "model.pt").write_bytes(b"\x80\x04.")
        os.mkfifo(yard / "fifo")

    text, run = book(place), small_run(place)
    fresh()
    home = set(os.listdir(yard))

    @settings(
        max_examples=tally.wanted, deadline=None, database=None, report_multiple_bugs=False, derandomize=tally.wanted < 5000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(words=command_lines(), stdin=st.sampled_from([b"", b"\xff", b"Ba" * 99]))
    def fuzz(words: list[str], stdin: bytes) -> None:
        if not tally.more():
            return
        tally.trials += 1
        with cut_short():
            said = call(*words, stdin=stdin)
        assert said.code in CODES, (words, said)
        if set(os.listdir(yard)) != home or said.code == 0:
            os.chdir(place)
            fresh()
            os.chdir(yard)

    with _working_in(yard):
        try:
            fuzz()
        except Exception as error:
            tally.failures.append(f"{error!r:.1000}")


# ---------------------------------------------------------------- damaged files


def _mutated(raw: bytes, tally: Tally) -> bytes:
    """The bytes with something done to them."""
    rng = tally.random
    at = rng.randrange(len(raw) + 1)
    some = bytes(rng.randrange(256) for _ in range(rng.randint(1, 4)))
    numbers = [b"-1", b"1e999", b"NaN", b"null", b'"x"', b"[]", b"99999999999", b"0", b"1.5", b"true", b"{}"]
    digits = [i for i, byte in enumerate(raw[:4000]) if chr(byte).isdigit()] or [0]
    where = rng.choice(digits)
    return rng.choice([
        raw[:at], raw[:at] + some + raw[at:], raw[:at] + some + raw[at + len(some):], raw[:at] + raw[at + rng.randint(1, 9):],
        raw[:where] + rng.choice(numbers) + raw[where + 1:], raw[:at] + raw[at // 2 : at] + raw[at:], raw + raw[:at],
        raw.replace(rng.choice([b'"', b":", b",", b"=", b"\n"]), some, 1),
    ])  # fmt: skip


def damaged_files(place: Path, tally: Tally) -> None:
    """C2. Settings, tokenizers, weights, records and texts with something changed: told, and no traceback."""
    run = small_run(place)
    model = shutil.copytree(checkpoint_folders(run)[-1], place / "model")
    (model / storage.MANIFEST).unlink()
    (place / "run.toml").write_text(
        'steps = 1\nn_layer = 1\nlearning_rate = 1e-3\nshape = "classic"\ntext = ["book.txt"]\n'
    )
    (place / "book.txt.gz").write_bytes(gzip.compress((place / "book.txt").read_bytes()[:900]))
    targets: list[tuple[str, list[str]]] = [
        *((f"model/{name}", ["sample", "model", "--tokens", "2"]) for name in sorted(os.listdir(model))),
        ("model/config.json", ["info", "model"]), ("model/tokenizer.json", ["eval", "model", "book.txt"]),
        ("run.toml", ["train", "--config", "run.toml", "--run", "new"]), ("run/run.json", ["info", "run"]),
        ("run/metrics.jsonl", ["info", "run"]), ("book.txt", ["doctor", "book.txt"]),
        ("book.txt.gz", ["train", "book.txt.gz", "--run", "new"]),
    ]  # fmt: skip
    with _working_in(place):
        while tally.more():
            name, words = targets[tally.trials % len(targets)]
            raw = Path(name).read_bytes()
            with tally.trial(f"{words[0]} with {name} changed"):
                Path(name).write_bytes(changed := _mutated(raw, tally))
                try:
                    said = call(*words)
                    assert said.code in CODES, said
                except AssertionError as error:
                    raise AssertionError(f"{changed[:300]!r}: {error}"[:1500]) from None
                finally:
                    Path(name).write_bytes(raw)
                    shutil.rmtree("new", ignore_errors=True)


# ---------------------------------------------------------------- texts


def any_text(place: Path, tally: Tally) -> None:
    """C3. Any Unicode text comes back from every tokenizer exactly; and the zoo of tests/app is trained or refused."""
    prose = book(place).read_text(encoding="utf-8")
    makers = [TextConfig(tokenizer="char"), TextConfig(tokenizer="byte"), TextConfig(tokenizer="bpe", vocab_size=300)]
    tokenizers = [Tokenizer.fit(config, [prose], []) for config in makers]
    parts = ["<|endoftext|>", "\r\n", "e\u0301", "🏳️‍🌈", "\0", "\ufeff", "\u202e", "中", "é", "ab", " ", "\U0010ffff"]
    rng = tally.random
    while tally.more():
        count = rng.randint(0, 40)
        text = "".join(rng.choice(parts) if rng.random() < 0.4 else _any_character(tally) for _ in range(count))
        tokenizer = tokenizers[tally.trials % len(tokenizers)]
        with tally.trial(f"{tokenizer.kind}: {text!a:.80}"):
            assert tokenizer.decode(tokenizer.encode(text)) == text


def _any_character(tally: Tally) -> str:
    point = tally.random.choice([128, 0x3000, 0xD800, 0x110000])
    point = tally.random.randrange(point)
    return chr(point if not 0xD800 <= point < 0xE000 else 0x41)


def bombs(place: Path, tally: Tally) -> None:
    """C4. Packed files that swell, are packed twice, lie about their size or ask for memory: stopped, nothing left behind."""
    zeros = {".gz": lambda n: _packed(gzip.open, n), ".xz": lambda n: _packed(lzma.open, n), ".zst": _zstd}
    cases: dict[str, tuple[Callable[[], bytes], int, str]] = {
        **{f"bomb{s}": (lambda make=make: make(64), 2 << 30, "grew past 200x") for s, make in zeros.items()},
        **{f"small limit{s}": (lambda make=make: make(20), 1000, "--max-bytes 1,000") for s, make in zeros.items()},
        "many members": (lambda: gzip.compress(bytes(1 << 20)) * 40, 2 << 30, "grew past 200x"),
        "gzip of gzip": (lambda: gzip.compress(gzip.compress(bytes(50 << 20))), 2 << 30, "packed twice"),
        "xz of gzip": (lambda: lzma.compress(gzip.compress(b"abc" * 99)), 2 << 30, "packed twice"),
        "a false size": (lambda: gzip.compress(b"abc" * 99)[:-4] + struct.pack("<I", 7), 2 << 30, "cannot be unpacked"),
        "cut off": (lambda: gzip.compress(os.urandom(999))[:-20], 2 << 30, "cut off"),
        "much memory": (_hungry, 2 << 30, "of memory to be unpacked"),
    }
    before = set(os.listdir(place))
    for name in tally.some_of(list(cases)):
        make, limit, told = cases[name]
        path = place / "corpus"
        with tally.trial(name):
            path.write_bytes(make())

            def work(path: Path = path, limit: int = limit) -> None:
                start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                try:
                    read([str(path)], TextConfig(max_bytes=limit))
                finally:
                    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024
                    print(f"grown by {grown:.0f} MiB" if grown > 200 else "")

            (place / "log").unlink(missing_ok=True)
            code, _ = finish(fork(work, place / "log"))
            said = (place / "log").read_text()
            assert code == 3 and told in said and "grown by" not in said, f"{code}: {said}"
            (place / "log").unlink()
            path.unlink()
            assert set(os.listdir(place)) == before


def _packed(opener: Any, mebibytes: int) -> bytes:
    file = io.BytesIO()
    with opener(file, "wb", **({"preset": 0} if opener is lzma.open else {"compresslevel": 6})) as packed:
        for _ in range(mebibytes):
            packed.write(bytes(1 << 20))
    return file.getvalue()


def _zstd(mebibytes: int) -> bytes:
    return reading.zstd.compress(bytes(mebibytes << 20))


def _hungry() -> bytes:
    """A small xz file whose header asks for a dictionary of 1.5 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(b"abc" * 99, filters=filters))
    start, size = 12, (packed[12] + 1) * 4
    at = packed.index(b"\x21\x01", start) + 2
    packed[at] = 40  # the code of the largest dictionary there is
    packed[start + size - 4 : start + size] = struct.pack("<I", _crc(bytes(packed[start : start + size - 4])))
    return bytes(packed)


def _crc(data: bytes) -> int:
    import zlib

    return zlib.crc32(data)


def archives(place: Path, tally: Tally) -> None:
    """C5. Archives, whatever they are called, and links and devices in a folder: refused; nothing is unpacked to the disk."""
    prose = book(place).read_bytes()
    names = ["corpus.txt", "corpus.zip", "corpus.gz", "corpus"]
    makers: dict[str, Callable[[], bytes]] = {
        "zip": lambda: _zip(prose), "tar": lambda: _tar(prose), "7z": lambda: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(200),
        "tar.gz": lambda: gzip.compress(_tar(prose)), "zip.xz": lambda: lzma.compress(_zip(prose)),
    }  # fmt: skip
    cases = [(kind, name) for kind in makers for name in names]
    for kind, name in tally.some_of(cases):
        with tally.trial(f"{kind} called {name}"):
            path = place / name
            path.write_bytes(makers[kind]())
            before = set(os.listdir(place))
            try:
                read([str(path)], TextConfig())
                raise AssertionError("it was read")
            except TextError as error:
                assert "archive" in error.message or "not text" in error.message, error.message
            assert set(os.listdir(place)) == before
            path.unlink()


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../evil.txt", content)
    return file.getvalue()


def _tar(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("/tmp/evil.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


# ---------------------------------------------------------------- pickles


class Canary:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (str(self.path),))


def _pickles(canary: Path) -> dict[str, bytes]:
    evil = Canary(canary)
    array, saved = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([evil], dtype=object), allow_pickle=True)
    torch.save({"model": evil}, saved)
    return {
        "a.pkl": pickle.dumps(evil), "a.pt": saved.getvalue(), "a.npy": array.getvalue(), "a.joblib": pickle.dumps(evil, 2),
        "meta.pkl": pickle.dumps({"stoi": evil}), "old.pkl": pickle.dumps(evil, 0),
    }  # fmt: skip


def pickles(place: Path, tally: Tally) -> None:
    """C6. A pickle that would run something, for every argument that names a file and every file of a run: it never runs."""
    run = small_run(place)
    canary = place / "canary"
    evil = _pickles(canary)
    arguments = [
        ["train", "X", "--run", "new"], ["train", "book.txt", "--val", "X", "--run", "new"],
        ["train", "--config", "X", "--run", "new"], ["train", "book.txt", "--from", "X", "--run", "new"],
        ["eval", "run", "X"],
        ["eval", "X"], ["sample", "X"], ["sample", "run", "--prompt", "FILE:X", "--tokens", "2"], ["resume", "X"],
        ["resume", "run", "--text", "X"], ["info", "X"], ["doctor", "X"],
    ]  # fmt: skip
    tokens_folder = next((run / "tokens").iterdir())
    model = [f"M/{name}" for name in ("model.safetensors", "tokenizer.json", "config.json", "generation_config.json")]
    inside = ["optimizer.safetensors", "state.json", "train.npy", "val.npy", "run.json", "metrics.jsonl"]
    cases = [(name, words) for name in evil for words in [*arguments, *([part] for part in [*model, *inside])]]
    found: list[str] = []
    hooked = [True]
    sys.addaudithook(lambda event, args: found.append(event) if event == "pickle.find_class" and hooked[0] else None)
    with _working_in(place):
        for name, words in tally.some_of(cases if tally.wanted <= len(cases) else cases * 2):
            with tally.trial(f"{name}: {' '.join(words)}"):
                found.clear()
                if len(words) > 1:
                    Path(name).write_bytes(evil[name])
                    said = call(*(word.replace("X", name) for word in words))
                else:
                    said = _planted(run, tokens_folder, words[0], evil[name])
                assert said.code in CODES, said
                assert not canary.exists(), "IT RAN"
                assert not found, "something was unpickled"
            shutil.rmtree("new", ignore_errors=True)
            shutil.rmtree("copy", ignore_errors=True)
    hooked[0] = False


def _planted(run: Path, tokens_folder: Path, name: str, content: bytes) -> Any:
    """A pickle in place of a file of a run, with a manifest that fits it: what only someone with bad intent does."""
    copy = Path(shutil.copytree(run, "copy"))
    newest = checkpoint_folders(copy)[-1]
    if name.startswith("M/"):
        (newest / storage.MANIFEST).unlink()
        (newest / name[2:]).write_bytes(content)
        return call("sample", newest, "--tokens", "2")
    folder = copy / "tokens" / tokens_folder.name if name.endswith(".npy") else newest
    if name in ("run.json", "metrics.jsonl"):
        (copy / name).write_bytes(content)
    else:
        files = {path.name: path.read_bytes() for path in folder.iterdir()} | {name: content}
        facts = json.loads(files.pop(storage.MANIFEST))
        shutil.rmtree(folder)
        storage.publish(folder, files, {key: value for key, value in facts.items() if key not in ("self", "files")})
    return call("resume", "copy", "--steps", "11")


# ---------------------------------------------------------------- rows that are tests already


def tests_named(*words: str) -> Callable[[Path, Tally], None]:
    """A row that the suite has as tests: each test is a trial."""

    def row(place: Path, tally: Tally) -> None:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-rs",
            "--basetemp",
            str(place / "tests"),
        ]
        done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
        counts = {kind: int(number) for number, kind in _counts(last)}
        tally.trials += counts.get("passed", 0) + counts.get("failed", 0) + counts.get("error", 0)
        tally.failures += [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if counts.get("skipped"):
            tally.note(f"{counts['skipped']} skipped")
        if not counts.get("passed") and not tally.failures:
            tally.failures.append(f"no test ran: {last}")

    return row


def _counts(line: str) -> list[tuple[str, str]]:
    words = line.replace(",", "").split()
    return [(a, b.rstrip("s")) for a, b in itertools.pairwise(words) if a.isdigit()]
