"""What is published is whole or not there, and any change to it is noticed."""

import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inkwright import storage
from inkwright.errors import DamagedError, MachineError, SaveError
from inkwright.storage import MANIFEST, publish, read_lines, read_record, replace, verify, write_record

FILES = {
    "a.bin": bytes(range(256)) * 2,
    "b.json": b'{"x": 1}\n',
    "empty": b"",
    "c.bin": lambda file: file.write(b"c" * 300),
}
FACTS = {"step": 3, "val_loss": 1.25, "text": "é"}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    publish(tmp_path / "one", FILES, FACTS)
    return tmp_path / "one"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_published_reads_back_with_its_facts(published: Path) -> None:
    manifest = verify(published)
    assert {name: manifest[name] for name in FACTS} == FACTS
    assert set(manifest["files"]) == set(FILES) and manifest["format"] == storage.FORMAT
    assert storage.read_verified(published, manifest, "c.bin") == b"c" * 300
    assert os.listdir(published.parent) == ["one"]


def test_every_flipped_byte_is_noticed_and_the_file_is_named(published: Path) -> None:
    noticed = 0
    for path in sorted(published.iterdir()):
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            for bit in (1, 128):
                path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
                with pytest.raises(DamagedError, match=rf"^one is damaged \({path.name}: "):
                    verify(published)
                noticed += 1
        path.write_bytes(whole)
    verify(published)
    assert noticed > 400


def test_a_file_cut_to_any_length_lengthened_or_zeroed_is_noticed(published: Path) -> None:
    for path in sorted(published.iterdir()):
        whole = path.read_bytes()
        lengths = range(0, len(whole), 3)
        for spoiled in [
            *(whole[:n] for n in lengths),
            whole + b"\0",
            whole + b"\n",
            b"\1" + whole[1:],
            bytes(len(whole)),
        ]:
            if spoiled == whole:
                continue
            path.write_bytes(spoiled)
            with pytest.raises(DamagedError, match=path.name):
                verify(published)
        path.write_bytes(whole)
    verify(published)


def be_missing(path: Path) -> None:
    path.unlink()


def be_a_link(path: Path) -> None:
    path.rename(path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


def be_a_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def be_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def be_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def be_another_file(path: Path) -> None:
    other = path.with_name("b.json" if path.name != "b.json" else "a.bin")
    shutil.copy(other, path)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("fate", [be_missing, be_a_link, be_a_broken_link, be_a_folder, be_a_pipe, be_another_file])
def test_a_file_that_is_not_the_one_that_was_written_is_noticed(published: Path, name: str, fate: Callable) -> None:
    fate(published / name)
    with pytest.raises(
        DamagedError, match=rf"^one is damaged \({name}: (missing|not a regular file|.* instead|hash|not as)"
    ):
        verify(published)


def test_files_swapped_between_two_folders_are_noticed(published: Path) -> None:
    other = published.parent / "two"
    publish(other, FILES | {"a.bin": bytes(512)}, FACTS)
    shutil.copy(other / "a.bin", published / "a.bin")
    with pytest.raises(DamagedError, match=r"a\.bin: hash differs"):
        verify(published)


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw.replace(b" ", b"  ", 1),
        lambda raw: raw.replace(b"\n", b"\r\n", 1),
        lambda raw: raw.rstrip(b"\n"),
        lambda raw: raw + b" ",
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b'"step": 3', b'"step": 4'),
        lambda raw: raw.replace(b'"step": 3', b'"step": 3.0'),
        lambda raw: raw.replace(b'"step": 3', b'"step": 4, "step": 3'),
        lambda raw: raw.replace(b'"self"', b'"selv"'),
        lambda raw: json.dumps(json.loads(raw)).encode(),
        lambda raw: b"[]",
        lambda raw: b"null",
        lambda raw: b"[" * 100_000,
        lambda raw: b"\xff\xfe",
    ],
)
def test_a_manifest_that_differs_by_a_space_is_damage(published: Path, edit: Callable[[bytes], bytes]) -> None:
    path = published / MANIFEST
    raw = path.read_bytes()
    assert edit(raw) != raw
    path.write_bytes(edit(raw))
    with pytest.raises(DamagedError, match=r"one is damaged \(manifest\.json: not as written\)"):
        verify(published)


def test_a_newer_format_asks_for_an_upgrade(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "FORMAT", 9)
    write_record(published / MANIFEST, {"files": {}})
    monkeypatch.undo()
    with pytest.raises(
        DamagedError, match=r"written by version 0.1.0 \(format 9\); this version reads up to 1"
    ) as told:
        verify(published)
    assert told.value.hint == "upgrade inkwright"


def test_an_existing_folder_is_replaced_whole(published: Path) -> None:
    (published / "a.bin").write_bytes(b"spoiled")
    publish(published, {"new": b"new"}, {"step": 4})
    assert set(os.listdir(published)) == {"new", MANIFEST} and verify(published)["step"] == 4
    aside = [name for name in os.listdir(published.parent) if name != "one"]
    assert len(aside) == 1 and aside[0].startswith(".damaged-one-")
    storage.sweep(published.parent, ".damaged-")
    assert os.listdir(published.parent) == ["one"]


# ---------------------------------------------------------------- a disk that fails

CALLS = [(io, "open"), (os, "open"), (os, "fsync"), (os, "mkdir"), (os, "rename"), (os, "replace"), (os, "write")]


class Fault:
    """Fails the n-th call that reaches the disk, once; reads and writes of an open file count too."""

    def __init__(self, at: int, number: int) -> None:
        self.left, self.number, self.happened = at, number, False

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happened = True
            raise OSError(self.number, os.strerror(self.number))


@contextmanager
def failing(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        for module, name in CALLS:
            real = getattr(module, name)

            def faulty(*args: object, real: Callable = real, **options: object) -> object:
                fault.count()
                return real(*args, **options)

            patched.setattr(module, name, faulty)
        write = storage._Hashing.write

        def faulty_write(self: storage._Hashing, data: bytes) -> int:
            fault.count()
            return write(self, data)

        patched.setattr(storage._Hashing, "write", faulty_write)
        yield


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO], ids=["ENOSPC", "EACCES", "EIO"])
@pytest.mark.parametrize("before", ["nothing", "a good one", "a damaged one"])
def test_a_publish_that_fails_anywhere_changes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, before: str
) -> None:
    folder = tmp_path / "one"
    if before != "nothing":
        publish(folder, {"old": b"old" * 99}, {"step": 1})
    if before == "a damaged one":
        (folder / "old").write_bytes(b"spoiled")
    old = snapshot(tmp_path)
    n, failures = 1, 0  # the first call makes the parent folder, which is already there
    while True:
        n += 1
        fault = Fault(n, number)
        with failing(fault, monkeypatch):
            try:
                publish(folder, FILES, FACTS)
                assert not fault.happened, f"call {n} failed and nobody was told"
                break
            except SaveError as error:
                assert fault.happened and error.exit_code == 5 and "\n" not in error.message
                failures += 1
        visible = {name: raw for name, raw in snapshot(tmp_path).items() if not name.startswith(".damaged-")}
        assert visible == old, f"call {n} failed and the disk changed"
        shutil.rmtree(tmp_path / "none", ignore_errors=True)
        storage.sweep(tmp_path, ".damaged-")
    assert failures > 20
    assert verify(folder)["step"] == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO], ids=["ENOSPC", "EACCES", "EIO"])
def test_a_replace_that_fails_anywhere_leaves_the_old_file(tmp_path: Path, monkeypatch, number: int) -> None:
    path = tmp_path / "run.json"
    write_record(path, {"step": 1})
    n = 0
    while True:
        n += 1
        fault = Fault(n, number)
        with failing(fault, monkeypatch):
            try:
                write_record(path, {"step": 2})
                break
            except SaveError as error:
                assert fault.happened and "cannot write to" in error.message
        renamed = read_record(path)["step"] == 2  # what fails behind the rename is only the sync of the folder
        assert os.listdir(tmp_path) == ["run.json"] and (not renamed or n >= 5)
        write_record(path, {"step": 1})
    assert n > 4 and read_record(path)["step"] == 2


def test_no_temporary_is_ever_a_candidate_and_a_sweep_takes_them(tmp_path: Path) -> None:
    for name in (".tmp-step-1-7-ab", ".del-7", ".damaged-step"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"x")
    (tmp_path / ".tmp-file").write_bytes(b"")
    storage.sweep(tmp_path, ".tmp-", ".del-")
    assert os.listdir(tmp_path) == [".damaged-step"]
    storage.sweep(tmp_path / "gone", ".tmp-")


# ---------------------------------------------------------------- records


def test_a_torn_last_line_is_dropped_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_lines(path) == []
    for step in range(5):
        storage.append(path, {"step": step})
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert [line["step"] for line in read_lines(path)] == list(range(whole[:length].count(b"\n")))


@pytest.mark.parametrize("scribble", [b"3\n", b"[]\n", b"\xff\n", b"{\n", b"\n"])
def test_a_line_that_is_no_record_ends_it(tmp_path: Path, scribble: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + scribble + b'{"step": 2}\n')
    assert read_lines(path) == [{"step": 1}]


def test_writing_where_nothing_can_be_written_is_a_save_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for attempt in (
        lambda: storage.append(tmp_path / "file" / "x", {}),
        lambda: replace(tmp_path / "file" / "x", b""),
        lambda: publish(tmp_path / "file" / "x", {}, {}),
    ):
        with pytest.raises(SaveError, match=r"cannot write to .*/file/x: (not a directory|file exists)"):
            attempt()
    with pytest.raises(MachineError, match="cannot write to"):
        storage.make_folder(tmp_path / "file" / "x")
    with pytest.raises(MachineError, match="cannot write to"):
        storage.remove(tmp_path / "gone")
    assert os.listdir(tmp_path) == ["file"]


def test_a_disk_without_room_names_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"^a save needs 1,200,000,000.0 GB, .* free on "):
        storage.require_space(tmp_path / "not" / "yet", 10**18)
    storage.require_space(tmp_path / "not" / "yet", 10)


@pytest.mark.parametrize(
    "size, text", [(0, "0.0 MB"), (9.9e6, "9.9 MB"), (1.26e8, "126 MB"), (2.5e9, "2.5 GB"), (1e12, "1,000.0 GB")]
)
def test_sizes_are_told_in_the_unit_people_read(size: float, text: str) -> None:
    assert storage.megabytes(size) == text
